/** What others may ask of the LakeCatalog: one object for the lake, named `lake`. */
import type { DataFileFacts } from "../../r2-layout/data-file.ts";
import type { TableName } from "../../r2-layout/event-columns.ts";
import type { KeyTally } from "../../r2-layout/key-tally.ts";
import type { DataFileKind } from "../../r2-layout/keys.ts";
import type { LakeSchema, PromotedColumn } from "../../r2-layout/promoted-columns.ts";
import type { ColumnConflicts } from "../../r2-layout/promoted-values.ts";
import type { RuleFilter } from "../../r2-layout/rule.ts";
import type { ColumnBounds } from "../../r2-layout/statistics.ts";
import type { AppliedCounts, CursorStatus, HolesApi, Lease } from "../sink-cursor/api.ts";
import type { LakeCutsApi } from "./cuts-api.ts";
import type { Expired, ExpiredReach, RetentionSettings } from "./retention-api.ts";
import type { LakeSchemaApi } from "./schema-api.ts";

export type { ColumnBounds };

export const LAKE_CATALOG_NAME = "lake";

/** A file to be added: what it holds (`DataFileFacts`) and where it lies. */
export interface NewDataFile extends DataFileFacts {
  readonly key: string;
  readonly kind: DataFileKind;
  /** The event name whose partition of its day it belongs to, which all its rows have; absent: names share it. */
  readonly partition?: string;
  /** The newest rule that its rows have passed through; absent: as its commit says, else 0. */
  readonly rules?: number;
}

export interface DataFile extends NewDataFile {
  readonly id: number;
  readonly addedSeq: number;
  readonly rules: number;
}

export interface LakeLease extends Lease {
  /** The newest; absent: the base's. */
  readonly schema?: LakeSchema;
}

export interface AppendCommit {
  readonly shard: number;
  readonly token: number;
  /** The cursor moves from `from` to `to` with the files, or nothing happens. */
  readonly from: number;
  readonly to: number;
  readonly applied: AppliedCounts;
  readonly add: readonly NewDataFile[];
  /** The rule version that the rows passed through; absent: 0. */
  readonly rules?: number;
  /** The version of the schema by which they got their promoted columns; absent: of a writer that knows of none. */
  readonly schema?: number;
  /** Values that did not convert, by column. */
  readonly conflicts?: ColumnConflicts;
}

export interface ReplaceCommit {
  /** File ids that the new files stand for; refused if any is gone already. */
  readonly remove: readonly number[];
  readonly add: readonly NewDataFile[];
  readonly operation: "compact" | "delete";
  /** That of every file removed; absent: 0. */
  readonly rules?: number;
}

export type CatalogAnswer =
  | { readonly kind: "committed"; readonly snapshot: number }
  /** The cursor is not where the commit starts, or the lease was lost. */
  | { readonly kind: "behind"; readonly cursor: number }
  /** A file to be replaced is gone, or others came in its place: plan again. */
  | { readonly kind: "conflict"; readonly missing: number[] }
  /** The rows have not passed through the newest rule, which is this one: read them again. */
  | { readonly kind: "rules"; readonly version: number }
  /** The rows have not been through the newest schema, which is this one: derive their columns again. */
  | { readonly kind: "schema"; readonly schema: LakeSchema };

/** A part of one shard's log: exclusive, inclusive. */
export interface LogReach {
  readonly after: number;
  readonly to: number;
}

export interface PlanRequest {
  readonly table: TableName;
  /** Half-open range of event_time (received_at for quarantine), microseconds. */
  readonly from?: number;
  readonly to?: number;
  /** Only files that may hold one of these. */
  readonly eventNames?: readonly string[];
  /** Equality filters on other text columns: files whose bounds exclude every value are left out. */
  readonly equals?: Readonly<Record<string, readonly (string | number)[]>>;
  /** Only files that may hold rows of this part of the log; they are then told with `rules`, `minSeq` and `maxSeq`. */
  readonly log?: LogReach & { readonly shard: number };
  /** A snapshot; the newest when absent. */
  readonly asOf?: number;
  /** Instead: the snapshot that was in force then, milliseconds. */
  readonly asOfTime?: number;
  /** Instead: a cut, `2026-11-21` or `2026-11-21.v2`. */
  readonly cut?: string;
  /** With more files than this the answer names none: they could not be read, and `matched` says why. Absent: no bound. */
  readonly filesMax?: number;
  /** Asks what reading the files takes (`Plan.scan`). */
  readonly scan?: ScanRequest;
}

export interface ScanRequest {
  /** Columns that are read, promoted ones among them as far as the table has them; null for all. */
  readonly columns: readonly string[] | null;
  /** What may be read: where it is more, the answer says from which time on it would fit. */
  readonly atMost: { readonly chunkBytes: number; readonly files: number; readonly requests: number };
}

/** What reading files takes, by what their footers told: never below what a cold scan reads once through all row groups. */
export interface ScanTotals {
  readonly files: number;
  readonly rows: number;
  readonly fileBytes: number;
  readonly rowGroups: number;
  readonly footerBytes: number;
  /** Footers, column chunks, and gaps between these that are read along. */
  readonly readBytes: number;
  /** The column chunks alone. */
  readonly chunkBytes: number;
  readonly requests: number;
  /** Files of before this was told: they count whole. */
  readonly untold: number;
}

export interface PlannedScan extends ScanTotals {
  /** Where it is more than asked for: the start of the oldest day (microseconds) from which on it fits; absent: there is none. */
  readonly fitsFrom?: number;
  /** Files of the set that were left out because of their times, because of event names, because of bounds. */
  readonly pruned: { readonly byTime: number; readonly byName: number; readonly byBounds: number };
}

export interface PlannedFile {
  readonly id: number;
  readonly key: string;
  readonly bytes: number;
  readonly rows: number;
  readonly minTime: number;
  readonly maxTime: number;
  readonly rules?: number;
  /** Bounds of log_seq over all its shards, where they are known. */
  readonly minSeq?: number;
  readonly maxSeq?: number;
  /** Bytes of its footer, told where a scan is planned and they are known. */
  readonly footerBytes?: number;
}

export interface FileTotals {
  readonly files: number;
  readonly rows: number;
  readonly bytes: number;
}

export interface Plan {
  readonly snapshot: number;
  /** Promoted columns that the table had at the snapshot; absent: none. */
  readonly promoted?: readonly PromotedColumn[];
  /** Of a plan by a cut: which version, and the time (microseconds) before which its rows are; null: all rows. */
  readonly cut?: { readonly name: string; readonly through: number | null };
  readonly files: PlannedFile[];
  /** What the files amount to, also where they are not named; absent: what `files` says. */
  readonly matched?: FileTotals;
  /** Where it was asked for. */
  readonly scan?: PlannedScan;
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
  /** The newest rule's version. */
  readonly rules?: number;
  /**
   * Cumulative events that passed the cursors and are not in the lake because a rule retracted them, before they came or
   * later; and what rebuilds have added, less what they took.
   */
  readonly retracted?: number;
  readonly rebuilt?: number;
  /** Cumulative events that retention has dropped: applied + rebuilt - retracted - expired = rows of events. */
  readonly expired?: number;
  /** By shard, where events have expired; absent: nowhere. */
  readonly expiredReach?: Readonly<Record<number, ExpiredReach>>;
  /** Rebuilds that are under way: compaction rests meanwhile. */
  readonly rebuilding?: readonly string[];
  /** The schema's version, and cumulative values that did not convert, by promoted column. */
  readonly schema?: { readonly version: number; readonly conflicts: ColumnConflicts };
}

/** Files that are to become fewer, or files of one day, or of one name: compaction-plan.ts says why these. */
export interface CompactionWork {
  readonly table: TableName;
  /** Null: files of several days. */
  readonly day: string | null;
  /** The event name whose own files these are. */
  readonly partition?: string;
  /** Event names that have files of their own, by day; absent: none. */
  readonly own?: Readonly<Record<string, readonly string[]>>;
  /** All of them have passed through the rules up to this version; absent: 0. */
  readonly rules?: number;
  readonly files: readonly DataFile[];
}

export interface OpenUpload {
  readonly key: string;
  readonly uploadId: string;
}

/** A commit, as a list tells it. */
export interface SnapshotEntry {
  readonly seq: number;
  readonly operation: string;
  /** Milliseconds. */
  readonly committedAt: number;
  /** Of the whole snapshot. */
  readonly tables: Readonly<Record<TableName, TableTotals>>;
}

export interface TableTotals {
  readonly files: number;
  readonly bytes: number;
  readonly rows: number;
}

export interface LakeHistoryApi extends LakeCutsApi {
  /** Newest first, those that are kept. @param before only older ones. */
  snapshots(limit: number, before?: number): Promise<SnapshotEntry[]>;
  /** How many there were since a time (ms), as far as they are kept. */
  commitsSince(ms: number): Promise<number>;
  /** Drops files whose time is over, at most `RETENTION.filesPerCommit` in one commit, and cuts (retention.ts). */
  expire(settings: RetentionSettings, nowMs: number): Promise<Expired>;
}

export interface LakeCatalogApi extends HolesApi, LakeSchemaApi {
  lease(shard: number, owner: string, ttlMs: number): Promise<LakeLease | null>;
  release(shard: number, token: number): Promise<void>;
  append(commit: AppendCommit): Promise<CatalogAnswer>;
  replace(commit: ReplaceCommit): Promise<CatalogAnswer>;
  plan(request: PlanRequest): Promise<Plan>;
  /** Which of these keys no live or recently removed file has: the sweep asks before it deletes. */
  unnamed(keys: readonly string[]): Promise<string[]>;
  /**
   * The most urgent compaction, null where none is due: what has more than `aboveFiles` (`LAKE.compactAboveFiles`) files,
   * or, where `aboveFiles` is given, whatever could be fewer.
   * @param skip partitions not to be given again, each `<table>/<day or "mixed">`, with `/<name>` for a name's own files.
   */
  compactionWork(skip?: readonly string[], aboveFiles?: number): Promise<CompactionWork | null>;
  /** An upload was begun: unless it ends, a sweep aborts it. */
  uploadBegan(key: string, uploadId: string): Promise<void>;
  uploadEnded(key: string): Promise<void>;
  /** Uploads that were begun so long ago that nobody is at them any more, a bounded page. */
  staleUploads(): Promise<OpenUpload[]>;
  /** Forgets snapshots, and files removed, longer ago than `LAKE.snapshotReachMs`. @returns files forgotten. */
  forget(): Promise<number>;
  status(): Promise<CatalogStatus>;
}

/** What a step of a job did with files that are live. */
export interface StagedMarks {
  /** They go when the job is swapped in. */
  readonly remove?: readonly number[];
  /** They were looked at and stay. */
  readonly keep?: readonly number[];
  /** A shard's log has been read up to and including this seq. */
  readonly read?: { readonly shard: number; readonly to: number };
  /** Rows of the live lake that the job stands for, and rows that it has in their place: what a comparison adds up. */
  readonly before?: KeyTally;
  readonly after?: KeyTally;
}

export interface StagedStatus {
  readonly state: "none" | "open" | "swapped" | "reverted" | "confirmed" | "discarded";
  readonly steps: number;
  readonly files: number;
  readonly rows: number;
  readonly bytes: number;
  /** Per shard: steps that read its log, and how far they came. */
  readonly reads: Readonly<Record<number, { readonly steps: number; readonly to: number }>>;
}

/** A rebuild as it began. */
export interface RebuildScope {
  readonly snapshot: number;
  /** The lake's cursors then: rows at or below them are the job's. */
  readonly cursors: Readonly<Record<number, number>>;
  /** What it builds anew, by shard. */
  readonly reach: Readonly<Record<number, LogReach>>;
}

/**
 * Changes of the lake beside its appends: rules, and rebuilds. New files are staged under a job first, in as many steps
 * as it takes, and named by nobody; one commit then swaps them for what they replace.
 *
 *     a job's first `stage` or `begin`    open
 *     open       swap                     swapped: the old is kept for `revert`, whatever `forget` does
 *     open       discard                  discarded: what it staged are orphans; a late `stage` is refused
 *     swapped    revert                   reverted: in a new snapshot the old files are live again
 *     swapped    confirm                  confirmed: the old is like any replaced file
 */
export interface LakeStagingApi {
  /**
   * From now on an append or compaction that knows an older rule version is refused ("rules"). Never falls.
   * @param filter the rule's: files in which it can match nothing need not be looked at. Absent: it may match anywhere.
   */
  raise(version: number, filter?: RuleFilter): Promise<void>;
  /**
   * Live files that a rule may concern: written before it, with events in the range, and not looked at by the job. By
   * id, a bounded page; an empty one is the end.
   */
  candidates(request: {
    readonly belowRules: number;
    readonly from?: number;
    readonly to?: number;
    readonly afterId: number;
    readonly job?: string;
  }): Promise<DataFile[]>;
  /**
   * Begins a rebuild: `snapshot` and the cursors as of one moment. Rows at or below the cursors are the job's, later ones
   * come live beside it. Compaction rests until it is swapped in or discarded. Safe to repeat: the first answer stands.
   * @param reach parts of the log to build anew; cut at the cursors. Absent: all of it.
   */
  begin(job: string, reach?: Readonly<Record<number, LogReach>>): Promise<RebuildScope>;
  /** Live files of both tables that may hold rows of the rebuild's reach and that it has not looked at, as `candidates`. */
  replaceable(job: string, afterId: number): Promise<DataFile[]>;
  /**
   * Safe to repeat: a step that the job has is not added again.
   * @throws RangeError where the job is not open any more.
   */
  stage(job: string, step: number, add: readonly NewDataFile[], marks?: StagedMarks): Promise<void>;
  staged(job: string): Promise<StagedStatus>;
  /** The steps' tallies, added up. */
  tallies(job: string): Promise<{ readonly before: KeyTally; readonly after: KeyTally }>;
  /**
   * One commit: `remove` and what the job's steps remove goes, what they staged comes, and every file that stays is
   * marked with the rule's version. Refused whole ("conflict") where one of those to go is gone already, or a file came
   * that the job has not looked at: the steps concerned are forgotten, look again. Safe to repeat: the answer is that of
   * the first time it was taken. @throws RangeError after `revert` and `discard`.
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
