/** What others may ask of a MinuteRollup: one object per metric group and shard, named `core:<shardName>`. */
import type { ShardMinute } from "../live-hub/api.ts";

export const DIMENSIONS = ["event_name", "country", "device_type", "page_path"] as const;
export type Dimension = (typeof DIMENSIONS)[number];
export const GRAINS = ["minute", "hour", "day"] as const;
export type Grain = (typeof GRAINS)[number];
/** `events` and `revenue` by any dimension, `users` (distinct user_id ?? anonymous_id) in total only. */
export const METRICS = ["events", "users", "revenue"] as const;
export type Metric = (typeof METRICS)[number];

/** The key of events whose column is null, so that the values of a dimension add up to the total. */
export const NO_VALUE = "(none)";
/** The key of all values that a full dimension no longer tells apart. */
export const OTHER_VALUES = "(other)";

/** Money in millionths of a unit, as an integer: exact in any order and for any currency, where doubles are not. */
export type MicroUnits = bigint;
/** By currency code, `` where none was given. Pairs and not an object: a currency or a name may be `__proto__`. */
export type RevenueByCurrency = readonly (readonly [currency: string, micro: MicroUnits])[];

/** One value of a dimension. Without revenue the pair of name and count is all. */
export type ValueDelta = readonly [value: string, events: number, revenue?: RevenueByCurrency];

/** What one minute of event_time gained. Plain values: it crosses an RPC. */
export interface MinuteDelta {
  /** Start of the minute, milliseconds since the epoch. */
  readonly minute: number;
  readonly events: number;
  readonly revenue: RevenueByCurrency;
  readonly by: Readonly<Record<Dimension, readonly ValueDelta[]>>;
  /** HyperLogLog of users, as `encodeSketch` writes it. */
  readonly users: Uint8Array;
  /** Every value is its column's as the lake has it: no text in it reads as no value does. Absent: that was not looked at, or is not so. */
  readonly plain?: true;
}

export interface RollupBatch {
  readonly shard: number;
  /** Segments from..to, both inclusive; to = from - 1 for a tick without events. */
  readonly from: number;
  readonly to: number;
  /** Everything the log committed before this time (ms, the log's clock) stands at or below `to`. */
  readonly completeUntil: number;
  readonly minutes: readonly MinuteDelta[];
  /** The rule version that its events passed through; absent: 0. */
  readonly rules?: number;
  /** The sink's lease; absent: of nobody who could be fenced off. */
  readonly token?: number;
  /** Events that the sink has given up in these segments (holes); absent: none. */
  readonly leftOut?: number;
}

/** `applied` false: the object is at `lastSeq` and the batch does not start right after it; build it again from there. */
export interface RollupAnswer {
  readonly applied: boolean;
  readonly lastSeq: number;
  /** With `applied` false: the batch would follow, but its events passed through older rules than this version. */
  readonly rules?: number;
  /** With `applied` false: the batch would follow, but a later lease has fenced its own off. */
  readonly fenced?: true;
  /** The list of custom rollups that this shard's events go to as well (`MinuteRollupApi.announce`). Absent: none. */
  readonly tiles?: string;
}

export interface RollupQuery {
  readonly metric: Metric;
  readonly grain: Grain;
  /** Milliseconds, half open, on starts of the grain. */
  readonly from: number;
  readonly to: number;
  readonly by?: Dimension;
}

/** One value of a part: an event count, or micro-units with their currency. */
export type PartValue =
  | { readonly key: string | null; readonly events: number }
  | { readonly key: string | null; readonly currency: string; readonly micro: MicroUnits };

/** What one shard knows of one minute, hour or day; parts of several shards merge into points (merge.ts). */
export interface RollupPart {
  /** Milliseconds. */
  readonly start: number;
  /** 1, and one more for each batch that changed it after it was final in this shard. */
  readonly version: number;
  /** A cap was met: values may be too low, and what they lack is in `(other)`. */
  readonly approximate: boolean;
  readonly values: readonly PartValue[];
  /** For `users`. */
  readonly sketch?: Uint8Array;
}

export interface RollupParts {
  /** As in RollupBatch: what ended long enough before is final in this shard. */
  readonly completeUntil: number;
  /** Oldest first. */
  readonly parts: readonly RollupPart[];
  /** There were more values than an answer may hold; the parts are not all. */
  readonly cut: boolean;
}

export interface RollupPoint {
  /** ISO 8601, UTC. */
  readonly start: string;
  readonly key: Readonly<Record<string, string>>;
  /** Events, users, or revenue in units of its currency. */
  readonly value: number;
  readonly state: "provisional" | "final";
  readonly version: number;
  /** The version is above 1: it changed after it was final. */
  readonly corrected?: true;
  readonly approximate?: true;
}

/** What a LiveHub that was just born asks for. */
export interface RecentMinutes {
  readonly lastSeq: number;
  /** As in ShardUpdate. */
  readonly incarnation?: number;
  readonly completeUntil: number;
  readonly minutes: readonly ShardMinute[];
}

export interface RollupStatus {
  readonly lastSeq: number;
  /** Events applied, cumulative. */
  readonly events: number;
  readonly completeUntil: number;
  /** Minutes kept that are not final yet. */
  readonly openMinutes: number;
  /** The newest rule version it knows. */
  readonly rules: number;
}

export interface MinuteRollupApi {
  apply(batch: RollupBatch): Promise<RollupAnswer>;
  /**
   * From now on batches of older tokens change nothing, so that what is not at or below the last seq now will not be there by
   * an older lease. Never falls.
   */
  fence(token: number): Promise<{ readonly lastSeq: number }>;
  /**
   * From now on each answer names this list of custom rollups, so that the sink knows of it without a call of its own; one that ends
   * in `-none`: nothing any more. Lists begin with a version, older ones change nothing. @returns the last seq of which the sink was told nothing of it
   */
  announce(tiles: string): Promise<{ readonly lastSeq: number }>;
  query(query: RollupQuery): Promise<RollupParts>;
  /** Whole minutes from..to (ms, half open), oldest first. */
  recent(from: number, to: number): Promise<RecentMinutes>;
  status(): Promise<RollupStatus>;
}

/**
 * What changed in a minute that was final: a late event, a correction, a rebuild. Kept for `ROLLUP.changesKeptMs`.
 * Late events of one minute that come within one minute of the object's clock are one record; `at` then is when the last late event
 * came within that minute of the clock, for whatever minute.
 */
export interface MinuteChange {
  /** Milliseconds: start of the minute (or of what `grain` says), and when it changed. */
  readonly minute: number;
  readonly at: number;
  /** Its version from then on; the hour's, where a minute is no longer kept. */
  readonly version: number;
  readonly reason: "late" | "correction" | "rebuild";
  /** Of a correction or a rebuild. */
  readonly job: string | null;
  /** What it gained; negative where it lost. */
  readonly events: number;
  /** At most `ROLLUP.changeCurrencies`; what is beyond is summed under `(other)`. */
  readonly revenue: RevenueByCurrency;
  /** Hours stand for minutes that a store no longer has, hours and days for more than `ROLLUP.changesPerRow` at once. */
  readonly grain: Grain;
}

/** A change and its place: of two that were made at the same time, the one with the higher id is newer. */
export interface PlacedChange extends MinuteChange {
  readonly id: number;
}

/** A window of event_time that is built anew beside the live rows. Milliseconds, half open, on starts of an hour. */
export interface RebuildWindow {
  readonly job: string;
  readonly shard: number;
  readonly from: number;
  readonly to: number;
  /** Where the sink's cursor stands: an object behind it has lost rows, and is restored by a build of everything. */
  readonly cursor: number;
  /** What the log has at or below it cannot be in the window. */
  readonly after: number;
}

/** All of event_time, as a window: what a rebuild without `from` and `to` covers. */
export const ALL_TIME = { from: 0, to: 8_640_000_000_000_000 } as const;

export interface RebuildBegun {
  /** The job has still to add what the log has in after + 1 .. upTo; above upTo live batches go to both. */
  readonly upTo: number;
  readonly after: number;
  /** Steps that were added. */
  readonly step: number;
}

export interface RebuildStep {
  /** Dense from 1. */
  readonly step: number;
  /** All of the log up to here is added with it. */
  readonly to: number;
  /** The rule version that its events passed through. */
  readonly rules: number;
}

export interface RebuildComparison {
  /** Minutes (hours where minutes are no longer kept) of the window that differ, at most 100 of them listed. */
  readonly different: number;
  readonly minutes: readonly { readonly start: number; readonly before: number; readonly after: number }[];
  readonly eventsBefore: number;
  readonly eventsAfter: number;
}

/**
 * Building a window anew, in isolation. Live batches go on to the live rows, and from `begin` on also to the shadow's;
 * the job adds what the log had at or below `upTo`. Then `swap` puts the shadow in the live rows' place, in one
 * transaction for minutes and hours, adds up the days anew from their hours, and keeps the old until `confirm`.
 * The protocol with its interleavings stands in rebuilds.ts. Errors whose message starts with "rules:" say that a rule was
 * raised since: `begin` starts anew.
 */
export interface MinuteRebuildApi {
  /** Batches that know an older rule version are refused from now on. Never falls. */
  raise(version: number): Promise<void>;
  /**
   * The rules of these versions, dense, have come to the end of this object: what they touch was built anew, or is in doubt
   * (`doubt`). Safe to repeat. Where an earlier one never did, that one stays owed, and these with it.
   */
  settle(first: number, last: number): Promise<void>;
  /** Rules could not reach this window (milliseconds, half open): its rows stay as they are, and no longer say what the lake does. */
  doubt(from: number, to: number): Promise<void>;
  /** Safe to repeat. @throws RangeError where the job has ended, or another one has the window. */
  begin(window: RebuildWindow): Promise<RebuildBegun>;
  /** One that was added is not added again. */
  add(job: string, step: RebuildStep, minutes: readonly MinuteDelta[]): Promise<{ readonly step: number }>;
  compare(job: string): Promise<RebuildComparison>;
  swap(job: string, reason: "correction" | "rebuild"): Promise<void>;
  /** The old rows back in place, with what came since; refused after `confirm`. */
  revert(job: string): Promise<void>;
  confirm(job: string): Promise<void>;
  discard(job: string): Promise<void>;
  /** Drops what the job keeps, and leaves the live rows as they are. @returns whether they are those that it has built */
  abandon(job: string): Promise<boolean>;
  /** Of minutes that start in from..to (ms, half open); newest first, from the place `before` (exclusive) on. */
  changes(
    from: number,
    to: number,
    limit: number,
    before?: { readonly at: number; readonly id: number },
  ): Promise<PlacedChange[]>;
}
