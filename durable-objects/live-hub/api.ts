/** What others may ask of the LiveHub (named `live`): it merges the shards' minutes and pushes them to sockets. */
import type { Dimension } from "../minute-rollup/api.ts";

/** The whole state of one shard's minute, not a change: publishing twice is publishing once. */
export interface ShardMinute {
  /** Start, milliseconds. */
  readonly minute: number;
  readonly version: number;
  readonly final: boolean;
  readonly events: number;
  readonly revenue: Readonly<Record<string, number>>;
  /** Top values, largest first, cut to what a screen shows. */
  readonly top: Readonly<Record<Dimension, readonly (readonly [value: string, events: number])[]>>;
  readonly users: Uint8Array;
}

export interface LiveHubApi {
  /** @param shards how many shards there are, so that the hub knows when a minute is whole. */
  publish(shard: number, shards: number, minutes: readonly ShardMinute[]): Promise<void>;
}

/** A minute as a page sees it. */
export interface LiveMinute {
  /** ISO 8601, UTC. */
  readonly start: string;
  readonly events: number;
  readonly users: number;
  readonly revenue: Readonly<Record<string, number>>;
  readonly event_name: readonly (readonly [string, number])[];
  readonly country: readonly (readonly [string, number])[];
  readonly device_type: readonly (readonly [string, number])[];
  readonly page_path: readonly (readonly [string, number])[];
  readonly state: "provisional" | "final";
  readonly version: number;
}

export type LiveFrame =
  /** The newest 60 minutes, oldest first. `seq` counts frames of this hub. */
  | { readonly type: "snapshot"; readonly seq: number; readonly at: string; readonly minutes: readonly LiveMinute[] }
  /** A minute that changed, whole. */
  | ({ readonly type: "minute"; readonly seq: number; readonly at: string } & LiveMinute);
