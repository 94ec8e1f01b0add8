import { expect, it } from "vitest";
import type { CorrectionSpec } from "../../../durable-objects/replay-desk/api.ts";
import type { RuleProgress } from "../../../queues/replay/rule-progress.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { HOUR_MS } from "../../../r2-layout/limits.ts";
import { clockOfEachTest } from "./replay-rig.ts";
import { begin, deliver, drain, lake, NOON, real, rollup, runJob, send, timeline } from "./whole-pipeline.ts";

const clock = clockOfEachTest();

const FIX: CorrectionSpec = {
  kind: "correction",
  filter: { where: { anonymous_id: ["wrong"] } },
  change: { kind: "set", values: { anonymous_id: "right" } },
  note: null,
  rate: 1_000_000,
};
const wrong = (...ids: string[]) => ids.map((event_id) => ({ event_id, anonymous_id: "wrong" }));

/** The object of a segment of shard 0 is lost. */
async function lose(seq: number): Promise<string> {
  const { segments } = await real.EVENT_LOG.getByName(shardName(0)).segments(seq - 1, 1);
  await real.BUCKET.delete(segments[0]!.key);
  return segments[0]!.key;
}

it("a segment that the lake could not read, and timelines and rollups have read before, holds no correction up: its rows stay, and the record says where", async () => {
  await send(0, wrong("a", "b"));
  for (const sink of ["sessions", "rollups"]) await deliver(sink, [{ shard: 0, head: 0 }]);
  const key = await lose(1);
  const catalog = real.LAKE_CATALOG.getByName("lake");
  const { token } = (await catalog.lease(0, "test", 1_000))!;
  const hole = { seq: 1, key, lines: "all", of: 2, events: 2, quarantined: 0, cause: "segment_missing", detail: "" };
  expect(await catalog.decide(0, token, 0, hole as never)).toBe(true);
  await catalog.release(0, token);
  await send(0, wrong("c"));
  await send(1, wrong("d"));
  await drain();
  await begin("fix", FIX, "confirm");
  const { outcome, progress } = await runJob("fix", clock);
  expect(outcome).toBe("2 events, 2 in segments that cannot be read stay uncorrected");
  const window = { from: NOON, to: NOON + HOUR_MS };
  expect((progress as RuleProgress).uncorrected).toEqual({
    sessions: 2,
    rollups: 2,
    places: [
      { sink: "sessions", shard: 0, seq: 1, events: 2, window: null },
      { sink: "rollups", shard: 0, seq: 1, events: 2, window: null },
      { sink: "rollups", shard: 0, seq: 1, events: 2, window },
    ],
    more: 0,
  });
  expect(await lake()).toEqual({ "0:c": "right", "1:d": "right" });
  expect([await timeline("device", "wrong"), await timeline("device", "right")]).toEqual([
    ["a", "b"],
    ["c", "d"],
  ]);
  // Built without the segment, the shard would have lost what it had taken.
  expect(await rollup()).toBe(4);
  // Nothing is kept of the build in the shard that has not swapped: whoever builds the window next is not told that it is busy.
  const next = { job: "next", shard: 0, ...window, cursor: 0, after: 0 };
  expect(await real.MINUTE_ROLLUP.getByName(`core:${shardName(0)}`).begin(next)).toMatchObject({ step: 0 });
});

it("a segment that is lost between the lake's cursor and a rule's place is left out, after a few attempts, and named", async () => {
  await send(0, wrong("a", "b"));
  await send(0, wrong("c"));
  await deliver("sessions", [{ shard: 0, head: 0 }]);
  await deliver("rollups", [{ shard: 0, head: 0 }]);
  await begin("fix", FIX, "confirm");
  const messages = async (until: RuleProgress["stage"]) => {
    for (let n = 0; n < 50; n++) {
      const job = await real.REPLAY_DESK.getByName("desk").job("fix");
      if ((job?.progress as RuleProgress | null)?.stage === until) return;
      await deliver("replays", [{ job: "fix" }]);
    }
    throw new Error(`never came to ${until}`);
  };
  await messages("wait");
  // The lake reads through the rule what the timelines have as it was; then the object goes.
  await drain();
  await lose(1);
  const { attempts, progress, outcome } = await runJob("fix", clock);
  expect({ attempts, outcome }).toEqual({ attempts: 0, outcome: expect.stringContaining("2 in segments") });
  expect((progress as RuleProgress).uncorrected).toMatchObject({
    places: [
      { sink: "sessions", shard: 0, seq: 1, events: 2 },
      { sink: "rollups", shard: 0, seq: 1, events: 2 },
    ],
  });
  expect(await lake()).toEqual({ "0:a": "right", "0:b": "right", "0:c": "right" });
  expect([await timeline("device", "wrong"), await timeline("device", "right")]).toEqual([["a", "b"], ["c"]]);
});

it("a segment that no settlement can read holds up none: what the others have is settled", async () => {
  const right = (id: string) => ({ event_id: id, anonymous_id: "right", flags: ["republished"] });
  await send(0, wrong("a", "b"));
  await send(0, [right("a")], "fix");
  await send(0, [right("b")], "fix");
  await drain();
  await lose(2);
  const reads = [{ shard: 0, after: 1, to: 3 }];
  await begin("settlement", { kind: "settlement", reads, rate: 1_000_000 });
  expect(await runJob("settlement", clock)).toMatchObject({ outcome: "1 events", error: null });
  expect(await timeline("device", "wrong")).toEqual(["a"]);
  expect(await timeline("device", "right")).toEqual(["a", "b"]);
});
