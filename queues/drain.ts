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
 *     a newer rule is raised         the store refuses the step, which is read again through the rule
 *     a redrive of the sink's hole   the hole is closed first, in case that whoever sent it could not any more
 *
 * What cannot be read, or is refused for what it is (refusal.ts), fails a bounded number of times, then becomes a hole,
 * and the log is read on without it:
 *
 *     object missing or damaged      the hole is the segment, unless the store has had it before
 *     a line damaged                 the hole is the line, the others are applied
 *     a step refused                 its segments are taken one by one; of the one that is refused alone, the lines at fault
 *     an outage, of whatever length  no hole, ever: it is tried again, and loudly
 */
import type { EventLogApi, WakeUp } from "../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../durable-objects/namespace.ts";
import type { Hole, Lease, Moved } from "../durable-objects/sink-cursor/api.ts";
import { shardName } from "../r2-layout/keys.ts";
import { SINK } from "../r2-layout/limits.ts";
import type { SegmentRef } from "../r2-layout/segment.ts";
import { DETAIL_CHARS, LeaseLost, LeftOut, type PoisonLimits } from "./left-out.ts";
import {
  type LogPage,
  type LogReadDeps,
  LogReader,
  type LogStep,
  type ReadableLog,
  SegmentDamaged,
} from "./read-log.ts";
import type { Damage } from "./read-segment.ts";
import { isBehindRules, isRefusal } from "./refusal.ts";
import { refusedHole } from "./refused-lines.ts";
import type { CallBudget, Sink, SinkStep } from "./sink.ts";

export interface DrainDeps extends LogReadDeps {
  readonly sink: Sink;
  readonly logs: ObjectNamespace<ReadableLog & Pick<EventLogApi, "reached">>;
  /** Milliseconds. */
  readonly now?: () => number;
  readonly limits?: PoisonLimits;
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
  const { sink, now = Date.now } = deps;
  const log = deps.logs.getByName(shardName(shard));
  const drain = new ShardDrain(shard, lease, deps, invocation);
  for (;;) {
    const page = await drain.read();
    if (page.segments.length === 0) await sink.tick?.(shard, drain.cursor, page.asOf);
    const before = drain.cursor;
    let ended: PageEnd;
    try {
      ended = await drain.applyPage(page);
    } catch (error) {
      if (drain.cursor > before) await log.reached(sink.name, drain.cursor, lease.token);
      throw error;
    }
    const { cursor } = drain;
    await log.reached(sink.name, cursor, lease.token);
    if (ended === "stopped") return { kind: "stopped", cursor };
    // Not read once more: what came meanwhile has its own wake-up, and would make a flush of a segment or two.
    if (cursor >= page.head) return { kind: "caught_up", cursor };
    if (now() >= invocation.deadline) return { kind: "behind", cursor };
  }
}

/** `again`: the log is to be read again from the cursor, otherwise than before. */
type PageEnd = "applied" | "again" | "stopped";

/** How often a step is read again because of a newer rule: they are raised in the log before the stores know them. */
const REREADS = 3;

class ShardDrain {
  readonly #shard: number;
  readonly #lease: Lease;
  readonly #deps: DrainDeps;
  readonly #invocation: Invocation;
  readonly #reader: LogReader;
  readonly #leftOut: LeftOut;
  /** Segments up to this seq are taken one by one: a step that they were in was refused. */
  #aloneUntil = 0;
  #rereads = 0;
  cursor: number;

  constructor(shard: number, lease: Lease, deps: DrainDeps, invocation: Invocation) {
    this.#shard = shard;
    this.#lease = lease;
    this.#deps = deps;
    this.#invocation = invocation;
    this.#reader = new LogReader(shard, deps);
    this.#leftOut = new LeftOut(shard, lease, deps.sink, deps.limits);
    this.cursor = lease.cursor;
  }

  read(): Promise<LogPage> {
    return this.#reader.page(this.cursor, this.#deps.sink.name);
  }

  async applyPage(page: LogPage): Promise<PageEnd> {
    const { sink, now = Date.now } = this.#deps;
    const steps = this.#reader.steps(page, this.cursor, {
      sink: sink.name,
      ...(sink.maxEvents && { eventsMax: sink.maxEvents }),
      leftOut: (seq) => this.#leftOut.of(seq),
      onDamage: (damage) => this.#passDamage(damage),
      aloneUntil: this.#aloneUntil,
    });
    try {
      for await (const read of steps) {
        const moved = await this.#apply(read);
        if (moved === "again") return "again";
        if (!moved.moved) return "stopped";
        this.cursor = moved.cursor;
        this.#rereads = 0;
        if (now() >= this.#invocation.deadline) break;
      }
    } catch (error) {
      if (error instanceof LeaseLost) return "stopped";
      throw error;
    }
    return "applied";
  }

  async #apply(read: LogStep): Promise<Moved | "again"> {
    const { sink } = this.#deps;
    const { segments, lineOf, ...rest } = read;
    const { token, generation } = this.#lease;
    const step: SinkStep = { ...rest, token, ...(generation && { generation }), calls: this.#invocation.calls };
    await this.#closeHoles(segments);
    try {
      return await sink.apply(step);
    } catch (error) {
      if (isBehindRules(error) && this.#rereads++ < REREADS) return "again";
      // A step without rows has nothing that could be left out.
      if (!isRefusal(error) || step.events.length + step.quarantine.length === 0) throw error;
      if (lineOf) {
        await this.#leftOut.giveUp(segments[0]!, "step_refused", error, () => refusedHole(read, step, sink, error));
      }
      this.#aloneUntil = read.to;
      return "again";
    }
  }

  /**
   * Whoever sent a hole again closes it, and may have died before: a cursor does not pass what brings a hole's lines while
   * the hole is open, or its lines would be looked for where they are not.
   */
  async #closeHoles(segments: readonly SegmentRef[]): Promise<void> {
    const { name, holes } = this.#deps.sink;
    for (const { kind, seq, sinks, origins } of segments) {
      // What comes for all sinks brings no hole: each sink has holes of its own.
      if (kind !== "redrive" || sinks?.length !== 1 || sinks[0] !== name) continue;
      const [origin] = origins ?? [];
      if (origin !== undefined) await holes?.(this.#shard).close(this.#shard, origin, seq);
    }
  }

  #passDamage(damage: Damage) {
    const { ref, cause, detail, lines, events, quarantined } = damage;
    const hole: Hole = {
      seq: ref.seq,
      key: ref.key,
      lines,
      of: ref.events,
      events,
      quarantined,
      cause,
      detail: detail.slice(0, DETAIL_CHARS),
    };
    return this.#leftOut.giveUp(ref, cause, new SegmentDamaged(damage), () => hole);
  }
}

function wokenShard(body: unknown): number | null {
  const shard = (body as Partial<WakeUp> | null)?.shard;
  return typeof shard === "number" && Number.isSafeInteger(shard) && shard >= 0 ? shard : null;
}
