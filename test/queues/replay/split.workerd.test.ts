import { reset } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RebuildSpec } from "../../../durable-objects/replay-desk/api.ts";
import { SINKS } from "../../../durable-objects/sink-cursor/api.ts";
import { Clock } from "./replay-rig.ts";
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

let clock: Clock;
beforeEach(() => {
  for (const level of ["log", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
  clock = new Clock();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

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
