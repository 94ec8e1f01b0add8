/**
 * What a drain leaves out of its shard: the holes that were decided before, which its lease named, and those that it
 * decides. Failures are counted beside the cursor, so that invocations that come and go add up:
 *
 *     fails for the first time              counted, thrown: the wake-up is retried
 *     fails often enough, for long enough   decided, and read on without it
 *     fails as another did lately           decided at once: whatever must be told from an outage was told then
 *     as most of the segments before it     rather the store's fault, or ours, than the events': each further one waits long
 *     the lease went to another drain       neither is counted nor decided: this drain ends
 *     the effect is made, and then it goes   no hole: a store that takes segments whole is asked before (`Sink.has`), and fences off whoever
 *     bad, before the cursor has moved       read it when it could be; the cursor moves over it with the counts of the log's row
 *     the same where subjects are many       a hole, whose redrive takes the events out of the place where some subjects may have
 *                                            them before it brings them (queues/sessions/sink.ts)
 */
import type { Failures, Hole, Lease } from "../durable-objects/sink-cursor/api.ts";
import { SINK } from "../r2-layout/limits.ts";
import type { SegmentRef } from "../r2-layout/segment.ts";
import type { LeftOutPart } from "./read-segment.ts";
import type { Sink } from "./sink.ts";

/** `SINK`'s, unless a test is in a hurry. */
export interface PoisonLimits {
  readonly poisonAttempts: number;
  readonly poisonSpreadMs: number;
  readonly poisonRecentMs: number;
  readonly poisonInARow: number;
  readonly poisonHoldMs: number;
}

/** Somebody else drains this shard by now. */
export class LeaseLost extends Error {}

export class LeftOut {
  readonly #shard: number;
  readonly #token: number;
  readonly #sink: Sink;
  readonly #limits: PoisonLimits;
  readonly #holes: Map<number, Hole>;
  /** Segments that cannot be read, and are in the store. */
  readonly #had = new Map<number, LeftOutPart>();

  constructor(shard: number, lease: Lease, sink: Sink, limits: PoisonLimits = SINK) {
    this.#shard = shard;
    this.#token = lease.token;
    this.#sink = sink;
    this.#limits = limits;
    this.#holes = new Map(lease.holes?.map((hole) => [hole.seq, hole]));
  }

  of(seq: number): LeftOutPart | undefined {
    return this.#had.get(seq) ?? this.#holes.get(seq);
  }

  /**
   * For the segment right after the cursor. @param hole is asked for only once the attempts are used up
   * @throws `error` while it is to be tried again; LeaseLost
   */
  async giveUp(ref: SegmentRef, cause: string, error: unknown, hole: () => Hole | Promise<Hole>): Promise<LeftOutPart> {
    const { seq } = ref;
    const keeper = this.#sink.holes?.(this.#shard);
    if (!keeper) throw error;
    const failures = await keeper.failed(this.#shard, this.#token, seq, cause);
    const { attempts, sinceMs, inARow } = failures;
    if (attempts === 0) throw new LeaseLost(`shard ${this.#shard}`);
    const { poisonAttempts, poisonSpreadMs, poisonInARow, poisonHoldMs, poisonRecentMs } = this.#limits;
    const known = isKnown(seq, cause, failures, poisonRecentMs);
    if (!known && (attempts < poisonAttempts || sinceMs < poisonSpreadMs)) throw error;
    if (await this.#sink.has?.(this.#shard, seq, this.#token)) return this.#passOver(ref, cause);
    const decided = wider(this.#holes.get(seq), await hole());
    const most = 2 * (decided.events + decided.quarantined) > decided.of && cause !== "segment_missing";
    if (most && inARow >= poisonInARow && sinceMs < poisonHoldMs) throw error;
    if (!(await keeper.decide(this.#shard, this.#token, seq - 1, decided))) throw new LeaseLost(`shard ${this.#shard}`);
    this.#holes.set(seq, decided);
    const { lines: _, ...facts } = decided;
    console.error(
      JSON.stringify({ at: "drain", reason: "hole", sink: this.#sink.name, shard: this.#shard, attempts, ...facts }),
    );
    return decided;
  }

  /** What was left out before is still to be left out: the store does not have it. */
  #passOver({ seq, skip, ...ref }: SegmentRef, cause: string): LeftOutPart {
    const { events = 0, quarantined = 0 } = this.#holes.get(seq) ?? {};
    const skipped = skip === "all" ? ref.events : (skip?.length ?? 0);
    const had = {
      events: Math.max(0, ref.events - ref.quarantined - events - skipped),
      quarantined: skip === "all" ? 0 : ref.quarantined - quarantined,
    };
    const part = { lines: "all", events, quarantined, had } as const;
    this.#had.set(seq, part);
    console.warn(
      JSON.stringify({ at: "drain", reason: "had", sink: this.#sink.name, shard: this.#shard, seq, cause, ...had }),
    );
    return part;
  }
}

/**
 * An object that is missing may have been there for a straggler a moment ago, so only the next of a row is known. What is
 * refused, or damaged within an object that is whole, is so for everybody.
 */
function isKnown(seq: number, cause: string, { last }: Failures, recentMs: number): boolean {
  if (last?.cause !== cause || last.ageMs > recentMs) return false;
  return cause === "step_refused" || cause === "line_damaged" || last.seq === seq - 1;
}

function wider(known: Hole | undefined, more: Hole): Hole {
  if (!known) return more;
  if (known.lines === "all" || more.lines === "all") return known.lines === "all" ? known : more;
  return {
    ...more,
    lines: [...known.lines, ...more.lines].sort((a, b) => a - b),
    events: known.events + more.events,
    quarantined: known.quarantined + more.quarantined,
    detail: `${known.detail}; ${more.detail}`.slice(0, DETAIL_CHARS),
  };
}

/** Of a hole's detail: enough to know it by. */
export const DETAIL_CHARS = 1_000;
