import { expect, it } from "vitest";
import type { SinkName } from "../../../durable-objects/sink-cursor/api.ts";
import { createDueJobs } from "../../../queues/replay/due-jobs.ts";
import { decodeSegmentLines } from "../../../r2-layout/segment.ts";
import { packSubjects, subjectHasher } from "../../../r2-layout/subjects.ts";
import { clockOfEachTest } from "../replay/replay-rig.ts";
import { desk, drain, lake, real, redrive, rollup, runJob, SHARDS, send, timeline } from "../replay/whole-pipeline.ts";

const clock = clockOfEachTest();

const log = () => real.EVENT_LOG.getByName("000");

/** The sink leaves out line 0 of segment 2, which has two. */
async function leaveOut(sink: SinkName): Promise<void> {
  const keeper = sink === "lake" ? real.LAKE_CATALOG.getByName("lake") : real.SINK_CURSOR.getByName(`${sink}:000`);
  const lease =
    sink === "lake"
      ? await real.LAKE_CATALOG.getByName("lake").lease(0, "test", 1_000)
      : await real.SINK_CURSOR.getByName(`${sink}:000`).lease("test", 1_000);
  const { key } = (await log().segments(1, 1)).segments[0]!;
  const counts = { lines: [0], of: 2, events: 1, quarantined: 0 };
  const hole = { seq: 2, key, ...counts, cause: "step_refused", detail: "" };
  expect(await keeper.decide(0, lease!.token, 1, hole)).toBe(true);
  if (sink === "lake") await real.LAKE_CATALOG.getByName("lake").release(0, lease!.token);
  else await real.SINK_CURSOR.getByName(`${sink}:000`).release(lease!.token);
}

/** What the cron makes of what was republished since. @returns its outcomes */
async function settle(): Promise<string[]> {
  await createDueJobs({ desk: desk() as never, logs: real.EVENT_LOG, shards: SHARDS }, Date.now(), false);
  const { jobs } = await desk().overview(["settlement"], 10);
  const outcomes: string[] = [];
  for (const { id } of jobs.filter(({ endedAt }) => endedAt === null)) {
    outcomes.push((await runJob(id, clock)).outcome!);
  }
  return outcomes;
}

it.each(["lake", "sessions"] as const)(
  "promise 2: an event that was sent to replace another replaces it, though it lay in a hole of %s when that was settled",
  async (sink) => {
    await send(0, [{ event_id: "a", anonymous_id: "old" }]);
    await drain();
    await send(0, [{ event_id: "a", anonymous_id: "new", flags: ["republished"] }, { event_id: "b" }], "fix-1");
    await leaveOut(sink);
    await drain();
    expect(await settle()).toHaveLength(1);
    expect(await redrive(sink, 2)).toMatchObject({ ok: true });
    await drain();
    // A redrive for another sink than the lake is nothing to settle: the lake has had it all the time.
    expect(await settle()).toHaveLength(sink === "lake" ? 1 : 0);
    expect(await lake()).toEqual({ "0:a": "new", "0:b": "phone" });
    expect([await timeline("device", "old"), await timeline("device", "new")]).toEqual([[], ["a"]]);
    expect(await rollup()).toBe(2);
    expect((await log().status()).republished).toBe(2);
  },
);

it.each(["lake", "sessions"] as const)(
  "promises 3 and 7: what lay in a hole of %s and is about somebody who was erased meanwhile comes back as nothing, and every sum is whole",
  async (sink) => {
    await send(0, [{ event_id: "a", anonymous_id: "old" }]);
    await drain();
    await send(0, [{ event_id: "b", anonymous_id: "gone" }, { event_id: "c" }]);
    await leaveOut(sink);
    await drain();
    const hash = subjectHasher(real.IDENTITY_KEY!);
    const subjects = packSubjects([hash({ kind: "device", id: "gone" })]);
    await log().raise(
      { version: 1, id: "r", filter: { subjects }, change: { kind: "erase" }, createdAt: 0 },
      "rules/1",
    );
    expect(await redrive(sink, 2)).toMatchObject({ ok: true });
    const { segments } = await log().segments(2);
    const object = await real.BUCKET.get(segments.find(({ kind }) => kind === "redrive")!.key);
    expect(decodeSegmentLines(new Uint8Array(await object!.arrayBuffer()))).toEqual(['{"erased":"event"}']);
    await drain();
    if (sink === "lake") expect(await lake()).toEqual({ "0:a": "old", "0:c": "phone" });
    else expect(await timeline("device", "gone")).toEqual([]);
    const { cursor, applied } =
      sink === "lake"
        ? (await real.LAKE_CATALOG.getByName("lake").status()).cursors[0]!
        : await real.SINK_CURSOR.getByName("sessions:000").status();
    expect([cursor, applied.events, applied.quarantined]).toEqual([4, 3, 0]);
  },
);
