/** What others may ask of an EventLog: one object per shard, named by `shardName(shard)`. */
import type { Rule, RuleAt } from "../../r2-layout/rule.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";
import type { SinkName } from "../sink-cursor/api.ts";

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
}

export interface SegmentCommit {
  readonly epoch: number;
  /** Null where every event was a duplicate: then only the messages are recorded and no seq is given. */
  readonly segment: {
    readonly key: string;
    readonly bytes: number;
    readonly events: number;
    readonly quarantined: number;
    /** Microseconds. */
    readonly minReceivedAt: number;
    readonly maxReceivedAt: number;
    /** Milliseconds: when the object was written, by the writer's clock. */
    readonly writtenAt: number;
  } | null;
  /** 16 bytes for each line of the segment, in line order. */
  readonly ids: Uint8Array;
  readonly messages: readonly CommittedMessage[];
  /** Messages of the batch that were left out because the log owns them: a statistic, counted if this commits. */
  readonly redelivered?: number;
}

export type CommitAnswer =
  | { readonly kind: "committed"; readonly seq: number | null }
  /** Nothing was changed. Indexes into `ids` and `messages` that the log owns already: drop them and try again. */
  | { readonly kind: "owned"; readonly ids: number[]; readonly messages: number[] }
  /** The segment is too old to be safe from the sweep: write it again. */
  | { readonly kind: "stale" }
  /** The shard was split or moved: use this epoch. */
  | { readonly kind: "moved"; readonly epoch: number };

export interface LogStatus {
  readonly shard: number;
  readonly epoch: number;
  /** The newest seq, 0 before the first. */
  readonly head: number;
  /** Cumulative counts of events. accepted is what the edges' running numbers say was sent here. */
  readonly accepted: number;
  /** Of the accepted, those whose message has arrived. accepted - arrived is on the queue, or lost. */
  readonly arrived: number;
  /** arrived = committed + quarantined + duplicates + suppressed. */
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
}

/** What a sink has still to read. */
export interface PastCursor {
  /** Less the quarantined. */
  readonly events: number;
  readonly quarantined: number;
  readonly segments: number;
  /** Milliseconds: when the oldest of them was committed; null where there is none. */
  readonly since: number | null;
}

export interface EventLogApi {
  /** Which are owned already, one byte (0 or 1) each; advisory, `commit` decides. */
  filter(ids: Uint8Array, messageIds: Uint8Array): Promise<{ ids: Uint8Array; messages: Uint8Array }>;
  commit(commit: SegmentCommit): Promise<CommitAnswer>;
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
  /** Events (less the quarantined) and quarantined ones in segments after..to (exclusive, inclusive). */
  count(after: number, to?: number): Promise<{ events: number; quarantined: number }>;
  /** The status, and what lies past each of these cursors, as of one moment: the ledger's figures. */
  tally(
    cursors: Readonly<Partial<Record<SinkName, number>>>,
  ): Promise<{ status: LogStatus; past: Partial<Record<SinkName, PastCursor>> }>;
  /** A sink tells how far it has come, so that wake-ups stop. Safe to repeat, never moves back. */
  reached(sink: SinkName, seq: number): Promise<void>;
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
   * answer of `segments` names its version. Safe to repeat: a version that the log has keeps its place.
   * @throws RangeError where versions are left out.
   */
  raise(rule: Rule, key: string): Promise<{ readonly seq: number }>;
  /** The rules of this shard with their places; `places` of other shards are left out. */
  rules(): Promise<{ readonly version: number; readonly rules: RuleAt[] }>;
}

/** Events that come into the log once more: out of a hole of one sink, or out of quarantine. */
export interface Redrive {
  /** Idempotency key: the same one is committed once and keeps its seq. */
  readonly id: string;
  /** The segment's object, written before. Its lines stand for `origins`, in their order. */
  readonly segment: NonNullable<SegmentCommit["segment"]>;
  readonly origins: readonly { readonly seq: number; readonly lines: readonly number[] | "all" }[];
  /** Who gets it: one sink for its hole, all for what was quarantined. */
  readonly sinks: readonly SinkName[];
}

export interface EventLogRedriveApi {
  redrive(redrive: Redrive): Promise<{ readonly kind: "committed"; readonly seq: number } | { readonly kind: "stale" }>;
}

/** Places by time, for replays: segments that may hold events received in from..to (ms, half open), both seqs inclusive. */
export interface EventLogPlacesApi {
  /** Null where there is none. `oldest` is the first segment whose row the log still has. */
  between(
    fromMs: number,
    toMs: number,
  ): Promise<{ oldest: number; head: number; range: { from: number; to: number } | null }>;
}

/** What the daily audit asks: which ids of a day another shard owns, too. */
export interface EventLogAuditApi {
  /** Ids that were committed on a day (`YYYY-MM-DD`, the log's clock), after the one given, in order; a bounded page. */
  idsOf(day: string, after: Uint8Array | null): Promise<{ ids: Uint8Array; next: Uint8Array | null }>;
  /** For each id the time (ms) at which the log took it, to the hour or day its run is known by; 0 where it does not own it. */
  ownedAt(ids: Uint8Array): Promise<Float64Array>;
}
