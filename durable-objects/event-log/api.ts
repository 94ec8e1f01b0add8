/** What others may ask of an EventLog: one object per shard, named by `shardName(shard)`. */
import type { Rule, RuleAt } from "../../r2-layout/rule.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";
import type { PackedPrefixes, PackedSubjects } from "../../r2-layout/subjects.ts";
import type { SinkName } from "../sink-cursor/api.ts";
import type { DayCounts } from "./day-counts.ts";

/** One queue message's share of a commit. */
export interface CommittedMessage {
  /** `messageIdHash`: owning it tells a redelivery from a duplicate. 16 bytes. */
  readonly id: Uint8Array;
  readonly edge: string;
  readonly n: number;
  readonly source: string;
  /** As in its header: events in it, and events accepted by that instance before it. */
  readonly events: number;
  readonly before: number;
  readonly void: readonly (readonly [n: number, events: number])[];
  /** Events of it that were dropped as duplicates: owned by earlier commits, or repeated within this batch. */
  readonly duplicates: number;
  /** Events of it that carry these flags; absent: none. */
  readonly late?: number;
  readonly clockSkewed?: number;
  /** Events of it that a split has given to other shards, which have them already; absent: none. */
  readonly movedOut?: number;
  /** Events of it that a rule keeps out of the log: they are about somebody who is to be forgotten. Absent: none. */
  readonly suppressed?: number;
  /**
   * A part that a split has sent here out of another shard's message: `n`, `before` and `void` are that shard's affair and
   * are not looked at. Packed ids of 16 bytes, any of which being owned says that this part is accounted for.
   */
  readonly movedIn?: Uint8Array;
}

export interface SegmentCommit {
  readonly epoch: number;
  /** The numbers of shards up to this epoch (r2-layout/shards.ts); needed once there was a split. */
  readonly shards?: readonly number[];
  /** Null where every event was a duplicate: then only the messages are recorded and no seq is given. */
  readonly segment: {
    readonly key: string;
    readonly bytes: number;
    readonly events: number;
    readonly quarantined: number;
    /** Events whose sender sent them to replace earlier ones; absent: none. */
    readonly republished?: number;
    /** Microseconds. */
    readonly minReceivedAt: number;
    readonly maxReceivedAt: number;
    /** Milliseconds: when the object was written, by the writer's clock. */
    readonly writtenAt: number;
    /** `PackedPrefixes` of whom its events may name; quarantined lines are not in it. Absent: nobody has looked. */
    readonly subjects?: string;
  } | null;
  /** 16 bytes for each line of the segment, in line order. */
  readonly ids: Uint8Array;
  readonly messages: readonly CommittedMessage[];
  /** Messages of the batch that were left out because the log owns them: a statistic, counted if this commits. */
  readonly redelivered?: number;
  /** Version of the newest rule by which lines were kept out; absent: 0, none. */
  readonly barred?: number;
}

export type CommitAnswer =
  | { readonly kind: "committed"; readonly seq: number | null }
  /** Nothing was changed. Indexes into `ids` and `messages` that the log owns already: drop them and try again. */
  | { readonly kind: "owned"; readonly ids: number[]; readonly messages: number[] }
  /** The segment is too old to be safe from the sweep: write it again. */
  | { readonly kind: "stale" }
  /** A newer rule keeps somebody out: leave the lines about them out, by `EventLogApi.barred`. */
  | { readonly kind: "barred"; readonly version: number }
  /** The shard was split: group the lines by the last of these numbers of shards, and use this epoch. */
  | { readonly kind: "moved"; readonly epoch: number; readonly shards?: readonly number[] };

/** Cumulative counts of one source's events in one shard. The last of many is `(other)`. */
export interface SourceCounts {
  readonly source: string;
  /** Arrived, with duplicates. */
  readonly events: number;
  readonly duplicates: number;
  readonly late: number;
  readonly clock_skewed: number;
}

export interface LogStatus {
  readonly shard: number;
  readonly epoch: number;
  /** The newest seq, 0 before the first. */
  readonly head: number;
  /** Cumulative counts of events. accepted is what the edges' running numbers say was sent here. */
  readonly accepted: number;
  /** Of the accepted, those whose message has arrived. accepted - arrived is on the queue, or lost. */
  readonly arrived: number;
  /** arrived + moved_in = committed + quarantined + duplicates + suppressed + moved_out. */
  readonly committed: number;
  readonly quarantined: number;
  readonly duplicates: number;
  readonly suppressed: number;
  readonly redelivered_messages: number;
  /** Numbers of messages that are owed: sent, by a later message's word, and not arrived. */
  readonly gaps: number;
  readonly ids: number;
  readonly id_memory_bytes: number;
  /** Per sink: what it has told the log of its cursor. */
  readonly cursors: Partial<Record<SinkName, number>>;
  /** Milliseconds of the newest commit, 0 before the first. */
  readonly committed_at: number;
  /** Events that came out of other shards' messages, and that went to other shards, when shards were split. */
  readonly moved_in: number;
  readonly moved_out: number;
  /** Of the arrived: long after they happened, and from a clock that cannot be right. */
  readonly late: number;
  readonly clock_skewed: number;
  /** Of the committed: sent again to replace earlier ones. */
  readonly republished: number;
  /** Version of the newest rule. */
  readonly rules: number;
  /** Milliseconds since when the oldest gap is known, null without one: a gap of minutes is a delay, of a day a loss. */
  readonly oldest_gap_at: number | null;
  readonly sources: readonly SourceCounts[];
  /** Messages of edges, without redeliveries, since it is counted; and the counts of the newest commit's day (UTC). */
  readonly messages: number;
  readonly newest_day: DayCounts;
}

/** What a sink has still to read. */
export interface PastCursor {
  /** Less the quarantined, and less what is redriven for the sink; its redrives count where they stand. */
  readonly events: number;
  readonly quarantined: number;
  readonly segments: number;
  /** Lines that a sink has met at this cursor: applied, or left out. Its own redrives among them. */
  readonly met: { readonly events: number; readonly quarantined: number };
  /** Events at or below the cursor that came back, or will, as a redrive for the sink. */
  readonly redriven: number;
  /** Milliseconds: when the oldest of them was committed; null where there is none. */
  readonly since: number | null;
}

/** Whom a rule keeps out. What was accepted below a suppression stays, also where it comes back above it, as a redrive. */
export interface BarringRule {
  readonly kind: "erase" | "suppress";
  readonly subjects: PackedSubjects;
}

export interface EventLogApi {
  /**
   * Which are owned already, one byte (0 or 1) each, and the version of the newest rule that keeps somebody out (absent: none);
   * advisory, `commit` decides.
   */
  filter(ids: Uint8Array, messageIds: Uint8Array): Promise<{ ids: Uint8Array; messages: Uint8Array; barred?: number }>;
  commit(commit: SegmentCommit): Promise<CommitAnswer>;
  /**
   * Whom rules above a version keep out of the log, rule by rule: at most `LOG.barredRules` of them. `until` is the last one
   * told; where it is not the newest, ask on from there.
   */
  barred(after: number): Promise<{ readonly until: number; readonly rules: readonly BarringRule[] }>;
  /**
   * Segments with seq > after, in order, at most `LOG.segmentsPerRead`. `asOf` is the log's clock in ms, read before;
   * `rules` the version of the newest rule: who knows an older one asks for `rules()` before it reads a row. `sink` says
   * for whom `skip` is told.
   */
  segments(
    after: number,
    limit?: number,
    sink?: SinkName,
  ): Promise<{ head: number; asOf: number; segments: SegmentRef[]; rules?: number }>;
  /**
   * Events (less the quarantined) and quarantined ones in segments after..to (exclusive, inclusive): of messages, and for
   * a sink with its redrives among them, which is what it meets there.
   */
  count(after: number, to?: number, sink?: SinkName): Promise<{ events: number; quarantined: number }>;
  /** The status, and what lies past each of these cursors, as of one moment: the ledger's figures. */
  tally(
    cursors: Readonly<Partial<Record<SinkName, number>>>,
  ): Promise<{ status: LogStatus; past: Partial<Record<SinkName, PastCursor>> }>;
  /**
   * A sink tells how far it has come, so that wake-ups stop. Safe to repeat, never moves back; with a token from before
   * the newest turn it changes nothing.
   */
  reached(sink: SinkName, seq: number, token?: number): Promise<void>;
  /**
   * A sink's cursor was set to another place, which may lie behind: it is woken until it has come to the head again. Safe
   * to repeat. @param token the cursor's as of then
   */
  turned(sink: SinkName, seq: number, token: number): Promise<void>;
  /** The cron's poke: wakes every sink that is behind, and gives idle ones a tick. */
  poke(shard: number): Promise<void>;
  /** Which of these keys (of log objects) no row names: the sweep asks before it deletes. */
  unnamed(keys: readonly string[]): Promise<string[]>;
  status(): Promise<LogStatus>;
}

/** A message on a sink's queue: shard k has reached head. */
export interface WakeUp {
  readonly shard: number;
  readonly head: number;
}

/** What the log does for rules: corrections, retractions and settlements (r2-layout/rule.ts). */
export interface EventLogRulesApi {
  /**
   * Takes the next seq for a rule, as a segment of kind `rule` whose key is the rule's own object. From then on every
   * answer of `segments` names its version. Safe to repeat: a version that the log has keeps its place. A shard that was
   * split passes it on.
   * @throws RangeError where versions are left out, one is another rule's, or the rule takes more than `LOG.ruleBytes`.
   */
  raise(rule: Rule, key: string, shards?: readonly number[]): Promise<{ readonly seq: number }>;
  /** The rules of this shard with their places; `places` of other shards are left out. */
  rules(): Promise<{ readonly version: number; readonly rules: RuleAt[] }>;
  /**
   * Puts placeholders where rules name erased people (r2-layout/redact.ts). @param names placeholders by identifier
   * @param isTrial changes nothing @returns how many rules name one
   */
  redactRules(names: ReadonlyMap<string, string>, isTrial: boolean): Promise<number>;
}

/** Events that come into the log once more: out of a hole of one sink, or out of quarantine. */
export interface Redrive {
  /** Idempotency key: the same one is committed once and keeps its seq. */
  readonly id: string;
  /** The segment's object, written before. Its lines stand for `origins`, in their order. */
  readonly segment: NonNullable<SegmentCommit["segment"]>;
  readonly origins: readonly RedriveOrigin[];
  /** Who gets it: one sink for its hole, all for what was quarantined. */
  readonly sinks: readonly SinkName[];
  /** 16 bytes for each line, where the lines get ids that they did not have: what was quarantined, and is an event now. */
  readonly ids?: Uint8Array;
  /** As of a commit: lines about whom rules up to this version keep out are none of these. */
  readonly barred?: number;
}

/** Lines of one segment. */
export interface RedriveOrigin {
  readonly seq: number;
  readonly lines: readonly number[] | "all";
  /**
   * Those of them that the log counts as quarantined. Absent: of a whole segment what its row says, else all of them in a
   * redrive for all sinks and none in one for a single sink.
   */
  readonly quarantined?: number;
}

export type RedriveAnswer =
  | { readonly kind: "committed"; readonly seq: number }
  /** The segment is too old to be safe from the sweep: write it again. */
  | { readonly kind: "stale" }
  /** Nothing was changed: as of a commit. */
  | { readonly kind: "barred"; readonly version: number }
  /** Nothing was changed. These lines were redriven before, for one of the sinks: leave them out. */
  | { readonly kind: "redriven"; readonly origins: readonly RedriveOrigin[] }
  /** Nothing was changed. Indexes into `ids` that the log owns already: leave these lines out. */
  | { readonly kind: "owned"; readonly ids: readonly number[] };

export interface EventLogRedriveApi {
  /** @throws RangeError where counts do not agree, or an origin is not one of this log, or was not for these sinks. */
  redrive(redrive: Redrive): Promise<RedriveAnswer>;
}

/** Where a log stands with regard to a range of time. */
export interface Standing {
  readonly head: number;
  /** Splits that it knows of. */
  readonly epoch: number;
  /** Messages owed that an edge has sent, by a later one's word. */
  readonly gaps: number;
  /** The first and the last segment that may hold events received in the range; null: none. */
  readonly range: { readonly from: number; readonly to: number } | null;
}

/** What the cut of a day asks. */
export interface EventLogStandingApi {
  /**
   * Of a day, or another range of time received (ms, half open), what its cut asks. @param owedUntilMs gaps count that
   * became known from `fromMs` up to then, by this log's clock; absent: now
   */
  standing(fromMs: number, toMs: number, owedUntilMs?: number): Promise<Standing>;
}

/** Places by time, for replays: segments that may hold events received in from..to (ms, half open), both seqs inclusive. */
export interface EventLogPlacesApi {
  /** Null where there is none. `oldest` is the first segment whose row the log still has. */
  between(
    fromMs: number,
    toMs: number,
  ): Promise<{ oldest: number; head: number; range: { from: number; to: number } | null }>;
  /**
   * Segments with seq > after that hold republished events for the lake, in order; `LOG.segmentsPerRead` at most. Its redrives
   * are among them: who has looked at what they stood in has not seen them there.
   */
  republishedAfter(after: number): Promise<{ seq: number; republished: number }[]>;
}

/** What the daily audit asks: which ids of a day another shard owns, too. */
export interface EventLogAuditApi {
  /**
   * Ids that were committed on a day (`YYYY-MM-DD`, the log's clock), after the one given, in order; a bounded page, which
   * may be empty before the last. `next` is what to give as `after`, null at the end. Ids of messages are among them, and
   * around midnight some of the day before or after, because a run is known by its oldest and its newest id.
   */
  idsOf(day: string, after: Uint8Array | null): Promise<{ ids: Uint8Array; next: Uint8Array | null }>;
  /** For each id the time (ms) at which the log took it, to the hour or day its run is known by; 0 where it does not own it. A parent's ids are not its child's. */
  ownedAt(ids: Uint8Array): Promise<Float64Array>;
}

/** What the logs of a split ask of one another (inheritance.ts). */
export interface EventLogLineageApi {
  /** A child is there: from now on who commits by older numbers of shards is told these. @returns the rules so far. */
  partWith(shards: readonly number[]): Promise<{ readonly rules: RuleAt[] }>;
  /** One byte for each id, 1 where this log or one that it came out of owns it. */
  ownedBefore(ids: Uint8Array): Promise<Uint8Array>;
  raise(rule: Rule, key: string, shards?: readonly number[]): Promise<{ readonly seq: number }>;
}

/** A segment's object written anew: as many lines, some of which are marks of erased ones (r2-layout/log-line.ts). */
export interface SegmentReplacement {
  readonly seq: number;
  /** The key of the object that was read. */
  readonly from: string;
  readonly to: {
    readonly key: string;
    readonly bytes: number;
    /** Milliseconds: when it was written, by the writer's clock. */
    readonly writtenAt: number;
    /** As `noteSubjects`, of the lines that are left; absent: nobody has looked. */
    readonly subjects?: PackedPrefixes;
  };
}

export type ReplaceAnswer =
  | { readonly kind: "replaced" }
  /** Nothing was changed: somebody else has written it anew. Read that one. */
  | { readonly kind: "moved"; readonly key: string }
  /** Nothing was changed: the log has let go of it, or never had it. */
  | { readonly kind: "forgotten" }
  /** Nothing was changed: the object is too old to be safe from the sweep. Write it again. */
  | { readonly kind: "stale" };

/** What an erasure asks (queues/erasure/stores/log.ts). */
export interface EventLogErasureApi {
  /**
   * Segments with seq > after that may name one of these, redrives too, in order: at most `LOG_ERASURE.segmentsTold`. Those of
   * which nobody has said whom they name are among them. `until` is the last seq that was looked at: ask on from there, up to
   * the head. @throws RangeError where `subjects` is no packed set.
   */
  segmentsWith(
    subjects: PackedPrefixes,
    after: number,
  ): Promise<{ readonly head: number; readonly until: number; readonly segments: SegmentRef[] }>;
  /**
   * Gives a segment's row the new object's key, in one transaction, and notes the old object as one to delete. Safe to repeat: the
   * same new key is answered as the first time. Who read the row before finds the old object gone, and reads the row again
   * (queues/segment-object.ts). @throws RangeError where the new key is no segment's.
   */
  replaceSegment(replacement: SegmentReplacement): Promise<ReplaceAnswer>;
  /**
   * Whom the lines of a segment may name, quarantined ones too, by who has read all of them: from then on it is read only for
   * these. Nothing is noted where the row has another key by now. @throws RangeError where `subjects` is no packed set.
   */
  noteSubjects(seq: number, key: string, subjects: PackedPrefixes): Promise<void>;
  /** Objects that were replaced and may still be there: at most `LOG_ERASURE.replacedTold`. */
  replacedObjects(): Promise<string[]>;
  /** They are deleted. Safe to repeat. */
  replacedDeleted(keys: readonly string[]): Promise<void>;
}
