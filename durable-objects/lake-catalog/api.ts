/** What others may ask of the LakeCatalog: one object for the lake, named `lake`. */
import type { DataFileFacts } from "../../r2-layout/data-file.ts";
import type { TableName } from "../../r2-layout/event-columns.ts";
import type { DataFileKind } from "../../r2-layout/keys.ts";
import type { ColumnBounds } from "../../r2-layout/statistics.ts";
import type { AppliedCounts, CursorStatus, Lease } from "../sink-cursor/api.ts";

export type { ColumnBounds };

export const LAKE_CATALOG_NAME = "lake";

/** A file to be added: what it holds (`DataFileFacts`) and where it lies. */
export interface NewDataFile extends DataFileFacts {
  readonly key: string;
  readonly kind: DataFileKind;
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

/** The small files of one day of a table (`day` null: files of several days), at most `LAKE.compactInputs`. */
export interface CompactionWork {
  readonly table: TableName;
  readonly day: string | null;
  readonly files: readonly DataFile[];
}

export interface LakeCatalogApi {
  lease(shard: number, owner: string, ttlMs: number): Promise<Lease | null>;
  release(shard: number, token: number): Promise<void>;
  append(commit: AppendCommit): Promise<CatalogAnswer>;
  replace(commit: ReplaceCommit): Promise<CatalogAnswer>;
  plan(request: PlanRequest): Promise<Plan>;
  /** Which of these keys no live or recently removed file has: the sweep asks before it deletes. */
  unnamed(keys: readonly string[]): Promise<string[]>;
  /**
   * The most crowded day, null where none has more than `aboveFiles` (`LAKE.compactAboveFiles`) small files.
   * @param skip days not to be given again, each `<table>/<day or "mixed">`.
   */
  compactionWork(skip?: readonly string[], aboveFiles?: number): Promise<CompactionWork | null>;
  /** Forgets snapshots, and files removed, longer ago than `LAKE.snapshotReachMs`. @returns files forgotten. */
  forget(): Promise<number>;
  status(): Promise<CatalogStatus>;
}

/**
 * Changes of the lake beside its appends: rules, and rebuilds. New files are staged under a job first, in as many steps
 * as it takes, and named by nobody; one commit then swaps them for what they replace.
 */
export interface LakeStagingApi {
  /** From now on an append or compaction that knows an older rule version is refused ("rules"). Never falls. */
  raise(version: number): Promise<void>;
  /** Live files that a rule may concern: written before it, and with events in the range. By id, a bounded page. */
  candidates(request: {
    readonly belowRules: number;
    readonly from?: number;
    readonly to?: number;
    readonly afterId: number;
  }): Promise<DataFile[]>;
  /**
   * Begins a rebuild: `snapshot` and the cursors as of one moment. Rows at or below the cursors are the job's, later ones
   * come live beside it. Compaction rests until it ends. Safe to repeat.
   */
  begin(job: string): Promise<{ readonly snapshot: number; readonly cursors: Readonly<Record<number, number>> }>;
  /** Safe to repeat: a step that the job has is not added again. */
  stage(job: string, step: number, add: readonly NewDataFile[]): Promise<void>;
  staged(
    job: string,
  ): Promise<{ readonly steps: number; readonly files: number; readonly rows: number; readonly bytes: number }>;
  /**
   * One commit: `remove` goes, what the job staged comes; files that needed no rewriting are marked with the rule's
   * version. Refused whole where one of `remove` is gone. Safe to repeat: the answer is that of the first time.
   */
  swap(
    job: string,
    change: {
      readonly remove: readonly number[];
      readonly keep: readonly number[];
      readonly rules: number;
      readonly operation: "correct" | "rebuild";
    },
  ): Promise<CatalogAnswer>;
  /** Puts back what a swap removed and takes away what it added, as a new commit. Refused after `confirm`. */
  revert(job: string): Promise<CatalogAnswer>;
  /** The old is no longer kept for the job; snapshots still reach it as always. */
  confirm(job: string): Promise<void>;
  /** Forgets what a job staged and did not swap; its objects are orphans for the sweep. */
  discard(job: string): Promise<void>;
}
