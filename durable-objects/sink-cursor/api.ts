/**
 * A sink's position in one shard of the log. Sessions and rollups keep theirs in a SinkCursor object named
 * `<sink>:<shard>`; the lake keeps its own in the LakeCatalog, where it moves in the same transaction as the files.
 */
export const SINKS = ["lake", "sessions", "rollups"] as const;
export type SinkName = (typeof SINKS)[number];

export interface Lease {
  /** The last seq applied. */
  readonly cursor: number;
  /** Fencing token: rises with every lease, and a move with an older one is refused. */
  readonly token: number;
}

/** Cumulative counts of events that passed under the cursor. */
export interface AppliedCounts {
  readonly events: number;
  readonly quarantined: number;
}

export type Moved =
  | { readonly moved: true; readonly cursor: number }
  | { readonly moved: false; readonly cursor: number };

export interface CursorStatus {
  readonly cursor: number;
  readonly applied: AppliedCounts;
  /** Milliseconds of the last move. */
  readonly moved_at: number;
}

export interface SinkCursorApi {
  /** Null while another owner's lease runs. The same owner may renew. */
  lease(owner: string, ttlMs: number): Promise<Lease | null>;
  /** Compare-and-set: moves from `from` to `to` only for the newest token and if the cursor is `from`. */
  advance(token: number, from: number, to: number, applied: AppliedCounts): Promise<Moved>;
  release(token: number): Promise<void>;
  status(): Promise<CursorStatus>;
}
