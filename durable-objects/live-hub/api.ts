/**
 * What others may ask of the LiveHub: the one named `live` merges what the shards have and pushes it to sockets, and to the hubs
 * `live:1`, `live:2` and so on, which have sockets only.
 */
import type { Dimension, RevenueByCurrency } from "../minute-rollup/api.ts";
import type { TilePoint, TileUpdate } from "../tile-rollup/api.ts";
import type { FeedItem } from "./feed.ts";
import type { Topic } from "./topics.ts";

/** Of the hub that the shards talk to. */
export const ROOT_HUB = "live";
/** On the way from the edge to a hub: its name. The edge sets it on every request, whatever the client sent. */
export const HUB_HEADER = "x-eventpile-hub";
/** With status 421, on the way back: names of hubs that have room, with commas between. */
export const HUBS_HEADER = "x-eventpile-hubs";
/** On the way there: names of hubs that were found full. */
export const FULL_HEADER = "x-eventpile-full";

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
  /** The same, for what a batch has changed of the tiles. Those that nobody looks at are passed over. */
  publishTile(update: TileUpdate): Promise<void>;
}

/** A feed on its way to another hub. */
export interface FeedPart {
  readonly topic: Topic;
  /** As of Feed: where it is not that of the hub's own feed, this one takes its place. */
  readonly since: number;
  readonly grainMs: number;
  readonly items: readonly FeedItem[];
}

export interface Followed {
  /** Of this registration. */
  readonly generation: number;
  readonly seq: number;
  /** All of each topic that there is. */
  readonly feeds: readonly FeedPart[];
  readonly refused: readonly (readonly [Topic, Refusal])[];
}

export interface Delivery {
  readonly generation: number;
  /** What was told up to `prev` was delivered before; this is what was told since, up to `seq`. */
  readonly prev: number;
  readonly seq: number;
  readonly feeds: readonly FeedPart[];
}

/** Between a root and its leaves. */
export interface RootHubApi {
  /** From now on the leaf is told of these topics, until it has no sockets. @param leaf its name */
  follow(leaf: string, topics: readonly Topic[], sockets: number): Promise<Followed>;
}

export interface LeafHubApi {
  /** Safe to repeat and to reorder. @returns what the leaf has use for */
  deliver(delivery: Delivery): Promise<{ readonly sockets: number; readonly topics: readonly Topic[] }>;
}

/** Why a topic cannot be listened to. */
export type Refusal = "unknown_tile" | "upstream_unavailable" | "too_many_tiles";

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
  /** The minutes of the last hour that had events, oldest first. `seq` rises with every frame of the hub, in no other order. */
  | { readonly type: "snapshot"; readonly seq: number; readonly at: string; readonly minutes: readonly LiveMinute[] }
  /** A minute that changed, whole. */
  | ({ readonly type: "minute"; readonly seq: number; readonly at: string } & LiveMinute);

export type TilePointOrGone = TilePoint | GonePoint;

/** It is no longer among those shown. */
export interface GonePoint extends Omit<TilePoint, "value"> {
  readonly value: null;
  readonly gone: true;
}

export type TileFrame =
  /** The points of the tile's live window, oldest first. */
  | {
      readonly type: "tile_snapshot";
      readonly seq: number;
      readonly at: string;
      readonly tile: string;
      readonly points: readonly TilePoint[];
    }
  /** Points that changed, whole; each takes the place of the one with its start and key. */
  | {
      readonly type: "tile";
      readonly seq: number;
      readonly at: string;
      readonly tile: string;
      readonly points: readonly TilePointOrGone[];
    };

export type ControlFrame =
  /** A client that named the last seq it saw has been told all that changed since: it has what there is up to `seq`. */
  | { readonly type: "resumed"; readonly seq: number; readonly at: string }
  /** The topic is not listened to. */
  | { readonly type: "refused"; readonly topic: string; readonly reason: Refusal };

export type HubFrame = LiveFrame | TileFrame | ControlFrame;
