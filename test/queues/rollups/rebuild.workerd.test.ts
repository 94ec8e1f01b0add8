import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { minuteDeltas, type RolledEvent } from "../../../durable-objects/minute-rollup/minute-delta.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, ROLLUP } from "../../../r2-layout/limits.ts";
import { plainEvent, rolledEvent } from "../../durable-objects/minute-rollup/events.ts";
import { Fault } from "../log-rig.ts";
import {
  again,
  appliedTo,
  build,
  bytesOf,
  drainLive,
  jobOf,
  rollupOf,
  statesOf,
  TestLog,
  targetOf,
  versionsOf,
  wipe,
} from "./rebuild-rig.ts";

/** Hours that are final, kept as minutes, and all on one day or the next. */
const HOUR = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 8 * HOUR_MS;
const FINAL = HOUR + 6 * HOUR_MS;

beforeEach(() => reset());
afterEach(() => reset());

const at = (ms: number, more: Partial<RolledEvent> = {}) => plainEvent({ event_time: ms * 1_000, ...more });

/** What the rows would be if all events had come at once, through all rules: in another object. */
async function expectFolded(log: TestLog): Promise<void> {
  const reference = 500 + log.shard;
  const minutes = minuteDeltas(log.rows(0, log.head));
  await rollupOf(reference).apply({ shard: reference, from: 1, to: 1, completeUntil: 0, minutes });
  const expected = await statesOf(reference);
  expect(expected.size).toBeGreaterThan(0);
  expect(await statesOf(log.shard)).toEqual(expected);
  expect((await rollupOf(log.shard).status()).lastSeq).toBe(log.head);
}

/** Events of the last days, of which some are too old to have minutes. */
const anyEvent = fc.oneof(
  { weight: 5, arbitrary: rolledEvent(HOUR, 240) },
  { weight: 1, arbitrary: rolledEvent(HOUR - 5 * DAY_MS, 120) },
);
const segment = fc.array(anyEvent, { minLength: 1, maxLength: 6 });

const shadowRows = (shard: number) =>
  runInDurableObject(
    rollupOf(shard),
    (_, { storage }) => storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM shadow").one().n,
  );

/** @returns how many rows it has made wrong. */
async function damageRows(shard: number, { from, to }: { from: number; to: number }): Promise<number> {
  const rows = await runInDurableObject(rollupOf(shard), (_, { storage }) =>
    ["minutes", "hours"].map(
      (table) =>
        storage.sql.exec(`UPDATE ${table} SET events = events + 100 WHERE start >= ? AND start < ?`, from, to)
          .rowsWritten,
    ),
  );
  await evictDurableObject(rollupOf(shard));
  return rows.reduce((sum, count) => sum + count);
}

const crash = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.constantFrom("before" as const, "after" as const));

describe("a rebuild", () => {
  it("promise 4: gives what folding all events once gives, whatever crashes, comes live or comes late while it is made", async () => {
    let fired = 0;
    let interleaved = 0;
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(segment, { minLength: 3, maxLength: 8 }),
        // What comes live, by the number of the driver's call before which it comes.
        fc.array(fc.tuple(fc.nat(14), segment), { maxLength: 6 }),
        fc.tuple(crash, crash),
        fc.record({
          steps: fc.integer({ min: 1, max: 3 }),
          whole: fc.boolean(),
          damaged: fc.boolean(),
          end: fc.constantFrom("confirm" as const, "revert" as const, "discard" as const),
        }),
        async (segments, live, [first, second], { steps, whole, damaged, end }) => {
          // Objects of its own for each run, and of no other test: that takes less time than to reset all of them.
          const shard = 100 + ++runs;
          const log = new TestLog(shard);
          for (const events of segments) log.append(events, HOUR);
          await drainLive(log, undefined, FINAL - 3 * HOUR_MS);
          const window = { from: HOUR + HOUR_MS, to: HOUR + 3 * HOUR_MS };
          const inside = (key: string) => {
            const start = Number(key.split(" ")[1]);
            return !key.startsWith("day") && start >= window.from && start < window.to;
          };
          // As a bug would have left them: a build that swaps nothing is found out.
          const damage = damaged ? await damageRows(shard, window) : 0;
          let call = 0;
          const between = async () => {
            const now = call++;
            for (const [when, events] of live) {
              if (when !== now) continue;
              interleaved++;
              log.append(events, HOUR);
              await drainLive(log, undefined, FINAL);
            }
            if (now % 7 === 3) await evictDurableObject(rollupOf(shard));
          };
          const faults = [new Fault(...first), new Fault(...second)];
          const target = targetOf([log], faults);
          const job = jobOf("job", [log], whole ? null : window);
          await build(target, job, [log], steps, between);
          if (end === "discard") {
            await again(() => target.discard(job));
            await again(() => target.discard(job));
          } else {
            expect((await again(() => target.compare(job))).identical).toBe(damage === 0);
            const before = await bytesOf(shard);
            await again(() => target.swap(job));
            await again(() => target.swap(job));
            const after = await bytesOf(shard);
            for (const [key, bytes] of before) {
              if (damage === 0 || !(inside(key) || key.startsWith("day"))) expect(after.get(key), key).toBe(bytes);
            }
            await between();
            for (let i = 0; i < 2; i++) {
              if (end === "confirm") await again(() => target.confirm(job));
              else await again(async () => void (await target.revert(job)));
            }
          }
          if (end !== "confirm") {
            // The damage is there as it was, with what came since: another build finds it.
            const repair = targetOf([log]);
            const next = jobOf("next", [log]);
            await build(repair, next, [log], 3);
            expect((await repair.compare(next)).identical).toBe(damage === 0);
            await repair.swap(next);
            await repair.confirm(next);
          }
          await expectFolded(log);
          expect(await shadowRows(shard)).toBe(0);
          fired += faults.filter((fault) => fault.fired).length;
        },
      ),
      {
        numRuns: 20,
        examples: [
          [
            [[at(HOUR + HOUR_MS)], [at(HOUR + 2 * HOUR_MS)], [at(HOUR)]],
            [
              [1, [at(HOUR + HOUR_MS)]],
              [2, [at(HOUR + HOUR_MS + 1)]],
            ],
            [
              [2, "before"],
              [4, "after"],
            ],
            { steps: 1, whole: false, damaged: true, end: "confirm" },
          ],
        ],
      },
    );
    expect(fired).toBeGreaterThan(0);
    expect(interleaved).toBeGreaterThan(0);
  }, 60_000);

  it("promise 4: changes rows of its window that differ, their days, and no byte of any other", async () => {
    const log = new TestLog(0);
    const wrong = { from: HOUR + HOUR_MS, to: HOUR + 3 * HOUR_MS };
    for (let hour = 0; hour < 5; hour++) {
      log.append(
        [at(HOUR + hour * HOUR_MS), at(HOUR + hour * HOUR_MS + MINUTE_MS, { revenue: 2, currency: "EUR" })],
        HOUR,
      );
    }
    log.append([at(HOUR - 30 * DAY_MS)], HOUR);
    await drainLive(log, undefined, FINAL + 2 * DAY_MS);
    const version = log.raise({
      id: "c1",
      filter: { from: wrong.from * 1_000, to: wrong.to * 1_000, where: { revenue: [2] } },
      change: { kind: "set", values: { revenue: 3 } },
    });
    await rollupOf(0).raise(version);
    await drainLive(log, undefined, FINAL + 2 * DAY_MS);
    const before = await bytesOf(0);
    const target = targetOf([log], [], { reason: "correction" });
    const job = jobOf("c1-w1", [log], wrong);
    await build(target, job, [log], 2);
    expect(await target.compare(job)).toEqual({
      identical: false,
      before: 4,
      after: 4,
      differences: [HOUR + HOUR_MS, HOUR + 2 * HOUR_MS].map(
        (hour) => `${new Date(hour + MINUTE_MS).toISOString()} in shard 0: 1 events, other values`,
      ),
    });
    await target.swap(job);
    const after = await bytesOf(0);
    const changed = [...after].filter(([key, bytes]) => before.get(key) !== bytes).map(([key]) => key);
    const hours = [HOUR + HOUR_MS, HOUR + 2 * HOUR_MS];
    const days = [...new Set(hours.map((hour) => Math.floor(hour / DAY_MS) * DAY_MS))];
    expect(changed.sort()).toEqual(
      [
        ...hours.map((hour) => `minute ${hour + MINUTE_MS}`),
        ...hours.map((hour) => `hour ${hour}`),
        ...days.map((day) => `day ${day}`),
      ].sort(),
    );
    for (const key of changed) expect(JSON.parse(after.get(key)!)).toMatchObject({ version: 2 });
    const changes = await rollupOf(0).changes(0, FINAL, 10);
    expect(changes).toMatchObject(
      hours.toReversed().map((hour) => ({
        minute: hour + MINUTE_MS,
        grain: "minute",
        version: 2,
        reason: "correction",
        job: "c1-w1",
        events: 0,
        revenue: [["EUR", 1_000_000n]],
      })),
    );
    await expectFolded(log);
    // The old is as good as it was, and then the new again: each is a version of its own.
    await target.revert(job);
    const reverted = await bytesOf(0);
    for (const [key, bytes] of before) {
      const { version: was, ...old } = JSON.parse(bytes) as { version: number };
      expect(JSON.parse(reverted.get(key)!), key).toEqual({ ...old, version: changed.includes(key) ? 3 : was });
    }
  });

  it("finds nothing and changes nothing where the live rows are right, minutes that are no longer kept included", async () => {
    const logs = [new TestLog(0), new TestLog(1)];
    for (const log of logs) {
      for (const events of fc.sample(segment, { numRuns: 6, seed: log.shard })) log.append(events, HOUR);
      await drainLive(log, 4, FINAL);
      await drainLive(log, undefined, FINAL);
    }
    const before = await Promise.all(logs.map(({ shard }) => bytesOf(shard)));
    const target = targetOf(logs);
    const job = jobOf("same", logs);
    await build(target, job, logs, 2);
    expect(await target.compare(job)).toMatchObject({ identical: true, differences: [] });
    await target.swap(job);
    await target.confirm(job);
    expect(await Promise.all(logs.map(({ shard }) => bytesOf(shard)))).toEqual(before);
    expect((await rollupOf(0).changes(0, FINAL, 10)).filter(({ reason }) => reason !== "late")).toEqual([]);
  });

  it("reads from the first place that may hold an event of the window, a day ahead of its receipt", async () => {
    const log = new TestLog(0);
    const window = { from: HOUR, to: HOUR + HOUR_MS };
    log.append([at(HOUR - 3 * DAY_MS)], HOUR - 3 * DAY_MS);
    log.append([at(HOUR + 1)], HOUR - DAY_MS + 1);
    log.append([at(HOUR + 2)], HOUR + 5 * DAY_MS);
    await drainLive(log);
    const target = targetOf([log]);
    expect(await target.plan(jobOf("part", [log], { from: HOUR + 1, to: HOUR + 2 }))).toEqual([
      { shard: 0, after: 1, to: 3, steps: 0, window },
    ]);
    expect(await target.plan(jobOf("later", [log], { from: HOUR + 20 * DAY_MS, to: HOUR + 21 * DAY_MS }))).toEqual([]);
    const range = { shard: 0, from: 1, to: 2 };
    await expect(target.plan({ ...jobOf("seqs", [log]), range })).rejects.toThrow(/^rollups are rebuilt by time/);
  });

  it("is refused its swap while a part is missing, and with an older rule; then it begins anew", async () => {
    const log = new TestLog(0);
    log.append([at(HOUR)], HOUR);
    log.append([at(HOUR + 1, { page_path: "/wrong" })], HOUR);
    await drainLive(log, undefined, FINAL);
    const target = targetOf([log]);
    const job = jobOf("job", [log], { from: HOUR, to: HOUR + HOUR_MS });
    await target.plan(job);
    await expect(target.swap(job)).rejects.toThrow("has the log up to 0 of 2");
    await build(target, job, [log], 1);
    await rollupOf(0).raise(
      log.raise({ id: "r", filter: { where: { page_path: ["/wrong"] } }, change: { kind: "retract" } }),
    );
    await expect(target.swap(job)).rejects.toThrow(/^rules: 1 is in force/);
    const step = { shard: 0, step: 3, from: 2, to: 3, events: [], quarantine: [] };
    await expect(target.add(job, { ...step, rules: 0 })).rejects.toThrow(/^rules: /);
    await drainLive(log, undefined, FINAL);
    await build(target, job, [log], 1);
    await target.swap(job);
    await expectFolded(log);
    // What it keeps passed through no further rule: nobody may go back to it after the next one.
    await rollupOf(0).raise(
      log.raise({ id: "s", filter: { where: { page_path: ["/x"] } }, change: { kind: "retract" } }),
    );
    await expect(target.revert(job)).rejects.toThrow(/^rules: /);
    await target.confirm(job);
  });

  it("keeps others out of its minutes, until a rule makes it worthless; calls that come after its end change nothing", async () => {
    const log = new TestLog(0);
    log.append([at(HOUR)], HOUR);
    await drainLive(log, undefined, FINAL);
    const target = targetOf([log]);
    const window = { from: HOUR, to: HOUR + HOUR_MS };
    const [job, other] = [jobOf("one", [log], window), jobOf("two", [log], window)];
    const beside = jobOf("beside", [log], { from: HOUR + HOUR_MS, to: HOUR + 2 * HOUR_MS });
    await build(target, job, [log], 1);
    await expect(target.plan(other)).rejects.toThrow(/^busy: job one/);
    await target.plan(beside);
    await target.swap(job);
    await expect(target.plan(other)).rejects.toThrow(/^busy: job one/);
    await rollupOf(0).raise(
      log.raise({ id: "r", filter: { where: { page_path: ["/x"] } }, change: { kind: "retract" } }),
    );
    await drainLive(log, undefined, FINAL);
    await build(target, other, [log], 1);
    await expect(target.plan(job)).rejects.toThrow("has been confirmed");
    await target.confirm(job);
    await target.discard(job);
    await target.discard(other);
    await expect(target.plan(other)).rejects.toThrow("has been discarded");
    await expect(target.swap(other)).rejects.toThrow("has been discarded");
    const never = jobOf("never", [log], window);
    await target.discard(never);
    await expect(target.plan(never)).rejects.toThrow("has been discarded");
    await expectFolded(log);
  });

  it.each([true, false])(
    "abandoned leaves the live rows as they are, swapped or not (%s), and its minutes to others",
    async (swapped) => {
      const log = new TestLog(0);
      log.append([at(HOUR)], HOUR);
      await drainLive(log, undefined, FINAL);
      const target = targetOf([log]);
      const [job, other] = [jobOf("job", [log]), jobOf("other", [log])];
      await build(target, job, [log], 1);
      if (swapped) await target.swap(job);
      const before = await statesOf(0);
      for (let twice = 0; twice < 2; twice++) expect(await target.abandon(job)).toBe(swapped ? "built" : "before");
      expect(await statesOf(0)).toEqual(before);
      await build(target, other, [log], 1);
      await target.swap(other);
      await expect(target.plan(job)).rejects.toThrow("has been");
      await expectFolded(log);
    },
  );

  it("reads what the cursor has passed, and waits for it to pass what the object has beyond", async () => {
    const log = new TestLog(0);
    log.append([at(HOUR)], HOUR);
    await drainLive(log, undefined, FINAL);
    log.append([at(HOUR + 1)], HOUR);
    // A drain has died between its effect and its cursor.
    const minutes = minuteDeltas(log.rows(1, 2));
    await rollupOf(0).apply({ shard: 0, from: 2, to: 2, completeUntil: FINAL, minutes, rules: 0 });
    const target = targetOf([log]);
    const job = jobOf("job", [log]);
    expect(await target.plan(job)).toMatchObject([{ after: 0, to: 1 }]);
    await target.add(job, { shard: 0, step: 1, from: 0, to: 1, rules: 0, events: log.rows(0, 1), quarantine: [] });
    await expect(target.plan(job)).rejects.toThrow("is at 1, behind its rollups at 2");
    await drainLive(log, undefined, FINAL);
    await build(target, job, [log], 1);
    await target.swap(job);
    await expectFolded(log);
  });

  it("puts back what was swapped in some shards only, where its job is cancelled then", async () => {
    const log = new TestLog(0);
    log.append([at(HOUR)], HOUR);
    await drainLive(log, undefined, FINAL);
    const before = await statesOf(0);
    const target = targetOf([log]);
    const job = jobOf("job", [log]);
    await target.plan(job);
    await target.add(job, { shard: 0, step: 1, from: 0, to: 1, rules: 0, events: [], quarantine: [] });
    await target.swap(job);
    expect((await statesOf(0)).size).toBe(0);
    await target.discard(job);
    expect(await statesOf(0)).toEqual(before);
  });
});

describe("an object that was wiped", () => {
  async function wiped(): Promise<TestLog> {
    const log = new TestLog(0);
    for (const events of fc.sample(segment, { numRuns: 5, seed: 11 })) log.append(events, HOUR);
    await drainLive(log, undefined, FINAL);
    await wipe(0);
    log.append([at(HOUR + 5 * MINUTE_MS)], HOUR);
    return log;
  }

  it("promise 4: fails its sink loudly, moves no cursor, and is restored by a rebuild of everything; then live goes on", async () => {
    const log = await wiped();
    await expect(drainLive(log)).rejects.toThrow("behind the cursor");
    expect(await appliedTo(0)).toBe(5);
    const target = targetOf([log]);
    const window = { from: HOUR, to: HOUR + HOUR_MS };
    await expect(target.plan(jobOf("part", [log], window))).rejects.toThrow(/have lost rows/);
    const job = jobOf("all", [log]);
    await build(target, job, [log], 2, () => expect(drainLive(log)).rejects.toThrow("behind the cursor"));
    await target.swap(job);
    expect(await rollupOf(0).status()).toMatchObject({ lastSeq: 5, events: log.rows(0, 5).length });
    await expect(target.revert(job)).rejects.toThrow("restored rows that were lost");
    await drainLive(log);
    await target.confirm(job);
    await drainLive(log);
    await expectFolded(log);
  });

  it("is filled from the log in order, crashed and repeated; a fill where nothing is missing does nothing", async () => {
    const log = await wiped();
    const faults = [new Fault(3, "before"), new Fault(8, "after")];
    const target = targetOf([log], faults);
    const job = jobOf("fill", [log]);
    const step = (n: number, from: number, to: number) => ({
      shard: 0,
      step: n,
      from,
      to,
      rules: 0,
      events: log.rows(from, to),
      quarantine: [],
    });
    await expect(target.fill({ ...job, from: HOUR }, step(1, 0, 2))).rejects.toThrow(/above seq 0/);
    await expect(target.fill(job, step(1, 2, 4))).rejects.toThrow(/above seq 0/);
    for (const [n, from, to] of [
      [1, 0, 2],
      // Cut elsewhere than the one before: some of it is there.
      [2, 1, 3],
      // Beyond the cursor, which is the live sink's affair.
      [3, 3, 6],
    ] as const) {
      await again(() => target.fill(job, step(n, from, to)));
      expect(await target.fill(job, step(n, from, to))).toBe(0);
    }
    expect(faults.map(({ fired }) => fired)).toEqual([true, true]);
    expect(await target.fill(job, step(4, 5, 6))).toBe(0);
    expect((await rollupOf(0).status()).lastSeq).toBe(5);
    await drainLive(log);
    await expectFolded(log);
    expect((await rollupOf(0).status()).events).toBe(log.rows(0, 6).length);
  });

  it("restored while it is built for another window, loses neither what comes live nor what was there", async () => {
    const log = new TestLog(0);
    log.append([at(HOUR), at(HOUR + HOUR_MS)], HOUR);
    await drainLive(log, undefined, FINAL);
    const target = targetOf([log]);
    const part = jobOf("part", [log], { from: HOUR, to: HOUR + HOUR_MS });
    await target.plan(part);
    await wipe(0);
    await expect(
      target.add(part, { shard: 0, step: 1, from: 0, to: 1, rules: 0, events: log.rows(0, 1), quarantine: [] }),
    ).rejects.toThrow("is not known here");
    const all = jobOf("all", [log]);
    await build(target, all, [log], 1);
    await target.swap(all);
    log.append([at(HOUR + 2)], HOUR);
    await drainLive(log, undefined, FINAL);
    await expectFolded(log);
  });
});

describe("rules (promise 4)", () => {
  it("a batch that passed through older rules is refused, read again, and applied once", async () => {
    const log = new TestLog(0);
    log.append([at(HOUR, { page_path: "/wrong" }), at(HOUR)], HOUR);
    const version = log.raise({ id: "r", filter: { where: { page_path: ["/wrong"] } }, change: { kind: "retract" } });
    await rollupOf(0).raise(version);
    await evictDurableObject(rollupOf(0));
    const stale = { shard: 0, from: 1, to: 2, completeUntil: 0, minutes: minuteDeltas(log.rows(0, 2, 0)) };
    expect(await rollupOf(0).apply(stale)).toEqual({ applied: false, lastSeq: 0, rules: 1 });
    await drainLive(log);
    expect(await rollupOf(0).apply(stale)).toEqual({ applied: false, lastSeq: 2 });
    await expectFolded(log);
    expect((await rollupOf(0).status()).events).toBe(1);
  });
});

it("promise 9: at most so many windows at once in an object", async () => {
  const begin = (i: number) =>
    rollupOf(0).begin({
      job: `job ${i}`,
      shard: 0,
      from: HOUR + i * HOUR_MS,
      to: HOUR + (i + 1) * HOUR_MS,
      cursor: 0,
      after: 0,
    });
  for (let i = 0; i < ROLLUP.rebuildsAtOnce; i++) await begin(i);
  const refused = await runInDurableObject(rollupOf(0), (object) =>
    object
      .begin({ job: "more", shard: 0, from: HOUR - HOUR_MS, to: HOUR, cursor: 0, after: 0 })
      .then(() => null, String),
  );
  expect(refused).toContain(`busy: ${ROLLUP.rebuildsAtOnce} windows`);
  expect(await versionsOf(0, "hour")).toEqual(new Map());
});
