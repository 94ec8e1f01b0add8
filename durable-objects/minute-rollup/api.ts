/** What others may ask of a MinuteRollup: one object per metric group and shard, named `<group>:<shard>`. */

export const DIMENSIONS = ["event_name", "country", "device_type", "page_path"] as const;
export type Dimension = (typeof DIMENSIONS)[number];
export const GRAINS = ["minute", "hour", "day"] as const;
export type Grain = (typeof GRAINS)[number];
/** `events` and `revenue` by any dimension, `users` (distinct user_id ?? anonymous_id) in total only. */
export const METRICS = ["events", "users", "revenue"] as const;
export type Metric = (typeof METRICS)[number];

/** Sums of money in millionths of a unit: exact in any order, where doubles are not. */
export type MicroUnits = number;

export interface DimensionDelta {
  readonly events: number;
  readonly revenue: MicroUnits;
}

/** What one minute of event_time gained. Plain values: it crosses an RPC. */
export interface MinuteDelta {
  /** Start of the minute, milliseconds since the epoch. */
  readonly minute: number;
  readonly events: number;
  /** By currency (`` where none was given). */
  readonly revenue: Readonly<Record<string, MicroUnits>>;
  readonly by: Readonly<Record<Dimension, Readonly<Record<string, DimensionDelta>>>>;
  /** HyperLogLog of users, as `encodeSketch` writes it. */
  readonly users: Uint8Array;
}

export interface RollupBatch {
  readonly shard: number;
  /** Segments from..to, both inclusive; to = from - 1 for a tick without events. */
  readonly from: number;
  readonly to: number;
  /** Everything the log committed before this time (ms, the log's clock) is in this batch or an earlier one. */
  readonly completeUntil: number;
  readonly minutes: readonly MinuteDelta[];
}

/** `applied` false: the object is at `lastSeq` and the batch does not start right after it; build it again from there. */
export interface RollupAnswer {
  readonly applied: boolean;
  readonly lastSeq: number;
}

export interface RollupQuery {
  readonly metric: Metric;
  readonly grain: Grain;
  /** Milliseconds, half open. */
  readonly from: number;
  readonly to: number;
  readonly by?: Dimension;
}

/** One shard's part of a point; parts of several shards merge into one. */
export interface RollupPart {
  /** Milliseconds. */
  readonly start: number;
  readonly key: string | null;
  /** events or revenue in units of the metric (micro-units for revenue). */
  readonly value: number;
  readonly sketch?: Uint8Array;
  readonly final: boolean;
  readonly version: number;
  readonly approximate: boolean;
}

export interface RollupPoint {
  /** ISO 8601, UTC. */
  readonly start: string;
  readonly key: Readonly<Record<string, string>>;
  readonly value: number;
  readonly state: "provisional" | "final";
  readonly version: number;
  readonly approximate?: true;
}

export interface MinuteRollupApi {
  apply(batch: RollupBatch): Promise<RollupAnswer>;
  query(query: RollupQuery): Promise<RollupPart[]>;
  status(): Promise<{ lastSeq: number; events: number; completeUntil: number; openMinutes: number }>;
}
