import { describe, expect, it } from "vitest";
import type { JobSpec, RebuildSpec } from "../../../durable-objects/replay-desk/api.ts";
import { SINKS } from "../../../durable-objects/sink-cursor/api.ts";
import { dayOf } from "../../../r2-layout/time.ts";
import { clockOfEachTest } from "./replay-rig.ts";
import {
  begin,
  deliver,
  desk,
  lake,
  messageOf,
  real,
  rollup,
  runJob,
  type TestEvent,
  timeline,
} from "./whole-pipeline.ts";

/** The pipeline before a split, and after it; for a while both run. */
const before = { ...real, SHARDS: "1" };
const after = { ...real, SHARDS: "1,2" };

const clock = clockOfEachTest();

const sendBefore = (events: readonly TestEvent[]) => deliver("events-0", [messageOf(0, events)], before);
const sendAfter = (shard: number, events: readonly TestEvent[]) =>
  deliver(`events-${shard}`, [messageOf(shard, events, undefined, 1)], after);
const drain = async (shards: readonly number[], to: typeof real) => {
  for (const sink of SINKS)
    await deliver(
      sink,
      shards.map((shard) => ({ shard, head: 0 })),
      to,
    );
};

describe("promise 4: a rebuild in whose time shards are split", () => {
  const everything: RebuildSpec = {
    ...{ kind: "rebuild", sinks: SINKS, from: null, to: null, range: null, rate: 1_000_000 },
    swap: "manual",
  };

  it.each([
    ["knows", after],
    ["does not know", before],
  ])("is swapped in and confirmed by a Worker that %s the new shards, and has all events once", async (_, worker) => {
    await sendBefore([{ event_id: "a" }, { event_id: "b" }]);
    await drain([0], before);
    const id = await begin("build", everything);
    await runJob(id, clock, ["waiting_for_swap"], before);
    await sendAfter(1, [{ event_id: "c" }]);
    await drain([0, 1], after);
    await desk().act(id, "swap");
    await runJob(id, clock, ["waiting_for_confirmation"], worker);
    await sendAfter(1, [{ event_id: "d" }]);
    await drain([0, 1], after);
    await desk().act(id, "confirm");
    expect(await runJob(id, clock, ["done"], worker)).toMatchObject({ error: null, outcome: "confirmed" });
    await drain([0, 1], after);
    expect(Object.keys(await lake())).toEqual(["0:a", "0:b", "1:c", "1:d"]);
    expect(await timeline("device", "phone")).toEqual(["a", "b", "c", "d"]);
    expect(await rollup()).toBe(4);
  });

  it("is taken back, and let go, in the shards that it was built in", async () => {
    await sendBefore([{ event_id: "a" }]);
    await drain([0], before);
    const id = await begin("build", everything);
    await runJob(id, clock, ["waiting_for_swap"], before);
    await desk().act(id, "swap");
    await runJob(id, clock, ["waiting_for_confirmation"], before);
    await sendAfter(1, [{ event_id: "b" }]);
    await drain([0, 1], after);
    await desk().act(id, "revert");
    expect(await runJob(id, clock, ["done"], before)).toMatchObject({ error: null, outcome: "reverted" });
    await drain([0, 1], after);
    const other = await begin("other", everything);
    await runJob(other, clock, ["waiting_for_swap"], before);
    await desk().act(other, "cancel");
    expect(await runJob(other, clock, ["cancelled"], after)).toMatchObject({ error: null });
    expect(await timeline("device", "phone")).toEqual(["a", "b"]);
    expect(await rollup()).toBe(2);
    expect(Object.keys(await lake())).toEqual(["0:a", "1:b"]);
  });

  it("covers one whose log has not begun, though there were rules before: it takes them with its first commit", async () => {
    await sendBefore([{ event_id: "a" }, { event_id: "gone", anonymous_id: "wrong" }]);
    await drain([0], before);
    const filter = { where: { anonymous_id: ["wrong"] } };
    const spec = { kind: "correction", filter, change: { kind: "retract" }, note: null, rate: 1_000_000 } as const;
    await begin("fix", spec, "confirm");
    for (let slice = 0; slice < 20 && (await desk().job("fix"))?.endedAt === null; slice++) {
      await deliver("replays", [{ job: "fix" }], before);
      await drain([0], before);
      clock.pass(120_000);
    }
    const id = await begin("build", { ...everything, sinks: ["rollups"] });
    await runJob(id, clock, ["waiting_for_swap"], after);
    await sendAfter(1, [{ event_id: "b" }]);
    await drain([0, 1], after);
    await desk().act(id, "swap");
    expect(await runJob(id, clock, ["waiting_for_confirmation"], after)).toMatchObject({ error: null });
    expect(await rollup()).toBe(2);
  });
});

describe("a rule in whose time shards are split", () => {
  const correction: JobSpec = {
    ...{ kind: "correction", filter: { where: { anonymous_id: ["wrong"] } }, note: null, rate: 1_000_000 },
    change: { kind: "set", values: { anonymous_id: "right" } },
  };
  const wrong = (id: string): TestEvent => ({ event_id: id, anonymous_id: "wrong" });
  /** A few messages of a job to a Worker, and the sinks' own. */
  const slices = async (id: string, worker: typeof real, count: number) => {
    for (let slice = 0; slice < count; slice++) {
      await deliver("replays", [{ job: id }], worker);
      clock.pass(120_000);
    }
    return (await desk().job(id))!;
  };

  it("waits for a Worker that knows the new shards, and reaches the rows that they had", async () => {
    await sendBefore([wrong("a")]);
    await drain([0], before);
    await sendAfter(1, [wrong("b")]);
    await drain([0, 1], after);
    const id = await begin("fix", correction, "confirm");
    expect(await slices(id, before, 3)).toMatchObject({
      state: "running",
      error: expect.stringContaining("were split"),
    });
    await sendAfter(1, [wrong("above the rule's place")]);
    expect(await runJob(id, clock, ["done"], after)).toMatchObject({ error: null, outcome: "2 events" });
    await drain([0, 1], after);
    expect(await lake()).toEqual({ "0:a": "right", "1:b": "right", "1:above the rule's place": "wrong" });
    expect(await timeline("device", "right")).toEqual(["a", "b"]);
    expect(await timeline("device", "wrong")).toEqual(["above the rule's place"]);
    expect(await rollup()).toBe(3);
  });

  it("goes on with the shards that there were, whoever does its next slice, and leaves the new ones alone", async () => {
    await sendBefore([wrong("a"), { event_id: "b" }]);
    await drain([0], before);
    const id = await begin("fix", correction, "confirm");
    // It dies between the build of a window of rollups and its swap.
    const dying = { ...before, MINUTE_ROLLUP: withoutSwap(real.MINUTE_ROLLUP) };
    await slices(id, dying, 1);
    await drain([0], before);
    expect(await slices(id, dying, 2)).toMatchObject({ error: "no swap" });
    await sendAfter(1, [wrong("c")]);
    await drain([0, 1], after);
    expect(await slices(id, after, 2)).toMatchObject({ state: "done", error: null });
    expect(await lake()).toEqual({ "0:a": "right", "0:b": "phone", "1:c": "wrong" });
    expect([await timeline("device", "right"), await timeline("device", "wrong")]).toEqual([["a"], ["c"]]);
    expect(await rollup()).toBe(3);
  });

  it("of a settlement or an audit waits as well: the older copy may be in a shard that its Worker does not know", async () => {
    await sendBefore([{ event_id: "other" }]);
    await sendAfter(1, [wrong("a"), { event_id: "b", anonymous_id: "first" }]);
    await new Promise((resolve) => setTimeout(resolve, 5)); // Two commits of one millisecond would go by their shard.
    const replaced = { event_id: "a", anonymous_id: "right", flags: ["republished"] };
    await deliver("events-0", [messageOf(0, [replaced], "fix", 1)], after);
    await deliver("events-0", [messageOf(0, [{ event_id: "b", anonymous_id: "later" }], undefined, 1)], after);
    await drain([0, 1], after);
    const reads = [{ shard: 0, after: 0, to: 2 }];
    const days = [dayOf(Date.now() * 1_000)];
    for (const spec of [
      { kind: "settlement", reads, rate: 1e6 } as const,
      { kind: "audit", days, rate: 1e6 } as const,
    ]) {
      const id = await begin(spec.kind, spec);
      expect(await slices(id, before, 3)).toMatchObject({ error: expect.stringContaining("were split") });
      expect(await runJob(id, clock, ["done"], after)).toMatchObject({ outcome: "1 events" });
    }
    expect(await lake()).toEqual({ "0:other": "phone", "0:a": "right", "1:b": "first" });
    expect([await timeline("device", "wrong"), await timeline("device", "later")]).toEqual([[], []]);
    expect(await rollup()).toBe(3);
  });
});

/** The same objects, but for one call. */
function withoutSwap(rollups: typeof real.MINUTE_ROLLUP): typeof real.MINUTE_ROLLUP {
  const swap = () => Promise.reject(new Error("no swap"));
  return {
    getByName: (name) =>
      new Proxy(rollups.getByName(name), {
        get: (object, method) => (method === "swap" ? swap : object[method as keyof typeof object]),
      }),
  };
}
