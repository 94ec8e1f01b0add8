/** What others may ask of the LiveHub (named `live`): it merges the shards' minutes and pushes them to sockets. */
import type { Dimension, RevenueByCurrency } from "../minute-rollup/api.ts";

/** The whole state of one shard's minute, not a change: publishing twice is publishing once. */
export interface ShardMinute {
  /** Start, milliseconds. */
  readonly minute: number;
  readonly version: number;
  readonly events: number;
  readonly revenue: RevenueByCurrency;
  /** Top values, largest first, cut to `LIVE.topPublished`. */
  readonly top: Readonly<Record<Dimension, readonly (readonly [value: string, events: number])[]>>;
  /** HyperLogLog, as `encodeSketch` writes it. */
  readonly users: Uint8Array;
}

export interface ShardUpdate {
  readonly shard: number;
  /** How many shards there are, so that the hub knows when a minute is whole. */
  readonly shards: number;
  /** The shard's position: of two states of a minute the one with the higher is newer. */
  readonly lastSeq: number;
  /**
   * Rises when the shard's minutes no longer are what they were plus what came since: it was wiped, or rows were swapped in. What an
   * older one said is void, and the first publish of a new one holds the whole window. Absent: the one that is known.
   */
  readonly incarnation?: number;
  /** Every minute that ended `ROLLUP.finalAfterMs` before this (ms) is final in this shard, also those without events. */
  readonly completeUntil: number;
  /** The minutes that changed; may be empty. */
  readonly minutes: readonly ShardMinute[];
}

export interface LiveHubApi {
  /** Safe to repeat and to reorder. */
  publish(update: ShardUpdate): Promise<void>;
}

/** A minute as a page sees it. */
export interface LiveMinute {
  /** ISO 8601, UTC. */
  readonly start: string;
  readonly events: number;
  readonly users: number;
  /** In units, by currency (`` where none was given). */
  readonly revenue: Readonly<Record<string, number>>;
  /** The `LIVE.topShown` largest values, largest first; events without a value are left out. */
  readonly event_name: readonly (readonly [string, number])[];
  readonly country: readonly (readonly [string, number])[];
  readonly device_type: readonly (readonly [string, number])[];
  readonly page_path: readonly (readonly [string, number])[];
  readonly state: "provisional" | "final";
  readonly version: number;
}

export type LiveFrame =
  /** The minutes of the last hour that had events, oldest first. `seq` counts the minute frames of this hub. */
  | { readonly type: "snapshot"; readonly seq: number; readonly at: string; readonly minutes: readonly LiveMinute[] }
  /** A minute that changed, whole. */
  | ({ readonly type: "minute"; readonly seq: number; readonly at: string } & LiveMinute);
