/**
 * The loop of a sink consumer: woken for a shard, it reads the log on from the sink's cursor, a bounded step at a time,
 * until it has caught up or its time is over. Live traffic and catching up after an outage differ only in its length.
 *
 * A wake-up carries no data and may be lost, doubled or late; the cursor alone says what is due:
 *
 *     lease held by another drain    ack: the log wakes the sink again for as long as it is behind
 *     crash before the effect        the wake-up is retried, the step is read and applied
 *     crash between effect, cursor   the step is applied a second time; the objects on the way skip what they have
 *     lease lost to a faster drain   the move is refused, nothing follows it; the other drain goes on
 *     object missing or damaged      thrown, so the wake-up is retried: a segment is never passed over in silence
 */
import type { EventLogApi, WakeUp } from "../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../durable-objects/namespace.ts";
import { shardName } from "../r2-layout/keys.ts";
import { SINK } from "../r2-layout/limits.ts";
import type { SegmentRef, SegmentRows } from "../r2-layout/segment.ts";
import { decodeSegment } from "../r2-layout/segment.ts";
import type { Sink } from "./sink.ts";

/** The slice of R2 that reading the log needs. */
export interface SegmentReader {
  get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
}

export interface DrainDeps {
  readonly sink: Sink;
  readonly logs: ObjectNamespace<Pick<EventLogApi, "segments" | "reached">>;
  readonly bucket: SegmentReader;
  /** Milliseconds. */
  readonly now?: () => number;
}

export type Drained =
  /** At the log's head as of the last read. */
  | { readonly kind: "caught_up"; readonly cursor: number }
  /** Time is over; the log wakes the sink again. */
  | { readonly kind: "behind"; readonly cursor: number }
  /** Another drain has the shard, or took it over. */
  | { readonly kind: "held" };

/** Objects fetched at once: two of the platform's six connections stay free for the sink's own writes. */
const FETCHES = 4;
const RETRY_SECONDS_MAX = 60;

/** Consumer of a sink's wake-ups. Several for one shard are one drain. */
export async function drainBatch(batch: MessageBatch<unknown>, deps: DrainDeps): Promise<void> {
  const byShard = new Map<number, Message<unknown>[]>();
  for (const message of batch.messages) {
    const shard = wokenShard(message.body);
    if (shard === null) {
      console.warn(JSON.stringify({ at: "drain", reason: "malformed_wake_up", queue: batch.queue }));
      message.ack();
      continue;
    }
    const same = byShard.get(shard);
    if (same) same.push(message);
    else byShard.set(shard, [message]);
  }
  for (const [shard, messages] of byShard) {
    try {
      await drainShard(shard, deps);
      for (const message of messages) message.ack();
    } catch (error) {
      console.error(JSON.stringify({ at: "drain", sink: deps.sink.name, shard, error: String(error) }));
      for (const message of messages) {
        message.retry({ delaySeconds: Math.min(RETRY_SECONDS_MAX, 2 ** message.attempts) });
      }
    }
  }
}

/** @throws whatever the log, R2 or the sink threw; the cursor stands before the step that failed. */
export async function drainShard(shard: number, deps: DrainDeps): Promise<Drained> {
  const { sink } = deps;
  const now = deps.now ?? Date.now;
  const log = deps.logs.getByName(shardName(shard));
  const lease = await sink.lease(shard, crypto.randomUUID());
  if (!lease) return { kind: "held" };
  const deadline = now() + SINK.drainMs;
  let { cursor } = lease;
  let told = -1;
  try {
    for (;;) {
      const { head, asOf, segments } = await log.segments(cursor);
      if (segments.length === 0) {
        await sink.tick?.(shard, cursor, asOf);
        if (told !== cursor) await log.reached(sink.name, cursor);
        return { kind: "caught_up", cursor };
      }
      for await (const step of steps(shard, segments, deps.bucket)) {
        const to = step.segments.at(-1)!.seq;
        const next = segments.find(({ seq }) => seq === to + 1);
        const moved = await sink.apply({
          shard,
          token: lease.token,
          from: cursor,
          to,
          completeUntil: next?.committedAt ?? (to === head ? asOf : step.segments.at(-1)!.committedAt),
          events: step.rows.events,
          quarantine: step.rows.quarantine,
          applied: { events: step.rows.events.length, quarantined: step.rows.quarantine.length },
        });
        if (!moved.moved) return { kind: "held" };
        cursor = moved.cursor;
        if (now() >= deadline) break;
      }
      await log.reached(sink.name, cursor);
      told = cursor;
      // Not read once more: what came meanwhile has its own wake-up, and would make a flush of a segment or two.
      if (cursor === head) return { kind: "caught_up", cursor };
      if (now() >= deadline) return { kind: "behind", cursor };
    }
  } finally {
    await sink.release(shard, lease.token);
  }
}

interface LoadedStep {
  readonly segments: SegmentRef[];
  readonly rows: SegmentRows;
}

/** Reads segments in order and joins them to steps of at most `SINK.stepEvents` and `SINK.stepBytes`, one segment at least. */
async function* steps(shard: number, refs: readonly SegmentRef[], bucket: SegmentReader): AsyncGenerator<LoadedStep> {
  let segments: SegmentRef[] = [];
  let rows: SegmentRows = { events: [], quarantine: [] };
  let events = 0;
  let bytes = 0;
  for await (const { ref, body } of fetched(refs, bucket)) {
    const inflated = inflatedBytes(body);
    if (segments.length > 0 && (events + ref.events > SINK.stepEvents || bytes + inflated > SINK.stepBytes)) {
      yield { segments, rows };
      segments = [];
      rows = { events: [], quarantine: [] };
      events = 0;
      bytes = 0;
    }
    const decoded = decodeSegment(body, { shard, seq: ref.seq });
    const lines = decoded.events.length + decoded.quarantine.length;
    if (lines !== ref.events || decoded.quarantine.length !== ref.quarantined) {
      throw new Error(`segment ${ref.key} has ${lines} lines, the log says ${ref.events}`);
    }
    segments.push(ref);
    for (const row of decoded.events) rows.events.push(row);
    for (const row of decoded.quarantine) rows.quarantine.push(row);
    events += ref.events;
    bytes += inflated;
  }
  if (segments.length > 0) yield { segments, rows };
}

/** The objects in order, a few fetched ahead. Small while packed: it is the inflated rows that fill memory. */
async function* fetched(refs: readonly SegmentRef[], bucket: SegmentReader) {
  const ahead: Promise<Uint8Array>[] = [];
  let started = 0;
  for (const ref of refs) {
    for (; started < refs.length && ahead.length < FETCHES; started++) {
      const body = fetchSegment(refs[started]!, bucket);
      body.catch(() => {}); // Awaited later, or not at all where an earlier one fails.
      ahead.push(body);
    }
    yield { ref, body: await ahead.shift()! };
  }
}

async function fetchSegment(ref: SegmentRef, bucket: SegmentReader): Promise<Uint8Array> {
  const object = await bucket.get(ref.key);
  if (!object) throw new Error(`segment ${ref.key} (seq ${ref.seq}) is missing`);
  return new Uint8Array(await object.arrayBuffer());
}

/** gzip keeps the inflated size in its last four bytes, so a step can be cut before anything is inflated. */
function inflatedBytes(packed: Uint8Array): number {
  if (packed.byteLength < 18) throw new Error("segment is too short for gzip");
  return new DataView(packed.buffer, packed.byteOffset, packed.byteLength).getUint32(packed.byteLength - 4, true);
}

function wokenShard(body: unknown): number | null {
  const shard = (body as Partial<WakeUp> | null)?.shard;
  return typeof shard === "number" && Number.isSafeInteger(shard) && shard >= 0 ? shard : null;
}
