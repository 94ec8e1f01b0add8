/**
 * Reads a shard's log for a sink: segments in order, joined to steps, their rows passed through the rules in force. The
 * drain and the replays read by this one code, so a rebuild sees what the live sink saw:
 *
 *     a rule (kind `rule`), a segment for other sinks     moved over: nothing is fetched, nothing counted
 *     lines that a redrive brings back (`skip`)           left out here, counted there
 *     rows below a rule's place                           pass through it; one that it retracts is counted, not given
 *     rows of a redrive                                   pass through the rules by the place that they came from; what they
 *                                                         may have been there is given beside them (`former`)
 *     what is missing or damaged                          told to `onDamage`, which throws, or says what to leave out
 */
import type { EventLogApi, EventLogRulesApi } from "../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../durable-objects/namespace.ts";
import type { AppliedCounts, SinkName } from "../durable-objects/sink-cursor/api.ts";
import type { EventRow, QuarantineRow } from "../r2-layout/event-columns.ts";
import { shardName } from "../r2-layout/keys.ts";
import { SINK } from "../r2-layout/limits.ts";
import type { RuleAt } from "../r2-layout/rule.ts";
import type { SegmentRef } from "../r2-layout/segment.ts";
import type { SubjectHasher } from "../r2-layout/subjects.ts";
import {
  type Damage,
  type LeftOutLines,
  type LeftOutPart,
  RowRules,
  readSegment,
  type SegmentPart,
} from "./read-segment.ts";
import { type SegmentReader, segmentObject } from "./segment-object.ts";

export type { SegmentReader };

export type ReadableLog = Pick<EventLogApi, "segments"> & Pick<EventLogRulesApi, "rules">;

export interface LogReadDeps {
  readonly logs: ObjectNamespace<ReadableLog>;
  readonly bucket: SegmentReader;
  /** For rules about people, without which their rows cannot be read: who has none stops there. */
  readonly hash?: SubjectHasher;
}

export interface LogReadOptions {
  /** For whom: segments for others are moved over, and `skip` is told for it. */
  readonly sink?: SinkName;
  /** Events in one step, `SINK.stepEvents` at most and unless it says less; a segment alone may hold more. */
  readonly eventsMax?: number;
  /** What is left out of a segment, by its seq: a hole that was decided. */
  readonly leftOut?: (seq: number) => LeftOutPart | undefined;
  /** Called once everything before the segment was given. @returns what to leave out. Absent: the damage is thrown. */
  readonly onDamage?: (damage: Damage) => Promise<LeftOutPart>;
  /** Steps of one segment up to this seq, in which each row's line is told. */
  readonly aloneUntil?: number;
}

/** One answer of the log, and the rules that it knew then. */
export interface LogPage {
  readonly head: number;
  /** Milliseconds, the log's clock. */
  readonly asOf: number;
  readonly segments: readonly SegmentRef[];
  readonly rules: ShardRules;
}

export interface ShardRules {
  readonly version: number;
  readonly rules: readonly RuleAt[];
}

/** Segments from + 1 .. to, decoded, in log order. Rows carry their log_seq. */
export interface LogStep {
  readonly shard: number;
  readonly from: number;
  readonly to: number;
  /** Everything the log committed before this time (ms, the log's clock) stands at or below `to`. */
  readonly completeUntil: number;
  /** The rule version that the rows passed through. */
  readonly rules: number;
  readonly events: readonly EventRow[];
  readonly quarantine: readonly QuarantineRow[];
  /** All lines that were not left out, retracted ones too. */
  readonly applied: AppliedCounts;
  readonly segments: readonly SegmentRef[];
  /** Events that the sink gives up here: holes. Absent: none. */
  readonly leftOut?: number;
  /**
   * Events of redrives as a store may have them where they stood before: it had taken them when nobody knew yet, and then
   * their segment became a hole. In every form that rules gave them.
   */
  readonly former?: readonly EventRow[];
  /** Of a step of one segment, where it was asked for (`aloneUntil`): the line that a row stands in. */
  readonly lineOf?: ReadonlyMap<EventRow | QuarantineRow, number>;
}

const NO_RULES: ShardRules = { version: 0, rules: [] };
/** Objects fetched at once: two of the platform's six connections stay free for the sink's own writes. */
const FETCHES = 4;

/** Reads one shard; remembers its rules from page to page. */
export class LogReader {
  readonly #shard: number;
  readonly #deps: LogReadDeps;
  #rules: ShardRules = NO_RULES;

  constructor(shard: number, deps: LogReadDeps) {
    this.#shard = shard;
    this.#deps = deps;
  }

  /** What stands after a seq. Rules are asked for after the segments, so that none of them is below a rule that is not known. */
  async page(after: number, sink?: SinkName): Promise<LogPage> {
    const log = this.#deps.logs.getByName(shardName(this.#shard));
    const { rules = 0, ...page } = await log.segments(after, undefined, sink);
    if (rules > this.#rules.version) this.#rules = await log.rules();
    return { ...page, rules: this.#rules };
  }

  /** The page's segments joined to steps of at most `eventsMax` and `SINK.stepBytes`, one segment at least. */
  async *steps(page: LogPage, after: number, options: LogReadOptions = {}): AsyncGenerator<LogStep> {
    const { eventsMax = SINK.stepEvents, aloneUntil = 0, leftOut } = options;
    const most = Math.min(eventsMax, SINK.stepEvents);
    const wanted = page.segments.map((ref) => ({ ref, share: shareOf(ref, options.sink, leftOut?.(ref.seq)) }));
    const rowRules = new RowRules(page.rules.rules, after, this.#deps.hash);
    const read = (ref: SegmentRef, body: Uint8Array | null, { without, hole }: Share) =>
      without === "all" ? notRead(hole) : readSegment(ref, body, this.#shard, without, ref.seq <= aloneUntil);
    let step = new GrowingStep(this.#shard, after, page);
    const log = this.#deps.logs.getByName(shardName(this.#shard));
    for await (const { ref, body, ...fetch } of fetched(wanted, this.#deps.bucket, log)) {
      let { share } = fetch;
      const inflated = body === null ? 0 : inflatedBytes(body);
      const isFull = step.events + ref.events > most || step.bytes + inflated > SINK.stepBytes;
      if (!step.isEmpty && (isFull || ref.seq <= aloneUntil)) {
        yield step.done();
        step = new GrowingStep(this.#shard, step.to, page);
      }
      let part = read(ref, body, share);
      if ("cause" in part) {
        if (!options.onDamage) throw new SegmentDamaged(part);
        if (!step.isEmpty) yield step.done();
        step = new GrowingStep(this.#shard, ref.seq - 1, page);
        share = shareOf(ref, options.sink, await options.onDamage(part));
        part = read(ref, body, share);
        if ("cause" in part) throw new SegmentDamaged(part);
      }
      step.add(ref, rowRules.applied(ref, part, this.#shard), share, inflated);
    }
    if (!step.isEmpty) yield step.done();
  }
}

/** A segment that cannot be read as a whole, where nobody was asked what to leave out. */
export class SegmentDamaged extends Error {
  readonly damage: Damage;

  constructor(damage: Damage) {
    const { ref, cause, detail } = damage;
    super(`segment ${ref.key} (seq ${ref.seq}): ${cause}: ${detail}`);
    this.name = "SegmentDamaged";
    this.damage = damage;
  }
}

/**
 * Steps from `after` (exclusive) to `to` (inclusive; the head, where that is lower), dense: each begins where the one
 * before ended, and the last ends at `to`, if with no rows. For a sink it gives what its live drain would be given.
 */
export async function* readLog(
  { shard, after, to }: { readonly shard: number; readonly after: number; readonly to: number },
  deps: LogReadDeps,
  options: LogReadOptions = {},
): AsyncGenerator<LogStep> {
  const reader = new LogReader(shard, deps);
  for (let at = after; at < to; ) {
    const page = await reader.page(at, options.sink);
    const segments = page.segments.filter(({ seq }) => seq <= to);
    if (segments.length === 0) return;
    for await (const step of reader.steps({ ...page, segments }, at, options)) {
      at = step.to;
      yield step;
    }
  }
}

const notRead = (hole: LeftOutPart | undefined): SegmentPart => ({
  events: [],
  quarantine: [],
  applied: hole?.had ?? { events: 0, quarantined: 0 },
});

class GrowingStep {
  readonly #shard: number;
  readonly #from: number;
  readonly #page: LogPage;
  readonly #segments: SegmentRef[] = [];
  readonly #events: EventRow[] = [];
  readonly #quarantine: QuarantineRow[] = [];
  readonly #former: EventRow[] = [];
  readonly #applied = { events: 0, quarantined: 0, retracted: 0, skipped: { events: 0, quarantined: 0 } };
  #leftOut = 0;
  #lineOf: ReadonlyMap<EventRow | QuarantineRow, number> | undefined;
  /** Lines, by the log's word, and inflated bytes. */
  events = 0;
  bytes = 0;

  constructor(shard: number, from: number, page: LogPage) {
    this.#shard = shard;
    this.#from = from;
    this.#page = page;
  }

  get isEmpty(): boolean {
    return this.#segments.length === 0;
  }

  get to(): number {
    return this.#segments.at(-1)?.seq ?? this.#from;
  }

  add(ref: SegmentRef, part: SegmentPart, { hole }: Share, bytes: number): void {
    this.#segments.push(ref);
    const { applied } = part;
    this.#applied.events += applied.events;
    this.#applied.quarantined += applied.quarantined;
    this.#applied.retracted += applied.retracted ?? 0;
    if (ref.skip) {
      // Whatever the lines are, the counts of a segment add up.
      const { skipped } = this.#applied;
      skipped.events += ref.events - ref.quarantined - applied.events - (hole?.events ?? 0);
      skipped.quarantined += ref.quarantined - applied.quarantined - (hole?.quarantined ?? 0);
    }
    // What the store had before is no hole.
    if (hole && !hole.had) this.#leftOut += hole.events;
    this.events += ref.events;
    this.bytes += bytes;
    this.#lineOf = part.lineOf;
    for (const row of part.events) this.#events.push(row);
    for (const row of part.quarantine) this.#quarantine.push(row);
    for (const row of part.former ?? []) this.#former.push(row);
  }

  done(): LogStep {
    const { head, asOf, segments, rules } = this.#page;
    const { events, quarantined, retracted, skipped } = this.#applied;
    const hasSkipped = skipped.events + skipped.quarantined > 0;
    const last = this.#segments.at(-1)!;
    const next = segments.find(({ seq }) => seq === last.seq + 1);
    return {
      shard: this.#shard,
      from: this.#from,
      to: last.seq,
      completeUntil: next?.committedAt ?? (last.seq === head ? asOf : last.committedAt),
      rules: rules.version,
      events: this.#events,
      quarantine: this.#quarantine,
      applied: { events, quarantined, ...(retracted > 0 && { retracted }), ...(hasSkipped && { skipped }) },
      segments: this.#segments,
      ...(this.#leftOut > 0 && { leftOut: this.#leftOut }),
      ...(this.#former.length > 0 && { former: this.#former }),
      ...(this.#lineOf && { lineOf: this.#lineOf }),
    };
  }
}

/** What of a segment a sink does not get. */
interface Share {
  readonly without: LeftOutLines;
  readonly hole: LeftOutPart | undefined;
}

/** Without a look at the object. */
function shareOf(ref: SegmentRef, sink: SinkName | undefined, hole: LeftOutPart | undefined): Share {
  if (ref.kind === "rule" || (sink && ref.sinks && !ref.sinks.includes(sink))) return { without: "all", hole };
  const { skip = [] } = ref;
  if (skip === "all" || hole?.lines === "all") return { without: "all", hole };
  return { without: hole ? [...skip, ...hole.lines] : skip, hole };
}

interface Wanted {
  readonly ref: SegmentRef;
  readonly share: Share;
}

/** The objects in order, a few fetched ahead; null where there is none, or none is wanted. Small while packed. */
async function* fetched(refs: readonly Wanted[], bucket: SegmentReader, log: Pick<EventLogApi, "segments">) {
  const ahead: ReturnType<typeof fetchSegment>[] = [];
  let started = 0;
  for (const { share } of refs) {
    for (; started < refs.length && ahead.length < FETCHES; started++) {
      const body = fetchSegment(refs[started]!, bucket, log);
      body.catch(() => {}); // Awaited later, or not at all where an earlier one fails.
      ahead.push(body);
    }
    yield { share, ...(await ahead.shift()!) };
  }
}

async function fetchSegment({ ref, share }: Wanted, bucket: SegmentReader, log: Pick<EventLogApi, "segments">) {
  return share.without === "all" ? { ref, body: null } : segmentObject(ref, bucket, log);
}

/** gzip keeps the inflated size in its last four bytes, so a step can be cut before anything is inflated. */
function inflatedBytes(packed: Uint8Array): number {
  if (packed.byteLength < 18) return 0; // No gzip: reading it will say so.
  return new DataView(packed.buffer, packed.byteOffset, packed.byteLength).getUint32(packed.byteLength - 4, true);
}
