/**
 * Counts of a shard that are to be what the lake has, or none: what SQL asks of a MinuteRollup. The lake and the rollups read
 * the same log, each from a place of its own, and rules come to them one after the other. So the object that has the rows
 * says whether its counts are those of the lake as of a seq, and refuses where it cannot tell.
 *
 *     a row says which seq changed it last (`changed_seq`)       at or below the lake's: it holds the same events
 *     it was changed since                                       what came since is taken off again, while that is remembered
 *     the lake is ahead                                          "behind": the events are not here yet
 *     a segment was left out here                                "left_out", for good: which minutes lack it nobody knows
 *     a rule is in force that its rows have not passed yet       "rules", until its job has come to the end of this object
 *     a rule is in force here that the lake's state lacks        "rules"
 *     a rebuild has put other rows in place                      "doubtful": why they were other than the log's nobody knows
 *     rows that a rule could not reach                           "doubtful"
 *     a text that reads as no value does, `(none)`               "doubtful"
 *     a dimension of more values than it tells apart             "capped"
 */
import type { Dimension, Grain } from "./api.ts";
import type { Bucket } from "./bucket.ts";

/** Rows of one length: milliseconds, half open, on starts of the grain. */
export interface RowRange {
  readonly grain: Grain;
  readonly from: number;
  readonly to: number;
}

export interface TallyRequest {
  /** Disjoint. */
  readonly ranges: readonly RowRange[];
  /** What counts come together by; null: they all do. */
  readonly bucket: Bucket | null;
  /** Counts for each value of it, `NO_VALUE` for none; absent: for all together. */
  readonly by?: Dimension;
  /** Only these values. */
  readonly only?: readonly string[];
  /** Up to where the lake has this shard's log, and the newest rule that it has passed. */
  readonly seq: number;
  readonly rules: number;
}

/** The start of the bucket (milliseconds), the value, the events: at least one. */
export type TallyCount = readonly [start: number | null, value: string | null, events: number];

export type Inexact = "behind" | "ahead" | "left_out" | "rules" | "doubtful" | "capped" | "not_kept" | "too_many";

export type Tally =
  | { readonly exact: true; readonly counts: readonly TallyCount[] }
  | { readonly exact: false; readonly why: Inexact };

export interface RollupTallyApi {
  /** Reads only. */
  tally(request: TallyRequest): Promise<Tally>;
}
