import { reset } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { DrainDeps } from "../../queues/drain.ts";
import { drainBatch } from "../../queues/drain.ts";
import { fanOut } from "../../queues/fan-out/fan-out.ts";
import type { Sink, SinkStep } from "../../queues/sink.ts";
import { sinkWithCursor } from "../../queues/sink.ts";
import { SINK } from "../../r2-layout/limits.ts";
import { bindings } from "../bindings.ts";
import { batchOf, bodyOf, Fault } from "./log-rig.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

const SHARD = "000";

/** Fills the log: a segment for each list of event numbers. */
let edges = 0;
async function fill(segments: readonly (readonly number[])[], quarantined: readonly number[] = []) {
  for (const events of segments) {
    const edge = `edge-${edges++}`;
    const { batch, outcomes } = batchOf("events-0", [bodyOf({ edge, n: 1, before: 0, events, quarantined })]);
    await fanOut(batch, { logs: bindings.EVENT_LOG, bucket: bindings.BUCKET });
    expect(outcomes).toEqual(["ack"]);
  }
}

/** A store such as the sinks have: it remembers the last seq it took and skips what is at or below it. */
class Store {
  readonly numbers: number[] = [];
  readonly steps: SinkStep[] = [];
  skipped = 0;
  #lastSeq = 0;

  apply(step: SinkStep): void {
    this.steps.push(step);
    for (const event of step.events) {
      if (event.log_seq <= this.#lastSeq) this.skipped++;
      else this.numbers.push(Number(event.properties?.number));
    }
    this.#lastSeq = Math.max(this.#lastSeq, step.to);
  }
}

function sinkOver(store: Store, options: { effect?: Fault; maxEvents?: number; tick?: Sink["tick"] } = {}): Sink {
  return sinkWithCursor(
    "sessions",
    bindings.SINK_CURSOR,
    (step) =>
      options.effect ? options.effect.around(async () => store.apply(step)) : Promise.resolve(store.apply(step)),
    options.tick,
    options.maxEvents,
  );
}

async function wake(
  sink: Sink,
  overrides: Partial<DrainDeps> = {},
  bodies: readonly unknown[] = [{ shard: 0, head: 1 }],
) {
  const { batch, outcomes, delays } = batchOf("sessions", bodies);
  await drainBatch(batch, { sink, logs: bindings.EVENT_LOG, bucket: bindings.BUCKET, ...overrides });
  return { outcomes, delays };
}

const cursor = () => bindings.SINK_CURSOR.getByName(`sessions:${SHARD}`);
const reached = async () => (await bindings.EVENT_LOG.getByName(SHARD).status()).cursors.sessions;

describe("draining the log into a sink", () => {
  it("hands over every event in log order, moves the cursor and tells the log", async () => {
    await fill([[1, 2], [3], [4, 5]]);
    const store = new Store();
    expect((await wake(sinkOver(store))).outcomes).toEqual(["ack"]);
    expect(store.numbers).toEqual([1, 2, 3, 4, 5]);
    expect(await cursor().status()).toMatchObject({ cursor: 3, applied: { events: 5, quarantined: 0 } });
    expect(await reached()).toBe(3);
  });

  it("goes on from the cursor, with nothing twice, and ticks the sink when there is nothing new", async () => {
    await fill([[1]]);
    const store = new Store();
    const ticks: [number, number][] = [];
    const sink = sinkOver(store, { tick: async (_shard, at, completeUntil) => void ticks.push([at, completeUntil]) });
    await wake(sink);
    await fill([[2]]);
    await wake(sink);
    expect(store.numbers).toEqual([1, 2]);
    expect(store.skipped).toBe(0);
    expect(ticks).toEqual([]);
    const before = Date.now();
    await wake(sink);
    expect(ticks.length).toBe(1);
    expect(ticks[0]![0]).toBe(2);
    expect(ticks[0]![1]).toBeGreaterThanOrEqual(before);
  });

  it("gives quarantined lines apart from events", async () => {
    await fill([[1, 2, 3]], [1]);
    const store = new Store();
    await wake(sinkOver(store));
    expect(store.steps[0]!.quarantine).toMatchObject([{ event_id: "event-2", cause: "column_mismatch", log_seq: 1 }]);
    expect((await cursor().status()).applied).toEqual({ events: 2, quarantined: 1 });
  });

  it("promise 9: cuts steps at the sink's bound, a segment at least, and says what is complete", async () => {
    await fill([[1, 2], [3, 4], [5, 6, 7, 8, 9], [10]]);
    const { segments } = await bindings.EVENT_LOG.getByName(SHARD).segments(0);
    const store = new Store();
    await wake(sinkOver(store, { maxEvents: 4 }));
    expect(store.steps.map(({ from, to }) => [from, to])).toEqual([
      [0, 2],
      [2, 3],
      [3, 4],
    ]);
    expect(store.steps.map(({ completeUntil }) => completeUntil).slice(0, 2)).toEqual([
      segments[2]!.committedAt,
      segments[3]!.committedAt,
    ]);
    expect(store.steps[2]!.completeUntil).toBeGreaterThanOrEqual(segments[3]!.committedAt);
    expect(store.numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("reads on page by page where there are more segments than one answer holds", async () => {
    await fill(Array.from({ length: 105 }, (_, i) => [i]));
    const store = new Store();
    await wake(sinkOver(store));
    expect(store.numbers).toEqual(Array.from({ length: 105 }, (_, i) => i));
    expect(await reached()).toBe(105);
  });

  it("fetches at most four objects at once", async () => {
    await fill(Array.from({ length: 12 }, (_, i) => [i]));
    let now = 0;
    let most = 0;
    const store = new Store();
    await wake(sinkOver(store), {
      bucket: {
        get: async (key) => {
          most = Math.max(most, ++now);
          const object = await bindings.BUCKET.get(key);
          now--;
          return object;
        },
      },
    });
    expect(store.numbers.length).toBe(12);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
  });

  it("stops when its time is over, leaves the rest to the next wake-up, and has told the log how far it came", async () => {
    await fill([[1], [2], [3]]);
    const store = new Store();
    let clock = 0;
    // A step takes longer than an invocation may.
    const now = () => {
      clock += SINK.drainMs;
      return clock;
    };
    await wake(sinkOver(store, { maxEvents: 1 }), { now });
    expect(store.numbers).toEqual([1]);
    expect(await reached()).toBe(1);
    await wake(sinkOver(store));
    expect(store.numbers).toEqual([1, 2, 3]);
  });

  it("makes one drain of several wake-ups for a shard, and acks what it cannot read", async () => {
    await fill([[1]]);
    const store = new Store();
    const bodies = [{ shard: 0, head: 1 }, { shard: 0, head: 1 }, "nonsense", { shard: -1 }];
    expect((await wake(sinkOver(store), {}, bodies)).outcomes).toEqual(["ack", "ack", "ack", "ack"]);
    expect(store.steps.length).toBe(1);
  });

  it("leaves a shard to the drain that holds it", async () => {
    await fill([[1]]);
    await cursor().lease("somebody", 60_000);
    const store = new Store();
    expect((await wake(sinkOver(store))).outcomes).toEqual(["ack"]);
    expect(store.numbers).toEqual([]);
    expect((await cursor().status()).cursor).toBe(0);
  });

  it("releases the lease however it ends", async () => {
    await fill([[1]]);
    const store = new Store();
    await wake(sinkOver(store, { effect: new Fault(1, "before") }));
    expect((await wake(sinkOver(store))).outcomes).toEqual(["ack"]);
    expect(store.numbers).toEqual([1]);
  });

  it("promise 2: applies a step again after a crash between effect and cursor, and it counts once", async () => {
    await fill([[1, 2], [3]]);
    const store = new Store();
    const effect = new Fault(1, "after");
    expect((await wake(sinkOver(store, { effect }))).outcomes).toEqual(["retry"]);
    expect(effect.fired).toBe(true);
    expect((await cursor().status()).cursor).toBe(0);
    await wake(sinkOver(store));
    expect(store.skipped).toBe(3);
    expect(store.numbers).toEqual([1, 2, 3]);
    expect((await cursor().status()).applied.events).toBe(3);
  });

  it("promise 2: two drains at once, one of which lost its lease, count each event once", async () => {
    await fill([[1], [2], [3], [4]]);
    const store = new Store();
    let overtaken = false;
    const slow = sinkOver(store, { maxEvents: 2 });
    const overtake: Sink = {
      ...slow,
      lease: (shard) => cursor().lease(`slow ${shard}`, 0), // Runs out at once.
      apply: async (step) => {
        if (!overtaken) {
          overtaken = true;
          await wake(sinkOver(store, { maxEvents: 1 }));
        }
        return slow.apply(step);
      },
    };
    const { outcomes, delays } = await wake(overtake);
    expect(overtaken).toBe(true);
    expect(outcomes).toEqual(["retry"]); // Its move was refused; the wake-up goes on from the true cursor.
    expect(delays).toEqual([1]);
    expect(store.numbers).toEqual([1, 2, 3, 4]);
    expect(await cursor().status()).toMatchObject({ cursor: 4, applied: { events: 4 } });
  });

  it("goes on with the same wake-up where a step needs another invocation", async () => {
    await fill([[1], [2]]);
    const store = new Store();
    let budget = 1;
    const sink = sinkWithCursor(
      "sessions",
      bindings.SINK_CURSOR,
      async (step) => {
        expect(step.calls?.left).toBe(SINK.callsPerInvocation);
        if (budget-- <= 0) return "unfinished";
        store.apply(step);
        return undefined;
      },
      undefined,
      1,
    );
    expect(
      await wake(sink, {}, [
        { shard: 0, head: 2 },
        { shard: 0, head: 2 },
      ]),
    ).toEqual({
      outcomes: ["ack", "retry"],
      delays: [1],
    });
    expect(await reached()).toBe(1);
    budget = 9;
    await wake(sink);
    expect(store.numbers).toEqual([1, 2]);
  });

  it.each([
    [
      "is missing",
      async (key: string): Promise<void> => {
        await bindings.BUCKET.delete(key);
      },
    ],
    [
      "is no gzip",
      async (key: string): Promise<void> => {
        await bindings.BUCKET.put(key, "x".repeat(100));
      },
    ],
    [
      "is cut short",
      async (key: string): Promise<void> => {
        const bytes = new Uint8Array(await (await bindings.BUCKET.get(key))!.arrayBuffer());
        await bindings.BUCKET.put(key, bytes.subarray(0, bytes.length - 9));
      },
    ],
    [
      "is empty",
      async (key: string): Promise<void> => {
        await bindings.BUCKET.put(key, "");
      },
    ],
  ] as const)("does not pass over a segment whose object %s: it stops there, and tries again", async (_how, damage) => {
    await fill([[1], [2], [3]]);
    const { segments } = await bindings.EVENT_LOG.getByName(SHARD).segments(0);
    const whole = await (await bindings.BUCKET.get(segments[1]!.key))!.arrayBuffer();
    await damage(segments[1]!.key);
    const store = new Store();
    expect((await wake(sinkOver(store, { maxEvents: 1 }))).outcomes).toEqual(["retry"]);
    expect(store.numbers).not.toContain(3);
    expect((await cursor().status()).cursor).toBeLessThan(2);
    await bindings.BUCKET.put(segments[1]!.key, whole);
    expect((await wake(sinkOver(store))).outcomes).toEqual(["ack"]);
    expect(store.numbers).toEqual([1, 2, 3]);
  });

  it("promise 2: whatever crashes and races, the store has each event once and in order", async () => {
    const run = fc.record({
      fault: fc.option(fc.record({ nth: fc.integer({ min: 1, max: 3 }), when: fc.constantFrom("before", "after") })),
      maxEvents: fc.integer({ min: 1, max: 6 }),
      atOnce: fc.boolean(),
      grow: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 2 }),
    });
    let fired = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(run, { minLength: 1, maxLength: 8 }), async (runs) => {
        await reset();
        const store = new Store();
        let next = 0;
        for (const { fault, maxEvents, atOnce, grow } of runs) {
          await fill(
            grow.map((count) => {
              next += count;
              return Array.from({ length: count }, (_, i) => next - count + i);
            }),
          );
          const effect = fault ? new Fault(fault.nth, fault.when) : undefined;
          const drains = [wake(sinkOver(store, { effect, maxEvents }))];
          if (atOnce) drains.push(wake(sinkOver(store, { maxEvents: 3 })));
          await Promise.all(drains);
          if (effect?.fired) fired++;
        }
        await wake(sinkOver(store));
        expect(store.numbers).toEqual(Array.from({ length: next }, (_, i) => i));
        expect((await cursor().status()).applied.events).toBe(next);
      }),
      // The example's fault is sure to fire: drawn ones may all miss.
      { numRuns: 8, examples: [[[{ fault: { nth: 1, when: "after" }, maxEvents: 6, atOnce: false, grow: [2] }]]] },
    );
    expect(fired).toBeGreaterThan(0);
  });
});
