/**
 * The loop of a sink consumer: woken for a shard, it reads the log on from the sink's cursor, a bounded step at a time,
 * until it has caught up or its time is over. Live traffic and catching up after an outage differ only in its length.
 *
 * A wake-up carries no data and may be lost, doubled or late; the cursor alone says what is due:
 *
 *     lease held by another drain    ack: the log wakes the sink again for as long as it is behind
 *     crash before the effect        the wake-up is retried, the step is read and applied
 *     crash between effect, cursor   the step is applied a second time; the objects on the way skip what they have
 *     lease lost to a faster drain   the move is refused, nothing follows it; a wake-up goes on from the true cursor
 *     object missing or damaged      thrown, so the wake-up is retried: a segment is never passed over in silence
 */
import type { EventLogApi, WakeUp } from "../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../durable-objects/namespace.ts";
import type { Lease } from "../durable-objects/sink-cursor/api.ts";
import { shardName } from "../r2-layout/keys.ts";
import { SINK } from "../r2-layout/limits.ts";
import type { SegmentRef, SegmentRows } from "../r2-layout/segment.ts";
import { decodeSegment } from "../r2-layout/segment.ts";
import type { CallBudget, Sink } from "./sink.ts";

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

/** What the drains of one invocation share. */
export interface Invocation {
  readonly calls: CallBudget;
  /** Milliseconds: no step is begun after it. */
  readonly deadline: number;
}

export type Drained =
  /** At the log's head as of the last read. */
  | { readonly kind: "caught_up"; readonly cursor: number }
  /** Time is over; the log wakes the sink again. */
  | { readonly kind: "behind"; readonly cursor: number }
  /** Another drain has the shard. */
  | { readonly kind: "held" }
  /** A step did not end: the lease was lost, or the step needs another invocation. */
  | { readonly kind: "stopped"; readonly cursor: number };

/** Objects fetched at once: two of the platform's six connections stay free for the sink's own writes. */
const FETCHES = 4;
const RETRY_SECONDS_MAX = 60;
/** A step that did not end goes on in another invocation, soon: nothing has failed. */
const CONTINUE_SECONDS = 1;

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
  const now = deps.now ?? Date.now;
  const invocation = { calls: { left: SINK.callsPerInvocation }, deadline: now() + SINK.drainMs };
  for (const [shard, messages] of byShard) {
    try {
      const { kind } = await drainShard(shard, deps, invocation);
      if (kind === "stopped") messages.pop()!.retry({ delaySeconds: CONTINUE_SECONDS });
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
export async function drainShard(shard: number, deps: DrainDeps, invocation: Invocation): Promise<Drained> {
  const { sink } = deps;
  const lease = await sink.lease(shard, crypto.randomUUID());
  if (!lease) return { kind: "held" };
  try {
    return await drainFrom(shard, lease, deps, invocation);
  } finally {
    await sink.release(shard, lease.token);
  }
}

async function drainFrom(shard: number, lease: Lease, deps: DrainDeps, invocation: Invocation): Promise<Drained> {
  const { sink, bucket, now = Date.now } = deps;
  const log = deps.logs.getByName(shardName(shard));
  const eventsMax = Math.min(SINK.stepEvents, sink.maxEvents ?? SINK.stepEvents);
  let { cursor } = lease;
  for (;;) {
    const { head, asOf, segments } = await log.segments(cursor);
    if (segments.length === 0) await sink.tick?.(shard, cursor, asOf);
    let stopped = false;
    for await (const { last, rows } of steps(shard, segments, eventsMax, bucket)) {
      const next = segments.find(({ seq }) => seq === last.seq + 1);
      const moved = await sink.apply({
        shard,
        token: lease.token,
        from: cursor,
        to: last.seq,
        completeUntil: next?.committedAt ?? (last.seq === head ? asOf : last.committedAt),
        events: rows.events,
        quarantine: rows.quarantine,
        applied: { events: rows.events.length, quarantined: rows.quarantine.length },
        calls: invocation.calls,
      });
      stopped = !moved.moved;
      if (stopped) break;
      cursor = moved.cursor;
      if (now() >= invocation.deadline) break;
    }
    await log.reached(sink.name, cursor);
    if (stopped) return { kind: "stopped", cursor };
    // Not read once more: what came meanwhile has its own wake-up, and would make a flush of a segment or two.
    if (cursor >= head) return { kind: "caught_up", cursor };
    if (now() >= invocation.deadline) return { kind: "behind", cursor };
  }
}

interface LoadedStep {
  readonly last: SegmentRef;
  readonly rows: SegmentRows;
}

/** Reads segments in order and joins them to steps of at most `eventsMax` and `SINK.stepBytes`, one segment at least. */
async function* steps(
  shard: number,
  refs: readonly SegmentRef[],
  eventsMax: number,
  bucket: SegmentReader,
): AsyncGenerator<LoadedStep> {
  let last: SegmentRef | null = null;
  let rows: SegmentRows = { events: [], quarantine: [] };
  let events = 0;
  let bytes = 0;
  for await (const { ref, body } of fetched(refs, bucket)) {
    const inflated = inflatedBytes(body);
    if (last && (events + ref.events > eventsMax || bytes + inflated > SINK.stepBytes)) {
      yield { last, rows };
      rows = { events: [], quarantine: [] };
      events = 0;
      bytes = 0;
    }
    const decoded = decodeSegment(body, { shard, seq: ref.seq });
    const lines = decoded.events.length + decoded.quarantine.length;
    if (lines !== ref.events || decoded.quarantine.length !== ref.quarantined) {
      throw new Error(`segment ${ref.key} has ${lines} lines, the log says ${ref.events}`);
    }
    last = ref;
    for (const row of decoded.events) rows.events.push(row);
    for (const row of decoded.quarantine) rows.quarantine.push(row);
    events += ref.events;
    bytes += inflated;
  }
  if (last) yield { last, rows };
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
