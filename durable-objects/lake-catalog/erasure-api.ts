/**
 * What an erasure asks of the LakeCatalog, once its rule has made the live files right: to take rows out of files that
 * are history, or quarantined, in place; to let go what names the old ones; and to say which objects are left to delete.
 */
import type { DayTally } from "../../r2-layout/day-tally.ts";
import type { TableName } from "../../r2-layout/event-columns.ts";
import type { DataFile, NewDataFile, OpenUpload } from "./api.ts";

/** One file for another, in every snapshot and in every cut that names it. */
export interface FileExchange {
  /** The erasure's rule. */
  readonly version: number;
  readonly id: number;
  /** The file's, as it was read. */
  readonly key: string;
  /** The same rows less those erased; null where none is left. */
  readonly replacement: NewDataFile | null;
  /** The erased rows by the day (`YYYY-MM-DD`) that they count in, as sums to be added: with negative counts. */
  readonly tallies: readonly { readonly day: string; readonly tally: DayTally }[];
}

/** A file that a job has staged and that no commit names yet. */
export interface StagedFile {
  readonly job: string;
  readonly file: NewDataFile;
}

export interface LakeErasureApi {
  /**
   * Files of a table, of any age, that may still hold rows that a rule of this version or an earlier one erases: of events
   * those that were history when the rule came, of quarantine all. By id, a bounded page; an empty one is the end.
   */
  erasable(table: TableName, version: number, afterId: number): Promise<DataFile[]>;
  /** Of staged ones the same, by key. */
  erasableStaged(table: TableName, afterKey: string): Promise<StagedFile[]>;
  /**
   * The new file stands where the old one stood, under an id of its own, so that whoever planned on the old one is refused;
   * the old object is named as one to delete. Nothing else changes: no snapshot comes, sums of snapshots and cuts follow.
   * @returns "gone" where the file is not there any more, or is another by now: look at what there is.
   * @throws RangeError where the replacement's key is not ours, or so old that the sweep may take the object, or where it has more rows.
   */
  exchange(change: FileExchange): Promise<"exchanged" | "gone">;
  exchangeStaged(version: number, key: string, replacement: NewDataFile | null): Promise<"exchanged" | "gone">;
  /** Which of these keys were exchanged for others, or let go with what named them. */
  wasErased(keys: readonly string[]): Promise<string[]>;
  /** Objects that exchanges have left, a bounded page: to be deleted. */
  erasedObjects(): Promise<string[]>;
  /** They are. Safe to repeat. */
  erasedDeleted(keys: readonly string[]): Promise<void>;
  /** Uploads that were begun before a time (ms): what comes of them nobody can name any more. */
  uploadsBefore(ms: number): Promise<OpenUpload[]>;
  /** Forgets filters of earlier rules that hold one of these texts: from then on such a rule may concern any older file. */
  forgetFilters(version: number, texts: readonly string[]): Promise<number>;
  /**
   * Where something published names a file that was exchanged, the next step of the table takes it out, and every snapshot
   * and metadata that led to it. What was under way is dropped. @returns whether there is such a step.
   */
  icebergErase(table: TableName): Promise<boolean>;
  /**
   * Of these keys those that nothing names and nobody can name any more: they were written before the newest metadata was
   * published, by somebody who has been overtaken.
   */
  icebergLost(keys: readonly string[]): Promise<string[]>;
}
