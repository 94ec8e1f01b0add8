/**
 * A version of a contract against what the log has recorded: how many events would fail, which, and where they come from. Nothing is
 * changed by it. A call goes through some segments, shard by shard; where it ended, the next one goes on, and whoever asks adds up.
 */
import type { EventLogApi, EventLogPlacesApi } from "../../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { segmentObject } from "../../../queues/segment-object.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { VIOLATIONS } from "../../../r2-layout/limits.ts";
import { erasedKind, isReadable, type LogLine, parseLogLine } from "../../../r2-layout/log-line.ts";
import { decodeSegmentLines, type SegmentRef } from "../../../r2-layout/segment.ts";
import type { Mender } from "../violations/mended-line.ts";
import { FailureTally } from "../violations/tally.ts";

export interface TrialDeps {
  readonly bucket: { get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null> };
  readonly logs: ObjectNamespace<Pick<EventLogApi, "segments"> & EventLogPlacesApi>;
  readonly shards: number;
  /** Milliseconds. */
  readonly now: () => number;
}

/** Which recorded events: received in from..to (ms, half open). */
export interface TrialRange {
  readonly eventName: string;
  /** Null: all sources. */
  readonly source: string | null;
  readonly from: number;
  readonly to: number;
}

/** The last segment that was gone through. */
export interface TrialPlace {
  readonly shard: number;
  readonly seq: number;
}

export interface TrialSample {
  readonly event_id: string;
  readonly source: string;
  readonly app_version: string | null;
  readonly field: string | null;
  readonly expected: string | null;
  readonly actual: string | null;
  readonly shard: number;
  readonly seq: number;
}

export interface Trial {
  /** Events of the name that this call has met, by source. */
  readonly events: ReadonlyMap<string, number>;
  readonly failures: FailureTally;
  readonly samples: readonly TrialSample[];
  readonly segments: number;
  /** Segments that are gone or damaged. */
  readonly unreadable: number;
  /** Null: it is through. */
  readonly next: TrialPlace | null;
}

export async function tryVersion(
  { bucket, logs, shards, now }: TrialDeps,
  range: TrialRange,
  mender: Pick<Mender, "judge">,
  after: TrialPlace | null,
): Promise<Trial> {
  const startedAt = now();
  const events = new Map<string, number>();
  const failures = new FailureTally();
  const samples: TrialSample[] = [];
  let [segments, unreadable] = [0, 0];
  const isSpent = () => segments >= VIOLATIONS.segmentsPerCall || now() - startedAt > VIOLATIONS.sliceMs;
  const done = (next: TrialPlace | null): Trial => ({ events, failures, samples, segments, unreadable, next });

  for (let shard = after?.shard ?? 0; shard < shards; shard++) {
    const log = logs.getByName(shardName(shard));
    const { range: places } = await log.between(range.from, range.to);
    if (!places) continue;
    let seq = Math.max(places.from - 1, after?.shard === shard ? after.seq : 0);
    while (seq < places.to) {
      const page = (await log.segments(seq, VIOLATIONS.segmentsPerCall, "lake")).segments;
      if (page.length === 0) break;
      for (const ref of page) {
        if (ref.seq > places.to) break;
        if (isSpent()) return done({ shard, seq });
        seq = ref.seq;
        if (ref.kind === "rule" || ref.skip === "all" || (ref.sinks && !ref.sinks.includes("lake"))) continue;
        segments++;
        const lines = await linesOf(ref, range, bucket, log);
        if (!lines) unreadable++;
        for (const line of lines ?? []) {
          const { row } = line;
          events.set(row.source, (events.get(row.source) ?? 0) + 1);
          const mark = mender.judge(line);
          if (!mark) continue;
          failures.add(row, mark);
          if (samples.length >= VIOLATIONS.samples) continue;
          const { field = null, expected = null, actual = null } = mark;
          const { event_id, source, app_version = null } = row;
          samples.push({ event_id, source, app_version, field, expected, actual, shard, seq });
        }
      }
      if (seq >= places.to || page.at(-1)!.seq >= places.to) break;
    }
  }
  return done(null);
}

/** Events of the range in a segment, those in quarantine too; null where it cannot be read. */
async function linesOf(
  ref: SegmentRef,
  range: TrialRange,
  bucket: TrialDeps["bucket"],
  log: Pick<EventLogApi, "segments">,
): Promise<LogLine[] | null> {
  const { body } = await segmentObject(ref, bucket, log);
  if (!body) return null;
  const name = JSON.stringify(range.eventName);
  const skip = new Set(ref.skip === "all" ? [] : ref.skip);
  try {
    return decodeSegmentLines(body).flatMap((text, at) => {
      // Most lines are of other events: those are not parsed. One that was erased is nobody's.
      if (skip.has(at) || !text.includes(name) || erasedKind(text)) return [];
      const line = parseLogLine(text);
      return isReadable({ row: line.row, ...(line.q && { q: line.q }), rawText: null }) && isOf(line, range)
        ? [line]
        : [];
    });
  } catch {
    return null;
  }
}

function isOf({ row }: LogLine, { eventName, source, from, to }: TrialRange): boolean {
  const receivedMs = row.received_at / 1_000;
  if (row.event_name !== eventName || receivedMs < from || receivedMs >= to) return false;
  return source === null || row.source === source;
}
