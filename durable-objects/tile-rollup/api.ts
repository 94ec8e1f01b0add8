/** What others may ask of a TileRollup (one a shard, named `tiles:<shardName>`) and of the TileRegistry (one, named `tiles`). */
import type { TileDefinition, TileLevel } from "./definition.ts";
import type { EncodedState } from "./tile-state.ts";

export const TILE_REGISTRY_NAME = "tiles";

/** What one start of a tile's own grain gained. Plain values: it crosses an RPC. */
export interface TileDelta {
  readonly tile: string;
  /** Milliseconds. */
  readonly start: number;
  readonly state: EncodedState;
}

export interface TileBatch {
  readonly shard: number;
  /** Segments from..to, both inclusive; to = from - 1 for a tick without events. */
  readonly from: number;
  readonly to: number;
  /** As in RollupBatch. */
  readonly completeUntil: number;
  /** The list of definitions that it was computed by. */
  readonly version: number;
  readonly deltas: readonly TileDelta[];
}

export interface TileAnswer {
  /** False: the object is at `lastSeq`, and what it has of the batch has to be left out of it; or see `version`. */
  readonly applied: boolean;
  readonly lastSeq: number;
  /** With `applied` false: the object knows another list of definitions, 0 where it knows none, and takes no batch by yours. */
  readonly version?: number;
  /** It had lost something before this batch: what it has is not all, until every tile is filled anew. */
  readonly lost?: true;
}

/** One value of a part. Which members count follows from the measure. */
export interface TileValue {
  /** By dimension; of a funnel its step. */
  readonly key: readonly string[];
  /** Of a count; of a ratio its numerator; of a sum events with a number. */
  readonly events: number;
  readonly denominator?: number;
  /** Of a sum, in millionths: exact in any order. */
  readonly micro?: bigint;
  /** HyperLogLog, as `encodeSketch` writes it. */
  readonly users?: Uint8Array;
}

/** What one shard has of one start of one tile, whole: telling it twice is telling it once. */
export interface TilePart {
  /** Milliseconds. */
  readonly start: number;
  /** 1, and more for each batch that changed it after it was final in this shard. */
  readonly version: number;
  /** A cap was met, or users were sampled. */
  readonly approximate: boolean;
  readonly values: readonly TileValue[];
}

/** What a shard tells the hub after a batch. */
export interface TileUpdate {
  readonly shard: number;
  readonly shards: number;
  /** Of two parts of one start the one with the higher is newer. */
  readonly lastSeq: number;
  /** Rises when rows were swapped or lost: what an older one said is void, and the first publish of a new one holds the whole window of each tile. */
  readonly incarnation: number;
  /** Every start that ended `ROLLUP.finalAfterMs` before this (ms) is final in this shard, also those without events. */
  readonly completeUntil: number;
  /** What changed, at each tile's own grain; none where only completeUntil moved. */
  readonly tiles: readonly { readonly id: string; readonly parts: readonly TilePart[] }[];
}

export interface TilePoint {
  /** ISO 8601, UTC. */
  readonly start: string;
  readonly key: Readonly<Record<string, string>>;
  /** Null: a ratio of nothing. */
  readonly value: number | null;
  readonly state: "provisional" | "final";
  readonly version: number;
  /** The version is above 1: it changed after it was final. */
  readonly corrected?: true;
  readonly approximate?: true;
}

export interface TileParts {
  /** Whether the object has heard of the tile. */
  readonly known: boolean;
  readonly completeUntil: number;
  readonly lastSeq: number;
  readonly incarnation: number;
  /** Oldest first. */
  readonly parts: readonly TilePart[];
  /** There were more values than an answer may hold; the parts are not all. */
  readonly cut: boolean;
}

export interface TileQuery {
  readonly tile: string;
  readonly level: TileLevel;
  /** Milliseconds, half open, on starts of the level. */
  readonly from: number;
  readonly to: number;
}

/** A window of event_time that is built anew beside the live rows. Milliseconds, half open, on starts of an hour. */
export interface TileWindow {
  readonly job: string;
  readonly shard: number;
  readonly from: number;
  readonly to: number;
  readonly tiles: readonly string[];
  /** Where an object that has taken no batch begins: every later batch is brought to it. */
  readonly startAt: number;
  /** What the log has at or below it cannot be in the window. */
  readonly after: number;
}

export interface TileBuild {
  /** The job has still to add what the log has in after + 1 .. upTo; above upTo live batches go to both. */
  readonly upTo: number;
  readonly after: number;
  /** Steps that were added. */
  readonly step: number;
  readonly swapped: boolean;
}

export interface TileRollupApi {
  /** Safe to repeat. Tiles that the list no longer has are forgotten with their rows; older lists change nothing. */
  define(version: number, definitions: readonly TileDefinition[]): Promise<void>;
  apply(batch: TileBatch): Promise<TileAnswer>;
  query(query: TileQuery): Promise<TileParts>;
  /** The tile's live window at its own grain, and what it said last. */
  recent(tile: string): Promise<TileParts>;
  /** Safe to repeat; lets any other job's build go. */
  begin(window: TileWindow): Promise<TileBuild>;
  /** One step that was added is not added again. @returns null where there is no such build (any more): begin anew */
  add(
    job: string,
    step: { readonly step: number; readonly to: number },
    deltas: readonly TileDelta[],
  ): Promise<{ readonly step: number } | null>;
  /** Puts what was built in the live rows' place. @returns null as `add`. @throws RangeError where something is still to be added */
  swap(job: string): Promise<{ readonly swapped: true } | null>;
  discard(job: string): Promise<void>;
}

/** A definition and how far its past has been filled in. */
export interface TileRecord {
  readonly definition: TileDefinition;
  readonly filled: boolean;
  /** In how many shards: a split makes more. */
  readonly shards: number;
  /** The job that fills it; null where none was made yet. */
  readonly job: string | null;
  /** Milliseconds. */
  readonly createdAt: number;
}

export interface TileList {
  /** Rises with every definition that comes or goes; 0 before the first. */
  readonly version: number;
  /** Names the list by what is in it: `<version>-<hash>`. */
  readonly tag: string;
  /** In the order of their making. */
  readonly records: readonly TileRecord[];
}

export type DefineAnswer =
  | { readonly kind: "added" | "known"; readonly record: TileRecord; readonly version: number }
  | { readonly kind: "full"; readonly limit: number };

export interface TileRegistryApi {
  define(definition: TileDefinition): Promise<DefineAnswer>;
  /** @returns the list's version from then on, null where there is no such definition. */
  remove(id: string): Promise<number | null>;
  list(): Promise<TileList>;
  record(id: string): Promise<TileRecord | null>;
  definition(id: string): Promise<TileDefinition | null>;
  /** Which job fills these. */
  assign(ids: readonly string[], job: string): Promise<void>;
  /** All that these tiles' past has in these shards is in. @param job only those that it was to fill */
  filled(ids: readonly string[], job: string, shards: number): Promise<void>;
  /** A shard's object has lost rows: all are to be filled anew. */
  lost(): Promise<void>;
}
