/** What others may ask of the LakeCatalog: one object for the lake, named `lake`. */
import type { TableName } from "../../r2-layout/event-columns.ts";
import type { DataFileKind } from "../../r2-layout/keys.ts";
import type { AppliedCounts, CursorStatus, Lease } from "../sink-cursor/api.ts";

export interface ColumnBounds {
  readonly nulls: number;
  /** Text bounds are cut to 64 bytes (the upper one rounded up); numbers and times as they are. */
  readonly min?: string | number;
  readonly max?: string | number;
}

export interface NewDataFile {
  readonly table: TableName;
  readonly key: string;
  readonly kind: DataFileKind;
  readonly bytes: number;
  readonly rows: number;
  /** Days of event_time in it (received_at for quarantine), `YYYY-MM-DD`. */
  readonly minDay: string;
  readonly maxDay: string;
  /** Microseconds: bounds of event_time (received_at for quarantine), and of received_at. */
  readonly minTime: number;
  readonly maxTime: number;
  readonly minReceivedAt: number;
  readonly maxReceivedAt: number;
  /** All event names in it, or null where there are more than 100. */
  readonly eventNames: readonly string[] | null;
  readonly columns: Readonly<Record<string, ColumnBounds>>;
  readonly schemaVersion: number;
}

export interface DataFile extends NewDataFile {
  readonly id: number;
  readonly addedSeq: number;
}

export interface AppendCommit {
  readonly shard: number;
  readonly token: number;
  /** The cursor moves from `from` to `to` with the files, or nothing happens. */
  readonly from: number;
  readonly to: number;
  readonly applied: AppliedCounts;
  readonly add: readonly NewDataFile[];
}

export interface ReplaceCommit {
  /** File ids that the new files stand for; refused if any is gone already. */
  readonly remove: readonly number[];
  readonly add: readonly NewDataFile[];
  readonly operation: "compact" | "delete";
}

export type CatalogAnswer =
  | { readonly kind: "committed"; readonly snapshot: number }
  /** The cursor is not where the commit starts, or the lease was lost. */
  | { readonly kind: "behind"; readonly cursor: number }
  /** A file to be replaced is gone: plan again. */
  | { readonly kind: "conflict"; readonly missing: number[] };

export interface PlanRequest {
  readonly table: TableName;
  /** Half-open range of event_time (received_at for quarantine), microseconds. */
  readonly from?: number;
  readonly to?: number;
  /** Only files that may hold one of these. */
  readonly eventNames?: readonly string[];
  /** Equality filters on other text columns: files whose bounds exclude every value are left out. */
  readonly equals?: Readonly<Record<string, readonly (string | number)[]>>;
  /** A snapshot; the newest when absent. */
  readonly asOf?: number;
}

export interface PlannedFile {
  readonly id: number;
  readonly key: string;
  readonly bytes: number;
  readonly rows: number;
  readonly minTime: number;
  readonly maxTime: number;
}

export interface Plan {
  readonly snapshot: number;
  readonly files: PlannedFile[];
  /** Files of the table at that snapshot, planned or not, and their bytes. */
  readonly tableFiles: number;
  readonly tableBytes: number;
}

export interface CatalogStatus {
  readonly snapshot: number;
  readonly files: number;
  readonly bytes: number;
  readonly rows: Readonly<Record<TableName, number>>;
  readonly cursors: Readonly<Record<number, CursorStatus>>;
}

export interface LakeCatalogApi {
  lease(shard: number, owner: string, ttlMs: number): Promise<Lease | null>;
  release(shard: number, token: number): Promise<void>;
  append(commit: AppendCommit): Promise<CatalogAnswer>;
  replace(commit: ReplaceCommit): Promise<CatalogAnswer>;
  plan(request: PlanRequest): Promise<Plan>;
  /** Which of these keys no live or recently removed file has: the sweep asks before it deletes. */
  unnamed(keys: readonly string[]): Promise<string[]>;
  status(): Promise<CatalogStatus>;
}
