import { describe, expect, it } from "vitest";
import type { CorrectionSpec } from "../../../durable-objects/replay-desk/api.ts";
import type { SinkName } from "../../../durable-objects/sink-cursor/api.ts";
import type { RuleProgress } from "../../../queues/replay/rule-progress.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import type { RuleChange } from "../../../r2-layout/rule.ts";
import { dayOf } from "../../../r2-layout/time.ts";
import { clockOfEachTest } from "./replay-rig.ts";
import { begin, deliver, desk, drain, lake, real, redrive, rollup, runJob, send, timeline } from "./whole-pipeline.ts";

const clock = clockOfEachTest();

const correction = (change: RuleChange): CorrectionSpec => ({
  kind: "correction",
  filter: { where: { anonymous_id: ["wrong"] } },
  change,
  note: null,
  rate: 1_000_000,
});
const toRight: RuleChange = { kind: "set", values: { anonymous_id: "right" } };

const keeperOf = (sink: SinkName) =>
  sink === "lake" ? real.LAKE_CATALOG.getByName("lake") : real.SINK_CURSOR.getByName(`${sink}:${shardName(0)}`);

/** The sink leaves out line 0 of the next segment of shard 0, which has two. */
async function leaveOut(sink: SinkName, seq: number): Promise<void> {
  const keeper = keeperOf(sink);
  const lease = (await (sink === "lake"
    ? real.LAKE_CATALOG.getByName("lake").lease(0, "test", 1_000)
    : real.SINK_CURSOR.getByName(`${sink}:${shardName(0)}`).lease("test", 1_000)))!;
  const { segments } = await real.EVENT_LOG.getByName(shardName(0)).segments(seq - 1, 1);
  const hole = {
    seq,
    key: segments[0]!.key,
    lines: [0],
    of: 2,
    events: 1,
    quarantined: 0,
    cause: "step_refused",
    detail: "",
  };
  expect(await keeper.decide(0, lease.token, seq - 1, hole)).toBe(true);
  if (sink === "lake") await real.LAKE_CATALOG.getByName("lake").release(0, lease.token);
  else await real.SINK_CURSOR.getByName(`${sink}:${shardName(0)}`).release(lease.token);
}

const SENT = [
  { event_id: "a", user_id: "u", anonymous_id: "wrong" },
  { event_id: "b", user_id: "u", anonymous_id: "wrong" },
];

describe.each(["lake", "sessions", "rollups"] as const)("a hole of %s", (sink) => {
  it("that came back before a correction: every store has each event once", async () => {
    await send(0, SENT);
    await leaveOut(sink, 1);
    await drain();
    expect(await redrive(sink, 1)).toMatchObject({ value: { seq: 2 } });
    await drain();
    await begin("fix", correction(toRight), "confirm");
    await runJob("fix", clock);
    expect(await lake()).toEqual({ "0:a": "right", "0:b": "right" });
    expect(await timeline("user", "u")).toEqual(["a", "b"]);
    expect(await rollup()).toBe(2);
  });

  it("that comes back while a correction waits for the sinks: every store has each event once, and corrected", async () => {
    await send(
      0,
      SENT.map(({ user_id: _, ...event }) => event),
    );
    await leaveOut(sink, 1);
    await drain();
    await begin("fix", correction(toRight), "confirm");
    await deliver("replays", [{ job: "fix" }]);
    expect(await desk().job("fix")).toMatchObject({ waitsFor: expect.stringContaining("the rule is at 2") });
    expect(await redrive(sink, 1)).toMatchObject({ value: { seq: 3 } });
    await drain();
    await runJob("fix", clock);
    expect(await lake()).toEqual({ "0:a": "right", "0:b": "right" });
    expect([await timeline("device", "wrong"), await timeline("device", "right")]).toEqual([[], ["a", "b"]]);
    expect(await rollup()).toBe(2);
  });

  it("that comes back after a correction: every store has each event once, and both timelines are corrected", async () => {
    await send(
      0,
      SENT.map(({ user_id: _, ...event }) => event),
    );
    await leaveOut(sink, 1);
    await drain();
    await begin("fix", correction(toRight), "confirm");
    await runJob("fix", clock);
    expect(await redrive(sink, 1)).toMatchObject({ ok: true });
    await drain();
    expect(await lake()).toEqual({ "0:a": "right", "0:b": "right" });
    expect([await timeline("device", "wrong"), await timeline("device", "right")]).toEqual([[], ["a", "b"]]);
    expect(await rollup()).toBe(2);
  });
});

it("a correction of what another has corrected finds it where that one has put it, beside a line that timelines left out", async () => {
  await send(
    0,
    SENT.map(({ user_id: _, ...event }) => event),
  );
  await leaveOut("sessions", 1);
  await drain();
  await begin("fix", correction(toRight), "confirm");
  await runJob("fix", clock);
  const further: RuleChange = { kind: "set", values: { anonymous_id: "further" } };
  await begin("again", { ...correction(further), filter: { where: { anonymous_id: ["right"] } } }, "confirm");
  await runJob("again", clock);
  const devices = async () => Promise.all(["wrong", "right", "further"].map((id) => timeline("device", id)));
  expect(await devices()).toEqual([[], [], ["b"]]);
  await redrive("sessions", 1);
  await drain();
  expect(await devices()).toEqual([[], [], ["a", "b"]]);
  expect(await lake()).toEqual({ "0:a": "further", "0:b": "further" });
  expect(await rollup()).toBe(2);
});

describe("a line that lake and timelines have left out, and rollups have", () => {
  const leftOut = async () => {
    await send(0, SENT);
    for (const sink of ["lake", "sessions"] as const) await leaveOut(sink, 1);
    await drain();
  };

  it("is corrected in the rollups", async () => {
    await leftOut();
    await begin("gone", { ...correction({ kind: "retract" }), filter: { where: { event_id: ["a"] } } }, "confirm");
    expect((await runJob("gone", clock)).outcome).toBe("0 events");
    expect(await rollup()).toBe(1);
    for (const sink of ["lake", "sessions"] as const) await redrive(sink, 1);
    await drain();
    expect([await lake(), await timeline("user", "u"), await rollup()]).toEqual([{ "0:b": "wrong" }, ["b"], 1]);
  });

  it("is named as uncorrected there where nobody can read it any more", async () => {
    await leftOut();
    const { segments } = await real.EVENT_LOG.getByName(shardName(0)).segments(0, 1);
    await real.BUCKET.delete(segments[0]!.key);
    await begin("gone", { ...correction({ kind: "retract" }), filter: { where: { event_id: ["a"] } } }, "confirm");
    const { outcome, progress } = await runJob("gone", clock);
    expect(outcome).toContain("2 in segments that cannot be read stay uncorrected");
    const places = [{ sink: "rollups", shard: 0, seq: 1, events: 2, window: null }];
    expect((progress as RuleProgress).uncorrected).toMatchObject({ rollups: 2, sessions: 0, places });
    expect(await rollup()).toBe(2);
  });
});

it("promise 2: a repeated event that the lake had as a hole goes from all stores, and a rebuild does not bring it back", async () => {
  await send(1, [{ event_id: "a", anonymous_id: "first" }]);
  await new Promise((resolve) => setTimeout(resolve, 5)); // Two commits of one millisecond would go by their shard.
  await send(0, [{ event_id: "a", anonymous_id: "later" }, { event_id: "c" }]);
  await leaveOut("lake", 1);
  await drain();
  await redrive("lake", 1);
  await drain();
  await begin("audit", { kind: "audit", days: [dayOf(Date.now() * 1_000)], rate: 1_000_000 });
  expect(await runJob("audit", clock)).toMatchObject({ outcome: "1 events" });
  const expectOnce = async () => {
    expect(await lake()).toEqual({ "0:c": "phone", "1:a": "first" });
    expect([await timeline("device", "first"), await timeline("device", "later")]).toEqual([["a"], []]);
    expect(await rollup()).toBe(2);
  };
  await expectOnce();
  const whole = { from: null, to: null, range: null, rate: 1e6, swap: "automatic" } as const;
  await begin("anew", { kind: "rebuild", sinks: ["lake", "sessions", "rollups"], ...whole });
  await runJob("anew", clock, ["waiting_for_confirmation"]);
  await expectOnce();
});
