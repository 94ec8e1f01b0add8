import { describe, expect, it } from "vitest";
import type { CorrectionSpec } from "../../../durable-objects/replay-desk/api.ts";
import { SINKS } from "../../../durable-objects/sink-cursor/api.ts";
import type { RuleProgress } from "../../../queues/replay/rule-progress.ts";
import { ruleKey, shardName } from "../../../r2-layout/keys.ts";
import { DAY_MS } from "../../../r2-layout/limits.ts";
import type { RuleChange, RuleFilter } from "../../../r2-layout/rule.ts";
import { dayOf } from "../../../r2-layout/time.ts";
import pipeline from "../../../workers/pipeline/index.ts";
import { clockOfEachTest } from "./replay-rig.ts";
import {
  begin,
  deliver,
  desk,
  drain,
  lake,
  messageOf,
  NOON,
  real,
  rollup,
  runJob,
  send,
  timeline,
} from "./whole-pipeline.ts";

const clock = clockOfEachTest();

const correction = (
  change: RuleChange,
  filter: RuleFilter = { where: { anonymous_id: ["wrong"] } },
): CorrectionSpec => ({
  kind: "correction",
  filter,
  change,
  note: null,
  rate: 1_000_000,
});
const setDevice = (id: string): RuleChange => ({ kind: "set", values: { anonymous_id: id } });

describe("a correction", () => {
  it("is followed by the lake in one commit, by both timelines and by the rollups, in every shard", async () => {
    await send(0, [{ event_id: "a", anonymous_id: "wrong" }, { event_id: "b" }]);
    await send(1, [{ event_id: "c", anonymous_id: "wrong" }]);
    await drain();
    const before = await real.LAKE_CATALOG.getByName("lake").status();
    await begin("fix", correction(setDevice("right")), "confirm");
    const job = await runJob("fix", clock);
    expect(job).toMatchObject({ outcome: "2 events", error: null });
    expect(await lake()).toEqual({ "0:a": "right", "0:b": "phone", "1:c": "right" });
    expect(await lake(before.snapshot)).toEqual({ "0:a": "wrong", "0:b": "phone", "1:c": "wrong" });
    expect(await timeline("device", "wrong")).toEqual([]);
    expect(await timeline("device", "right")).toEqual(["a", "c"]);
    expect(await rollup()).toBe(3);
    const record = job.progress as RuleProgress;
    expect(record).toMatchObject({ versions: [1], lakeBefore: { snapshot: before.snapshot }, pairs: { lake: 2 } });
    expect(await lake(record.snapshot! - 1)).toEqual(await lake(before.snapshot));
    expect(await lake(record.snapshot!)).toEqual(await lake());
    for (const shard of [0, 1]) {
      const { rules } = await real.EVENT_LOG.getByName(shardName(shard)).rules();
      expect(rules).toMatchObject([{ version: 1, id: "fix", seq: record.places[shard] }]);
    }
    expect(await (await real.BUCKET.get(ruleKey(1)))!.json()).toMatchObject({ version: 1, id: "fix" });
  });

  it("retracts from the lake, the timelines and the rollups; what comes later keeps its value", async () => {
    await send(0, [
      { event_id: "a", user_id: "u", anonymous_id: "wrong" },
      { event_id: "b", user_id: "u" },
    ]);
    await drain();
    await begin("gone", correction({ kind: "retract" }), "confirm");
    await runJob("gone", clock);
    await send(0, [{ event_id: "c", user_id: "u", anonymous_id: "wrong" }]);
    await drain();
    expect(await lake()).toEqual({ "0:b": "phone", "0:c": "wrong" });
    expect(await timeline("user", "u")).toEqual(["b", "c"]);
    expect(await rollup()).toBe(2);
  });

  it("reaches what the timelines have and the lake has not yet, and what nobody has read", async () => {
    await send(0, [{ event_id: "stored", anonymous_id: "wrong" }]);
    await drain();
    await send(0, [{ event_id: "ahead", anonymous_id: "wrong" }]);
    await deliver("sessions", [{ shard: 0, head: 0 }]);
    await deliver("rollups", [{ shard: 0, head: 0 }]);
    await send(0, [{ event_id: "unread", anonymous_id: "wrong" }]);
    await begin("fix", correction(setDevice("right")), "confirm");
    const { meter } = await runJob("fix", clock);
    expect(meter.read).toBe(meter.total);
    expect(await timeline("device", "wrong")).toEqual([]);
    expect(await timeline("device", "right")).toEqual(["ahead", "stored", "unread"]);
    expect(await lake()).toEqual({ "0:ahead": "right", "0:stored": "right", "0:unread": "right" });
    expect(await rollup()).toBe(3);
  });

  it("after another of the same rows goes from where that one left them; A and B can change places", async () => {
    await send(0, [{ event_id: "a", anonymous_id: "A" }]);
    await send(1, [{ event_id: "b", anonymous_id: "B" }]);
    await drain();
    const swap: RuleChange = { kind: "map", field: "anonymous_id", values: { A: "B", B: "A" } };
    const both = { where: { anonymous_id: ["A", "B"] } };
    await begin("swap", correction(swap, both), "confirm");
    await runJob("swap", clock);
    expect(await lake()).toEqual({ "0:a": "B", "1:b": "A" });
    expect([await timeline("device", "A"), await timeline("device", "B")]).toEqual([["b"], ["a"]]);
    await begin("again", correction(setDevice("C"), { where: { anonymous_id: ["B"] } }), "confirm");
    await runJob("again", clock);
    expect(await lake()).toEqual({ "0:a": "C", "1:b": "A" });
    expect([await timeline("device", "A"), await timeline("device", "B")]).toEqual([["b"], []]);
    expect(await timeline("device", "C")).toEqual(["a"]);
  });

  it("two at once wait for each other, and both hold", async () => {
    await send(0, [
      { event_id: "a", anonymous_id: "wrong" },
      { event_id: "b", country: "XX" },
    ]);
    await drain();
    await begin("one", correction(setDevice("right")), "confirm");
    await begin("two", correction({ kind: "retract" }, { where: { country: ["XX"] } }), "confirm");
    for (let n = 0; n < 60 && (await desk().job("one"))!.state !== "done"; n++) {
      await Promise.all([deliver("replays", [{ job: "one" }]), deliver("replays", [{ job: "two" }])]);
      await drain();
      clock.pass(120_000);
    }
    await runJob("two", clock);
    expect(await lake()).toEqual({ "0:a": "right" });
    expect(await rollup()).toBe(1);
  });

  it("is what a rebuild of every sink from the log comes to", async () => {
    await send(0, [{ event_id: "a", anonymous_id: "wrong" }, { event_id: "b" }]);
    await drain();
    await begin("fix", correction(setDevice("right")), "confirm");
    await runJob("fix", clock);
    for (const sink of SINKS) {
      const spec = {
        kind: "rebuild",
        sinks: [sink],
        from: null,
        to: null,
        range: null,
        rate: 1e6,
        swap: "automatic",
      } as const;
      await begin(`rebuild-${sink}`, spec);
      const job = await runJob(`rebuild-${sink}`, clock, ["waiting_for_confirmation"]);
      expect(job.progress).toMatchObject({ sinks: { [sink]: { comparison: { identical: true } } } });
      await desk().act(`rebuild-${sink}`, "confirm");
      await runJob(`rebuild-${sink}`, clock);
    }
    expect(await lake()).toEqual({ "0:a": "right", "0:b": "phone" });
    expect(await timeline("device", "right")).toEqual(["a"]);
    expect(await rollup()).toBe(2);
  });
});

describe("a settlement", () => {
  it("lets the newest republished copy stand for all others, in whatever shard they are", async () => {
    await send(0, [
      { event_id: "a", anonymous_id: "wrong" },
      { event_id: "b", anonymous_id: "wrong" },
      { event_id: "c" },
    ]);
    await send(1, [{ event_id: "other" }]);
    await drain();
    await send(1, [{ event_id: "a", anonymous_id: "right", flags: ["republished"] }], "fix");
    await send(0, [{ event_id: "b", anonymous_id: "right", flags: ["republished"] }], "fix");
    await drain();
    await cron();
    const { jobs } = await desk().overview(["settlement"]);
    expect(jobs.length).toBe(1);
    await runJob(jobs[0]!.id, clock);
    expect(await lake()).toEqual({ "0:b": "right", "0:c": "phone", "1:a": "right", "1:other": "phone" });
    expect(await timeline("device", "wrong")).toEqual([]);
    expect(await timeline("device", "right")).toEqual(["a", "b"]);
    expect(await rollup()).toBe(4);
    expect((await desk().overview()).settled).toEqual([
      { day: dayOf(NOON * 1_000), shard: 0, cause: "republished", events: 2 },
    ]);
    // Nothing new was republished: the next minute begins nothing.
    await cron();
    expect((await desk().overview(["settlement"])).jobs.length).toBe(1);
  });
});

it("promise 2: a settlement also replaces what waited in one queue with its replacement", async () => {
  const republished = (id: string) => ({ event_id: id, anonymous_id: "right", flags: ["republished"] });
  await deliver("events-0", [
    messageOf(0, [{ event_id: "a", anonymous_id: "wrong" }, { event_id: "b" }]),
    messageOf(0, [{ ...republished("a"), anonymous_id: "half" }], "one"),
    messageOf(0, [republished("a")], "two"),
  ]);
  await drain();
  await cron();
  const { jobs } = await desk().overview(["settlement"]);
  await runJob(jobs[0]!.id, clock);
  expect([await timeline("device", "wrong"), await timeline("device", "half")]).toEqual([[], []]);
  expect(await timeline("device", "right")).toEqual(["a"]);
  expect(await lake()).toEqual({ "0:a": "right", "0:b": "phone" });
  expect(await rollup()).toBe(2);
});

describe("the audit", () => {
  const audit = { kind: "audit", days: [dayOf(Date.now() * 1_000)], rate: 1_000_000 } as const;

  it("promise 2: finds an id that two shards took, keeps the copy that came first, and counts the other", async () => {
    await send(1, [{ event_id: "a", anonymous_id: "first" }, { event_id: "b" }]);
    await new Promise((resolve) => setTimeout(resolve, 5)); // Two commits of one millisecond would go by their shard.
    await send(0, [{ event_id: "a", anonymous_id: "later" }, { event_id: "c" }]);
    await drain();
    await begin("audit", audit);
    const job = await runJob("audit", clock);
    expect(job).toMatchObject({ outcome: "1 events", error: null });
    expect(await lake()).toEqual({ "0:c": "phone", "1:a": "first", "1:b": "phone" });
    expect(await timeline("device", "later")).toEqual([]);
    expect(await timeline("device", "first")).toEqual(["a"]);
    expect(await rollup()).toBe(3);
    expect((await desk().overview()).settled).toMatchObject([{ shard: 0, cause: "repeated", events: 1 }]);
    await begin("again", audit);
    expect(await runJob("again", clock)).toMatchObject({ outcome: "no id in two shards" });
  });

  it.each([0, 1])(
    "promise 2: finds an original that came after its replacement was settled, in shard %i",
    async (shard) => {
      const replaced = { event_id: "a", anonymous_id: "right", flags: ["republished"] };
      await send(0, [replaced, { event_id: "b" }], "fix");
      await send(1, [{ event_id: "c" }]);
      await drain();
      await cron();
      const [settlement] = (await desk().overview(["settlement"])).jobs;
      expect(await runJob(settlement!.id, clock)).toMatchObject({ outcome: "nothing to settle" });
      await send(shard, [{ event_id: "a", anonymous_id: "wrong" }]);
      await drain();
      await cron();
      expect((await desk().overview(["settlement"])).jobs.length).toBe(1);
      await begin("audit", audit);
      expect(await runJob("audit", clock)).toMatchObject({ outcome: "1 events", error: null });
      expect(await lake()).toEqual({ "0:a": "right", "0:b": "phone", "1:c": "phone" });
      expect([await timeline("device", "wrong"), await timeline("device", "right")]).toEqual([[], ["a"]]);
      expect(await rollup()).toBe(3);
      expect((await desk().overview()).settled).toMatchObject([{ shard, cause: "republished", events: 1 }]);
      await begin("again", audit);
      expect(await runJob("again", clock)).toMatchObject({ outcome: "no id in two shards" });
    },
  );

  it("retracts and counts an original once that came late, and in two shards", async () => {
    await send(0, [{ event_id: "a", anonymous_id: "right", flags: ["republished"] }], "fix");
    await drain();
    await send(0, [{ event_id: "a", anonymous_id: "wrong" }]);
    await send(1, [{ event_id: "a", anonymous_id: "wrong" }]);
    await drain();
    await begin("audit", audit);
    expect(await runJob("audit", clock)).toMatchObject({ outcome: "2 events", error: null });
    expect(await lake()).toEqual({ "0:a": "right" });
    expect(await timeline("device", "wrong")).toEqual([]);
    const { settled } = await desk().overview();
    expect(settled.reduce((sum, { events }) => sum + events, 0)).toBe(2);
  });

  it("keeps an event of which a settlement has already retracted a copy", async () => {
    await send(0, [{ event_id: "a" }]);
    await send(1, [{ event_id: "a" }]);
    await drain();
    const place = { shard: 0, seq: 1, source: "shop", event_id: "a" };
    await begin("gone", correction({ kind: "retract" }, { places: [place] }), "confirm");
    await runJob("gone", clock);
    await begin("audit", audit);
    await runJob("audit", clock);
    expect(await lake()).toEqual({ "1:a": "phone" });
  });
});

const cron = () =>
  pipeline.scheduled!(
    { scheduledTime: Math.floor(Date.now() / 3_600_000) * 3_600_000 + 60_000, cron: "* * * * *", noRetry: () => {} },
    real,
  );

it("promise 3: leaves hours of the rollups as they are of which rows have expired from the lake, and says so", async () => {
  await send(0, [{ event_id: "beat", event_name: "heartbeat", anonymous_id: "wrong" }]);
  await drain();
  await send(0, [{ event_id: "a", anonymous_id: "wrong" }]);
  await send(1, [{ event_id: "b", anonymous_id: "wrong" }]);
  await drain();
  const retention = { keptMs: 1_000 * DAY_MS, byName: { heartbeat: 0 }, cutsKeptMs: null };
  expect(await real.LAKE_CATALOG.getByName("lake").expire(retention, Date.now() + DAY_MS)).toMatchObject({ rows: 1 });
  await begin("gone", correction({ kind: "retract" }), "confirm");
  const { progress, error } = await runJob("gone", clock);
  expect(error).toBeNull();
  expect(await lake()).toEqual({});
  // Of shard 1 nothing has expired: there the retraction has reached the rollups.
  expect(await rollup()).toBe(2);
  expect((progress as RuleProgress).uncorrected).toMatchObject({ places: [{ sink: "rollups", shard: 0, seq: 1 }] });
});
