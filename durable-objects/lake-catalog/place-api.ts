/** What another store has to know of the lake to say whether it holds the same: one moment of the catalog. */
import type { ExpiredReach } from "./retention-api.ts";

export interface LakePlace {
  readonly snapshot: number;
  /** By shard, the last seq whose events are in the snapshot; shards without any are left out. */
  readonly cursors: readonly (readonly [shard: number, seq: number])[];
  /** The newest rule's version. */
  readonly rules: number;
  /**
   * The files hold the events of the log up to there, after all rules, and no others, but for what has expired: none was left
   * out, no rule waits to be applied, no rebuild has changed their number.
   */
  readonly whole: boolean;
  /** Where rows have expired. */
  readonly expired: readonly Pick<ExpiredReach, "minTime" | "maxTime">[];
  /** Names of promoted columns. */
  readonly columns: readonly string[];
}

export interface LakePlaceApi {
  place(): Promise<LakePlace>;
}
