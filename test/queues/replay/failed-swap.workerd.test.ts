import { expect, it } from "vitest";
import { createSessionsRebuild } from "../../../queues/sessions/rebuild.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { clockOfEachTest } from "./replay-rig.ts";
import { begin, deliver, desk, drain, lake, real, rollup, runJob, SHARDS, send, timeline } from "./whole-pipeline.ts";

const clock = clockOfEachTest();

const REBUILD = {
  kind: "rebuild",
  sinks: ["rollups", "lake", "sessions"],
  from: null,
  to: null,
  range: null,
  rate: 1e6,
  swap: "manual",
} as const;

/** The rollups and the lake have swapped; the sessions cannot: their live sink has left something out since. */
async function failedInItsSwap(): Promise<number> {
  await send(0, [{ event_id: "a", user_id: "u" }]);
  await drain();
  const { snapshot } = await real.LAKE_CATALOG.getByName("lake").status();
  await begin("anew", REBUILD);
  await runJob("anew", clock, ["waiting_for_swap"]);
  await send(0, [
    { event_id: "bad", user_id: "u" },
    { event_id: "b", user_id: "u" },
  ]);
  const cursor = real.SINK_CURSOR.getByName(`sessions:${shardName(0)}`);
  const { token } = (await cursor.lease("test", 1_000))!;
  const { key } = (await real.EVENT_LOG.getByName(shardName(0)).segments(1, 1)).segments[0]!;
  const hole = { seq: 2, key, lines: [0], of: 2, events: 1, quarantined: 0, cause: "step_refused", detail: "" };
  await cursor.decide(0, token, 1, hole);
  await cursor.release(token);
  await drain();
  await desk().act("anew", "swap");
  const { error, progress } = await runJob("anew", clock, ["failed"]);
  expect(error).toContain("holes:");
  expect(progress).toMatchObject({ sinks: { rollups: { stage: "swapped" }, lake: { stage: "swapped" } } });
  return snapshot;
}

async function expectAllThere(): Promise<void> {
  expect(Object.keys(await lake())).toEqual(["0:a", "0:b", "0:bad"]);
  expect(await timeline("user", "u")).toEqual(["a", "b"]);
  expect(await rollup()).toBe(3);
}

it("a rebuild that fails between two swaps is taken back in all sinks, and the next one begins", async () => {
  await failedInItsSwap();
  expect((await desk().act("anew", "cancel")).kind).toBe("refused");
  expect((await desk().act("anew", "revert")).kind).toBe("accepted");
  expect(await runJob("anew", clock)).toMatchObject({ outcome: "reverted" });
  await expectAllThere();
  expect(await real.LAKE_CATALOG.getByName("lake").status()).toMatchObject({ rebuilt: 0, rebuilding: [] });
  await begin("next", { ...REBUILD, swap: "automatic" });
  await runJob("next", clock, ["waiting_for_confirmation"]);
  await expectAllThere();
});

it("a rebuild that fails between two swaps makes room for a correction by being taken back", async () => {
  await failedInItsSwap();
  const change = { kind: "set", values: { anonymous_id: "right" } } as const;
  const filter = { where: { event_id: ["a"] } };
  await begin("fix", { kind: "correction", filter, change, note: null, rate: 1e6 }, "confirm");
  for (let n = 0; n < 60 && (await desk().job("fix"))!.state !== "done"; n++) {
    for (const job of ["fix", "anew"]) await deliver("replays", [{ job }]);
    await drain();
    clock.pass(120_000);
  }
  expect(await desk().job("anew")).toMatchObject({ state: "done", outcome: "reverted" });
  expect(await desk().job("fix")).toMatchObject({ state: "done" });
  expect(await lake()).toMatchObject({ "0:a": "right", "0:b": "phone" });
  expect(await timeline("user", "u")).toEqual(["a", "b"]);
  expect(await rollup()).toBe(3);
});

it("a swap that was made and that nobody noted is taken back with the job", async () => {
  await send(0, [{ event_id: "a", user_id: "u" }]);
  await drain();
  await begin("anew", REBUILD);
  await runJob("anew", clock, ["waiting_for_swap"]);
  const { SINK_CURSOR: cursors, USER_TIMELINE: timelines, EVENT_LOG: logs, BUCKET: bucket } = real;
  const { IDENTITY_KEY: identityKey } = real;
  const job = { id: "anew", shards: SHARDS, from: null, to: null, range: null };
  const sessions = createSessionsRebuild({ cursors, timelines, logs, bucket, identityKey, calls: { left: 1_000 } });
  await sessions.swap(job);
  await real.LAKE_CATALOG.getByName("lake").swap("anew", { remove: [], keep: [], rules: 0, operation: "rebuild" });
  await send(0, [{ event_id: "b", user_id: "u" }]);
  await drain();
  await desk().act("anew", "cancel");
  expect(await runJob("anew", clock, ["cancelled", "failed"])).toMatchObject({ state: "cancelled" });
  await drain();
  expect(Object.keys(await lake())).toEqual(["0:a", "0:b"]);
  expect(await timeline("user", "u")).toEqual(["a", "b"]);
  expect(await rollup()).toBe(2);
});
