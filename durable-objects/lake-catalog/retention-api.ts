/** What retention is told, and what it tells: without the class, for those who only speak of it. */

/** Milliseconds after receipt. */
export interface RetentionSettings {
  readonly keptMs: number;
  /** Event names with a time of their own. */
  readonly byName: Readonly<Record<string, number>>;
  /** Of cuts, after their day, or after they were frozen; null: as the rows. */
  readonly cutsKeptMs: number | null;
}

export interface Expired {
  /** The commit, null where no live file was due. */
  readonly snapshot: number | null;
  readonly files: number;
  readonly rows: number;
  /** Files that only cuts had. */
  readonly cutFiles: number;
  readonly cuts: number;
  /** There may be more that is due. */
  readonly more: boolean;
}

/** Of a shard's log what has expired lies at or below a seq, and in a range of event_time (microseconds, both inclusive). */
export interface ExpiredReach {
  readonly to: number;
  readonly minTime: number;
  readonly maxTime: number;
}
