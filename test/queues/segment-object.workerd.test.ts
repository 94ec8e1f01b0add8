import { reset } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { EventLogApi } from "../../durable-objects/event-log/api.ts";
import { drainBatch } from "../../queues/drain.ts";
import type { PoisonLimits } from "../../queues/left-out.ts";
import { readLog } from "../../queues/read-log.ts";
import { type SegmentReader, segmentObject } from "../../queues/segment-object.ts";
import type { SinkStep } from "../../queues/sink.ts";
import { sinkWithCursor } from "../../queues/sink.ts";
import { ruleKey } from "../../r2-layout/keys.ts";
import { HOUR_MS } from "../../r2-layout/limits.ts";
import { packSubjects } from "../../r2-layout/subjects.ts";
import { bindings } from "../bindings.ts";
import {
  commitLines,
  ERASED,
  eraseLog,
  hash,
  lineAbout,
  NAMING,
  OTHER,
  refsOf,
} from "./erasure/stores/segments-rig.ts";
import { batchOf } from "./log-rig.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

const { BUCKET: bucket, EVENT_LOG: logs, SINK_CURSOR: cursors } = bindings;
const log = () => logs.getByName("000");

const SEGMENTS = 3;

async function fill(): Promise<void> {
  for (let i = 0; i < SEGMENTS; i++) await commitLines([OTHER, NAMING[0]!, NAMING[4]!].map(lineAbout));
}

/** As between a reader's look at the rows and its first look at an object, an erasure has gone over all of them. */
function erasedBeforeTheFirstRead(): SegmentReader & { readonly erased: () => number } {
  let erased: Promise<{ removed: number }> | undefined;
  let removed = 0;
  return {
    async get(key) {
      erased ??= eraseLog();
      ({ removed } = await erased);
      return bucket.get(key);
    },
    erased: () => removed,
  };
}

/** As hasty as can be: what is missing once is left out. */
const HASTY: PoisonLimits = {
  ...{ poisonAttempts: 1, poisonSpreadMs: 0, poisonRecentMs: HOUR_MS },
  ...{ poisonInARow: 100, poisonHoldMs: HOUR_MS },
};

describe("a reader that holds the key of a segment from before an erasure", () => {
  it("promise 3: as a sink reads the row again, leaves nothing out, and counts what was erased", async () => {
    await fill();
    const steps: SinkStep[] = [];
    const sink = sinkWithCursor("sessions", cursors, async (step) => void steps.push(step));
    const reader = erasedBeforeTheFirstRead();
    const { batch, outcomes } = batchOf("sessions", [{ shard: 0, head: SEGMENTS }]);
    await drainBatch(batch, { sink, logs, bucket: reader, limits: HASTY });
    expect([outcomes, reader.erased()]).toEqual([["ack"], 2 * SEGMENTS]);
    expect(await cursors.getByName("sessions:000").holes(0)).toEqual([]);
    const status = await cursors.getByName("sessions:000").status();
    expect(status).toMatchObject({ cursor: SEGMENTS, applied: { events: 2 * SEGMENTS, quarantined: SEGMENTS } });
    expect(steps.flatMap(({ events }) => events.map(({ user_id }) => user_id))).toEqual(["other", "other", "other"]);
    expect(steps.reduce((sum, { applied }) => sum + (applied.retracted ?? 0), 0)).toBe(SEGMENTS);
    expect(steps.flatMap(({ quarantine }) => quarantine)).toEqual([]);
  });

  it("as a replay goes on, with the keys that the segments have by now", async () => {
    await fill();
    const before = new Set((await refsOf(0)).map(({ key }) => key));
    const reader = erasedBeforeTheFirstRead();
    const steps = await Array.fromAsync(readLog({ shard: 0, after: 0, to: SEGMENTS }, { logs, bucket: reader }));
    const read = steps.flatMap(({ segments }) => segments.map(({ key }) => key));
    expect(read).toEqual((await refsOf(0)).map(({ key }) => key));
    expect(read.filter((key) => before.has(key))).toEqual([]);
    expect(steps.flatMap(({ events }) => events)).toHaveLength(SEGMENTS);
  });

  it("takes for missing only what its row names and is not there", async () => {
    await fill();
    const [ref] = await refsOf(0);
    await bucket.delete(ref!.key);
    expect(await segmentObject(ref!, bucket, log())).toEqual({ ref, body: null });
    const gone: Pick<EventLogApi, "segments"> = {
      segments: async () => ({ head: SEGMENTS, asOf: 0, segments: [], rules: 0 }),
    };
    expect(await segmentObject(ref!, bucket, gone)).toEqual({ ref, body: null });
  });

  it("does not leave out a segment whose row cannot be asked for, or whose key changes under its hands", async () => {
    await fill();
    const [ref] = await refsOf(0);
    await eraseLog();
    const down: Pick<EventLogApi, "segments"> = { segments: () => Promise.reject(new Error("down")) };
    await expect(segmentObject(ref!, bucket, down)).rejects.toThrow("down");
    let keys = 0;
    const restless: Pick<EventLogApi, "segments"> = {
      segments: async () => ({ head: 1, asOf: 0, segments: [{ ...ref!, key: `log/${++keys}` }], rules: 0 }),
    };
    await expect(segmentObject(ref!, bucket, restless)).rejects.toThrow("its key was another one");
  });
});

it("promise 7: a replay that reads the log before its lines are taken out gives no quarantined row of an erased person, and counts it", async () => {
  await fill();
  const subjects = packSubjects(ERASED.map(hash));
  const rule = { version: 1, id: "erasure-1", filter: { subjects }, change: { kind: "erase" }, createdAt: 1 } as const;
  const before = await Array.fromAsync(readLog({ shard: 0, after: 0, to: SEGMENTS }, { logs, bucket, hash }));
  expect(before.flatMap(({ quarantine }) => quarantine)).toHaveLength(SEGMENTS);
  await log().raise(rule, ruleKey(1));
  const applied = async () => {
    const steps = await Array.fromAsync(readLog({ shard: 0, after: 0, to: SEGMENTS + 1 }, { logs, bucket, hash }));
    const users = steps.flatMap(({ events }) => events.map(({ user_id }) => user_id));
    expect([users, steps.flatMap(({ quarantine }) => quarantine)]).toEqual([Array(SEGMENTS).fill("other"), []]);
    return steps.map((step) => step.applied);
  };
  const told = await applied();
  expect(told).toEqual([{ events: 2 * SEGMENTS, quarantined: SEGMENTS, retracted: SEGMENTS }]);
  await eraseLog();
  expect(await applied()).toEqual(told);
});
