import { expect, it } from "vitest";
import { type HistoryJobDeps, runHistoryJob } from "../../../queues/maintenance/history-jobs.ts";
import { CUT, DAY_MS, HOUR_MS, LAKE, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { Fault } from "../log-rig.ts";
import { clockOfEachTest } from "../replay/replay-rig.ts";
import { begin, drain, runJob } from "../replay/whole-pipeline.ts";
import { at, DAY, DAY_START, historyDeps, idsOf, lake, MIDNIGHT, rowsOf, runHistory, sendOn } from "./history-rig.ts";

const clock = clockOfEachTest();

/** Two shards, three flushes each, one row of the next day and one of long ago, and all sinks drained. */
async function aDay(): Promise<void> {
  at(clock, DAY_START + 13 * HOUR_MS);
  for (let flush = 0; flush < 3; flush++) {
    await sendOn(0, [{ event_id: `a${flush}` }, { event_id: `b${flush}`, event_name: "seen", country: "DE" }]);
    await sendOn(1, [{ event_id: `c${flush}`, source: "app" }]);
    await drain();
    clock.pass(MINUTE_MS);
  }
  await sendOn(0, [{ event_id: "old", event_time: (DAY_START - 40 * DAY_MS) * 1_000 }]);
  await sendOn(0, [{ event_id: "tomorrow", event_time: (MIDNIGHT + 1) * 1_000 }]);
  await drain();
}

const OF_DAY = ["a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"];
const ALL = [...OF_DAY, "old"].sort();
const FREEZE_AT = MIDNIGHT + CUT.delayMs;

it("freezes a day that is over, compacts exactly its files, and finds the rollups' counts in it", async () => {
  await aDay();
  at(clock, FREEZE_AT - MINUTE_MS);
  await runHistory(clock);
  expect(await lake().cuts(10)).toEqual([]);
  at(clock, FREEZE_AT);
  await runHistory(clock);
  const cut = (await lake().cut(DAY))!;
  expect(cut).toMatchObject({
    name: DAY,
    version: 1,
    state: "complete",
    missing: [],
    through: MIDNIGHT * 1_000,
    cursors: { 0: 5, 1: 3 },
    diff: null,
    phase: "done",
    comparison: { agrees: true, events: { cut: 9, rollups: 9 }, event_name: [], country: [], beyond: { 0: 0, 1: 0 } },
  });
  // Three flushes of two shards, and a file of several days, which was taken apart.
  expect(cut.swapped.out.length).toBe(7);
  expect(cut.swapped.in.length).toBe(1);
  expect(await idsOf(DAY)).toEqual(ALL);
  // What it named before its compaction is let go once no snapshot reaches it, and the cut stands.
  clock.pass(LAKE.snapshotReachMs + DAY_MS);
  expect(await lake().forget()).toBe(7);
  expect(await idsOf(`${DAY}.v1`)).toEqual(ALL);
});

it("promise 8: what comes late, and what is corrected, makes versions with their differences, and changes none before", async () => {
  await aDay();
  at(clock, FREEZE_AT);
  await runHistory(clock);
  await sendOn(1, [{ event_id: "late1", source: "app", country: undefined }]);
  await sendOn(0, [{ event_id: "late2", event_name: "__proto__" }]);
  await drain();
  clock.pass(CUT.versionEveryMs + CUT.checkEveryMs);
  await runHistory(clock);
  expect((await lake().cut(DAY))!).toMatchObject({
    version: 2,
    state: "complete",
    diff: {
      against: `${DAY}.v1`,
      rows: { before: 9, after: 11 },
      keys_changed: true,
      event_name: [
        { value: "__proto__", before: 0, after: 1 },
        { value: "bought", before: 6, after: 7 },
      ],
      country: [
        { value: "(none)", before: 0, after: 1 },
        { value: "AT", before: 6, after: 7 },
      ],
      source: [
        { value: "app", before: 3, after: 4 },
        { value: "shop", before: 6, after: 7 },
      ],
    },
    comparison: { agrees: true, events: { cut: 11, rollups: 11 } },
  });
  // A correction of a column that is in no key.
  const filter = { where: { source: ["app"] } };
  await begin(
    "fix",
    { kind: "correction", filter, change: { kind: "set", values: { city: "Linz" } }, note: null, rate: 1_000_000 },
    "confirm",
  );
  await runJob("fix", clock);
  clock.pass(CUT.versionEveryMs + CUT.checkEveryMs);
  await runHistory(clock);
  expect((await lake().cut(DAY))!).toMatchObject({
    version: 3,
    diff: { against: `${DAY}.v2`, keys_changed: false, contents_changed: true, event_name: [], source: [] },
  });
  const cities = async (cut: string) => (await rowsOf(cut)).filter(({ city }) => city === "Linz").length;
  expect([await cities(`${DAY}.v1`), await cities(`${DAY}.v2`), await cities(DAY)]).toEqual([0, 0, 4]);
  expect(await idsOf(`${DAY}.v1`)).toEqual(ALL);
  clock.pass(LAKE.snapshotReachMs + DAY_MS);
  await lake().forget();
  expect(await idsOf(`${DAY}.v1`)).toEqual(ALL);
  expect(await idsOf(`${DAY}.v2`)).toEqual([...ALL, "late1", "late2"].sort());
  // Nothing came since.
  await runHistory(clock);
  expect((await lake().cut(DAY))!.version).toBe(3);
});

it("promise 3: a message that an edge has sent and nobody has seen keeps the day waiting, then partial, then makes a version", async () => {
  await aDay();
  const edge = "edge-with-a-gap";
  await sendOn(0, [{ event_id: "second" }], { edge, n: 2, before: 1 });
  await drain();
  at(clock, FREEZE_AT);
  await runHistory(clock);
  expect(await lake().cuts(10)).toEqual([]);
  at(clock, MIDNIGHT + CUT.waitMs);
  await runHistory(clock);
  expect(await lake().cut(DAY)).toMatchObject({
    state: "partial",
    missing: [{ what: "gap", shard: 0, count: 1 }],
    comparison: { agrees: true, events: { cut: 10 } },
  });
  // A gap that shows tomorrow is tomorrow's.
  await sendOn(1, [{ event_id: "of tomorrow", event_time: (MIDNIGHT + HOUR_MS) * 1_000 }], {
    edge: "x",
    n: 2,
    before: 1,
  });
  await sendOn(0, [{ event_id: "first" }], { edge, n: 1, before: 0 });
  await drain();
  clock.pass(2 * CUT.checkEveryMs);
  await runHistory(clock);
  expect(await lake().cut(DAY)).toMatchObject({
    version: 2,
    state: "complete",
    missing: [],
    diff: { rows: { before: 10, after: 11 } },
  });
});

it("promise 3: lines that the lake left out make a day partial, a cursor that stays behind too, and neither hides the other", async () => {
  await aDay();
  await sendOn(1, [{ event_id: "behind" }]);
  const { token, cursor } = (await lake().lease(0, "test", 1_000))!;
  await sendOn(0, [{ event_id: "left out" }]);
  const hole = {
    lines: "all",
    of: 1,
    events: 1,
    quarantined: 0,
    cause: "segment_missing",
    detail: "",
    key: "log/x",
  } as const;
  await lake().decide(0, token, cursor, { seq: cursor + 1, ...hole });
  const applied = { events: 0, quarantined: 0 };
  await lake().append({ shard: 0, token, from: cursor, to: cursor + 1, applied, add: [] });
  await lake().release(0, token);
  at(clock, MIDNIGHT + CUT.waitMs);
  await runHistory(clock);
  expect((await lake().cut(DAY))!.missing).toEqual([
    { what: "in_flight", shard: 1, count: 1 },
    { what: "hole", shard: 0, count: 1, seq: cursor + 1 },
  ]);
  await lake().close(0, cursor + 1, cursor + 2);
  await drain();
  clock.pass(CUT.retryMs);
  await runHistory(clock);
  expect(await lake().cut(DAY)).toMatchObject({ version: 1, phase: "done" });
  clock.pass(2 * CUT.checkEveryMs);
  await runHistory(clock);
  expect(await lake().cut(DAY)).toMatchObject({ version: 2, state: "complete", missing: [] });
  expect(await idsOf(DAY)).toContain("behind");
});

/** Everything that the work on cuts calls, with a fault at one call. */
function faulty(fault: Fault): HistoryJobDeps {
  const deps = historyDeps();
  const failing = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(_, name) {
        const value = Reflect.get(target, name) as unknown;
        return typeof value === "function"
          ? (...args: unknown[]) => fault.around(async () => Reflect.apply(value, target, args))
          : value;
      },
    });
  const namespace = (of: object) => ({
    getByName: (name: string) => failing((of as { getByName(name: string): object }).getByName(name)),
  });
  return {
    ...deps,
    bucket: failing(deps.bucket),
    catalog: namespace(deps.catalog) as never,
    history: {
      ...deps.history,
      logs: namespace(deps.history.logs) as never,
      rollups: namespace(deps.history.rollups) as never,
    },
  };
}

it.each(["before", "after"] as const)(
  "promise 5: cut off %s any of its calls and begun again, by two at once, it makes the same cut",
  async (when) => {
    await aDay();
    at(clock, FREEZE_AT);
    let fired = true;
    let calls = 0;
    // One run on the same lake: each begins where the one before was cut off.
    for (let call = 1; fired; call += call < 12 ? 1 : 5) {
      const fault = new Fault(call, when);
      await runHistoryJob({ kind: "cuts" }, faulty(fault)).catch(() => null);
      ({ fired } = fault);
      if (fired) calls++;
      clock.pass(CUT.retryMs);
    }
    expect(calls).toBeGreaterThan(10);
    await Promise.all([runHistory(clock), runHistory(clock)]);
    clock.pass(CUT.retryMs);
    await runHistory(clock);
    const cuts = await lake().cuts(10);
    expect(cuts).toMatchObject([
      { name: DAY, version: 1, state: "complete", phase: "done", comparison: { agrees: true, events: { cut: 9 } } },
    ]);
    expect(await idsOf(DAY)).toEqual(ALL);
    expect((await lake().status()).rows.events).toBe(11);
  },
);

it("two at once make one cut, and its rows once", async () => {
  await aDay();
  at(clock, FREEZE_AT);
  await Promise.all([runHistory(clock), runHistory(clock), runHistory(clock)]);
  // Of two compactions of the same files one was told so, and looks again a minute later.
  clock.pass(CUT.retryMs);
  await runHistory(clock);
  expect(await lake().cuts(10)).toMatchObject([{ version: 1, phase: "done", comparison: { agrees: true } }]);
  expect(await idsOf(DAY)).toEqual(ALL);
});

it("gives up a tally whose files cannot be read, and says so, without holding up the cut", async () => {
  await aDay();
  at(clock, FREEZE_AT);
  const deps = historyDeps();
  const bucket = { ...deps.bucket, get: async () => null, put: deps.bucket.put } as unknown as HistoryJobDeps["bucket"];
  for (let attempt = 0; attempt < 3 * CUT.attempts; attempt++) {
    await runHistoryJob({ kind: "cuts" }, { ...deps, bucket }).catch(() => null);
    clock.pass(CUT.retryMs);
  }
  expect(await lake().cut(DAY)).toMatchObject({
    state: "complete",
    phase: "done",
    comparison: { agrees: false, note: expect.stringMatching(/no tally: .*missing/) },
  });
});

it("leaves the logs of a split that it does not know of to a newer Worker", async () => {
  await aDay();
  at(clock, FREEZE_AT);
  const deps = historyDeps();
  const known = { ...deps, history: { ...deps.history, epoch: -1 } };
  await expect(runHistoryJob({ kind: "cuts" }, known)).rejects.toThrow(/shards were split/);
  expect(await lake().cuts(10)).toEqual([]);
});
