import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { SQL } from "../../../../r2-layout/limits.ts";
import { type Ask, EngineSlot, type Hold, type SlotInstance } from "../../../../workers/query/engine/engine-slot.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

class FakeInstance implements SlotInstance {
  readonly heapBytes = 1;
  broken = false;
  isLent = false;
  isFinished = false;
  lend() {
    this.isLent = true;
    this.isFinished = false;
    return () => {
      this.isLent = false;
    };
  }
  async finishOthers() {
    await wait(STEP_MS);
    this.isFinished = true;
    return true;
  }
}

const newSlot = () =>
  new EngineSlot<FakeInstance>({ boot: async () => new FakeInstance(), recycleBytes: 10, now: Date.now, wait });

const ASK = { light: false, waitMs: 600_000, holdMs: 600_000, givenUp: () => false } satisfies Partial<Ask>;
const STEP_MS = 5;

/** A statement of so many milliseconds, in steps. @returns the time at which it was done; null where it had no turn. */
async function run(
  slot: EngineSlot<FakeInstance>,
  token: string,
  workMs: number,
  more: Partial<Ask> = {},
): Promise<{ isGuest: boolean; at: number } | null> {
  const hold = await slot.take({ ...ASK, token, ...more });
  if (!hold) return null;
  await work(hold, workMs);
  slot.release(hold);
  return { isGuest: hold.isGuest, at: Date.now() };
}

async function work(hold: Hold<FakeInstance>, workMs: number): Promise<void> {
  for (let done = 0; done < workMs; done += STEP_MS) {
    await wait(STEP_MS);
    if (!hold.alive()) throw new Error("taken away");
    // Who lends it does nothing until it has it back.
    expect(hold.instance.isLent).toBe(hold.isGuest);
    // Nor does a guest run before what the holder has in the engine's queue.
    if (hold.isGuest) expect(hold.instance.isFinished).toBe(true);
    await hold.pause(() => {});
  }
}

it("a token that has used nothing comes before the next statements of one that sent many", async () => {
  const slot = newSlot();
  const order: string[] = [];
  const done = Array.from({ length: 6 }, () => run(slot, "many", 100).then(() => order.push("many")));
  await vi.advanceTimersByTimeAsync(50);
  done.push(run(slot, "few", 100).then(() => order.push("few")));
  await vi.advanceTimersByTimeAsync(5_000);
  await Promise.all(done);
  expect(order.indexOf("few")).toBe(1);
});

it("while tokens have work waiting, what they have had of the engine differs by two of their longest statements at most", async () => {
  const sizes = fc.array(
    fc.integer({ min: 1, max: 20 }).map((steps) => steps * 10),
    { minLength: 4, maxLength: 4 },
  );
  await fc.assert(
    fc.asyncProperty(sizes, async (given) => {
      const slot = newSlot();
      const used = given.map(() => 0);
      let isOver = false;
      // Each has one waiting at all times.
      const busy = given.flatMap((ms, i) =>
        [0, 1].map(async () => {
          while (!isOver) if (await run(slot, `t${i}`, ms)) used[i]! += ms;
        }),
      );
      await vi.advanceTimersByTimeAsync(8_000);
      const seen = [...used];
      isOver = true;
      await vi.advanceTimersByTimeAsync(10_000);
      await Promise.all(busy);
      expect(Math.max(...seen) - Math.min(...seen)).toBeLessThanOrEqual(2 * Math.max(...given) + 100);
    }),
    { numRuns: 15 },
  );
});

it("a light statement runs in a pause of a heavy one, which goes on after it and has its whole time", async () => {
  const slot = newSlot();
  const heavy = run(slot, "heavy", 2_000);
  await vi.advanceTimersByTimeAsync(500);
  const light = run(slot, "light", 50, { light: true });
  await vi.advanceTimersByTimeAsync(150);
  expect(await light).toMatchObject({ isGuest: true });
  await vi.advanceTimersByTimeAsync(3_000);
  expect(await heavy).toMatchObject({ isGuest: false });
  expect(slot.guests).toBe(1);
});

it("guests have half of a heavy statement's time at most, however many tokens send them", async () => {
  const slot = newSlot();
  const heavy = run(slot, "heavy", 1_000);
  await vi.advanceTimersByTimeAsync(50);
  let isOver = false;
  const floods = Array.from({ length: 6 }, async (_, i) => {
    for (let n = 0; !isOver; n++) await run(slot, `light-${i}-${n}`, 20, { light: true });
  });
  const began = Date.now();
  await vi.advanceTimersByTimeAsync(6_000);
  expect((await heavy)!.at - began).toBeLessThan(3_500);
  isOver = true;
  await vi.advanceTimersByTimeAsync(5_000);
  await Promise.all(floods);
  expect(slot.guests).toBeGreaterThan(5);
});

it("a holder that falls silent is replaced, and an engine that it left is not used again", async () => {
  const slot = newSlot();
  const gone = (await slot.take({ ...ASK, token: "gone" }))!;
  const next = run(slot, "next", 10);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(await next).not.toBeNull();
  expect(gone.alive()).toBe(false);
  expect(slot.boots).toBe(2);
});

it("a guest that falls silent takes what it ran on along: its frames may wake up", async () => {
  const slot = newSlot();
  const heavy = run(slot, "heavy", 60_000);
  const failed = expect(heavy).rejects.toThrow("taken away");
  await vi.advanceTimersByTimeAsync(100);
  const taken = slot.take({ ...ASK, token: "gone", light: true });
  await vi.advanceTimersByTimeAsync(100);
  const guest = (await taken)!;
  expect(guest.isGuest).toBe(true);
  await vi.advanceTimersByTimeAsync(20_000);
  await failed;
  expect(guest.alive()).toBe(false);
  const next = run(slot, "next", 10);
  await vi.advanceTimersByTimeAsync(100);
  expect(await next).not.toBeNull();
});

it("after a guest that was cut off there are no more, and the engine is replaced once the heavy one is done", async () => {
  const slot = newSlot();
  const heavy = run(slot, "heavy", 1_000);
  await vi.advanceTimersByTimeAsync(100);
  const taken = slot.take({ ...ASK, token: "cut", light: true });
  await vi.advanceTimersByTimeAsync(100);
  const guest = (await taken)!;
  slot.spoil(guest);
  slot.release(guest);
  const light = run(slot, "light", 10, { light: true });
  await vi.advanceTimersByTimeAsync(3_000);
  expect(await heavy).not.toBeNull();
  expect(await light).toMatchObject({ isGuest: false });
  expect(slot.boots).toBe(2);
});

it("promise 9: SQL.waiting wait or run and no more; one of another token takes the place of who has most", async () => {
  const slot = newSlot();
  const many = Array.from({ length: SQL.waiting }, () => run(slot, "many", 10));
  await vi.advanceTimersByTimeAsync(1);
  expect(slot.waiting).toBe(SQL.waiting);
  expect(await run(slot, "many", 10)).toBeNull();
  const other = run(slot, "other", 10);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await other).not.toBeNull();
  const answers = await Promise.all(many);
  expect(answers.filter((answer) => answer === null)).toHaveLength(1);
  // The newest.
  expect(answers.at(-1)).toBeNull();
});
