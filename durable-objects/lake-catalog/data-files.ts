/**
 * The lake's files, each with the snapshot that added it and the one that removed it: a snapshot is a WHERE clause.
 * Four rows written per file (itself, two index entries, what its parts take), because rows written are what this object costs.
 */
import type { TableName } from "../../r2-layout/event-columns.ts";
import type { DataFileKind } from "../../r2-layout/keys.ts";
import type { PromotedColumn } from "../../r2-layout/promoted-columns.ts";
import { addColumns } from "../add-columns.ts";
import type { DataFile, NewDataFile, PlanRequest } from "./api.ts";
import { type FileSet, GONE, PLAN_INDEX, type PlannedFiles, plannedFiles, SINCE } from "./plan-files.ts";
import { addScanSizes, createScanTable, forgetScanSizes } from "./scan-sums.ts";

export type FileRow = {
  id: number;
  tbl: TableName;
  key: string;
  kind: DataFileKind;
  bytes: number;
  row_count: number;
  spans_days: number;
  min_day: string;
  max_day: string;
  min_time: number;
  max_time: number;
  min_received_at: number;
  max_received_at: number;
  schema_version: number;
  added_seq: number;
  removed_seq: number | null;
  removed_at: number | null;
  event_names: string | null;
  columns: string;
  rules: number;
  partition_name: string | null;
  name_rows: string | null;
  rows_since: number | null;
  rows_gone: number | null;
};

export class DataFileTable {
  readonly #sql: SqlStorage;
  readonly #promoted: () => readonly PromotedColumn[];

  /** @param promoted all promoted columns that the lake has. */
  constructor(sql: SqlStorage, promoted: () => readonly PromotedColumn[] = () => []) {
    this.#sql = sql;
    this.#promoted = promoted;
    // The wide texts come last, so that a scan by time does not read the pages that they overflow to.
    sql.exec(`CREATE TABLE IF NOT EXISTS data_file (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      tbl TEXT NOT NULL,
      key TEXT NOT NULL UNIQUE,
      kind TEXT NOT NULL,
      bytes INTEGER NOT NULL,
      row_count INTEGER NOT NULL,
      spans_days INTEGER NOT NULL,
      min_day TEXT NOT NULL,
      max_day TEXT NOT NULL,
      min_time INTEGER NOT NULL,
      max_time INTEGER NOT NULL,
      min_received_at INTEGER NOT NULL,
      max_received_at INTEGER NOT NULL,
      schema_version INTEGER NOT NULL,
      added_seq INTEGER NOT NULL,
      removed_seq INTEGER,
      removed_at INTEGER,
      event_names TEXT,
      columns TEXT NOT NULL)`);
    addColumns(sql, "data_file", {
      rules: "INTEGER NOT NULL DEFAULT 0",
      /** The job whose swap added it, or removed it, and can still be reverted. */
      added_by: "TEXT",
      removed_by: "TEXT",
      /** The one event name of a file in its partition; null for files that names share. */
      partition_name: "TEXT",
      /** Rows of its most frequent event names, as JSON. */
      name_rows: "TEXT",
      /** Where they differ from added_seq and removed_seq: which cuts name it (cuts.ts). */
      rows_since: "INTEGER",
      rows_gone: "INTEGER",
      /** Its time was over (retention.ts). */
      expired: "INTEGER NOT NULL DEFAULT 0",
      /** Of a file that was exchanged (erased-files.ts): the erasure whose rows it does not have. */
      erased: "INTEGER NOT NULL DEFAULT 0",
    });
    sql.exec(PLAN_INDEX);
    sql.exec("DROP INDEX IF EXISTS data_file_time");
    // A file that a revert put back was away from one snapshot up to another: what its own row cannot say.
    sql.exec(`CREATE TABLE IF NOT EXISTS file_absence (
      file INTEGER NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL, PRIMARY KEY (file, from_seq)
    ) WITHOUT ROWID`);
    createScanTable(sql);
  }

  /**
   * @param job keeps what it added and removed until it is confirmed.
   * @param rowsSince of a file that others became: the snapshot that had all of their rows first.
   */
  add(file: NewDataFile, seq: number, rules: number, job: string | null = null, rowsSince: number | null = null): void {
    const inserted = this.#sql.exec<{ id: number }>(
      `INSERT INTO data_file (tbl, key, kind, bytes, row_count, spans_days, min_day, max_day, min_time, max_time,
         min_received_at, max_received_at, schema_version, added_seq, event_names, columns, rules, added_by, partition_name,
         rows_since, name_rows)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
      file.table,
      file.key,
      file.kind,
      file.bytes,
      file.rows,
      file.minDay === file.maxDay ? 0 : 1,
      file.minDay,
      file.maxDay,
      file.minTime,
      file.maxTime,
      file.minReceivedAt,
      file.maxReceivedAt,
      file.schemaVersion,
      seq,
      file.eventNames && JSON.stringify(file.eventNames),
      JSON.stringify(file.columns),
      rules,
      job,
      file.partition ?? null,
      rowsSince,
      file.nameRows ? JSON.stringify(file.nameRows) : null,
    );
    const { id } = inserted.one();
    if (file.chunks) addScanSizes(this.#sql, id, file.table, file.chunks, this.#promoted());
  }

  /** @param rowsGone where cuts from that snapshot on have its rows from another file, or no longer. */
  remove(id: number, seq: number, nowMs: number, job: string | null = null, rowsGone: number | null = null): void {
    this.#sql.exec(
      "UPDATE data_file SET removed_seq = ?, removed_at = ?, removed_by = ?, rows_gone = ? WHERE id = ?",
      seq,
      nowMs,
      job,
      rowsGone,
      id,
    );
  }

  /** The first snapshot from which on the lake has had the rows of all these files without a break. */
  rowsSince(ids: readonly number[]): number {
    const list = JSON.stringify(ids);
    return this.#sql
      .exec<{ since: number | null }>(
        `SELECT max(since) AS since FROM (
           SELECT ${SINCE} AS since FROM data_file WHERE id IN (SELECT value FROM json_each(?))
           UNION ALL SELECT to_seq FROM file_absence WHERE file IN (SELECT value FROM json_each(?)))`,
        list,
        list,
      )
      .one().since!;
  }

  /** A removed file is live again, from a snapshot on. */
  restore(id: number, seq: number): void {
    this.#sql.exec("INSERT INTO file_absence SELECT id, removed_seq, ? FROM data_file WHERE id = ?", seq, id);
    this.#sql.exec("UPDATE data_file SET removed_seq = NULL, removed_at = NULL, removed_by = NULL WHERE id = ?", id);
  }

  addedBy(job: string): (DataFile & { readonly live: boolean })[] {
    return this.#sql
      .exec<FileRow>("SELECT * FROM data_file WHERE added_by = ?", job)
      .toArray()
      .map((row) => ({ ...dataFile(row), live: row.removed_seq === null }));
  }

  removedBy(job: string): DataFile[] {
    return this.#sql.exec<FileRow>("SELECT * FROM data_file WHERE removed_by = ?", job).toArray().map(dataFile);
  }

  /** What a job added and removed is from now on like any other file. */
  release(job: string): void {
    this.#sql.exec("UPDATE data_file SET added_by = NULL WHERE added_by = ?", job);
    this.#sql.exec("UPDATE data_file SET removed_by = NULL WHERE removed_by = ?", job);
  }

  /** Live files after an id, in order. */
  *liveAfter(
    id: number,
    where: { table?: TableName; from?: number; to?: number; belowRules?: number } = {},
  ): Generator<DataFile> {
    const { table = null, from, to, belowRules } = where;
    for (const row of this.#sql.exec<FileRow>(
      `SELECT * FROM data_file WHERE id > ? AND removed_seq IS NULL AND (? IS NULL OR tbl = ?)
         AND max_time >= ? AND min_time < ? AND rules < ? ORDER BY id`,
      id,
      table,
      table,
      from ?? -Number.MAX_SAFE_INTEGER,
      to ?? Number.MAX_SAFE_INTEGER,
      belowRules ?? Number.MAX_SAFE_INTEGER,
    )) {
      yield dataFile(row);
    }
  }

  /** Every live file has passed through the rules up to this version. */
  passed(rules: number): void {
    this.#sql.exec("UPDATE data_file SET rules = ? WHERE removed_seq IS NULL AND rules < ?", rules, rules);
  }

  /** The oldest version of the rules that a file, live or kept, has passed through; null without files. */
  oldestRules(): number | null {
    return this.#sql.exec<{ oldest: number | null }>("SELECT min(rules) AS oldest FROM data_file").one().oldest;
  }

  /** A file of the newest snapshot. */
  live(id: number): DataFile | null {
    const row = this.#sql
      .exec<FileRow>("SELECT * FROM data_file WHERE id = ? AND removed_seq IS NULL", id)
      .toArray()[0];
    return row ? dataFile(row) : null;
  }

  planned(request: PlanRequest, set: FileSet): PlannedFiles {
    return plannedFiles(this.#sql, request, set);
  }

  has(key: string): boolean {
    return this.#sql.exec("SELECT 1 FROM data_file WHERE key = ?", key).toArray().length > 0;
  }

  /**
   * Drops the rows of files removed before this time, less those that a job keeps or a cut names. Their objects are
   * orphans from then on.
   * @param oldestSeq the oldest snapshot that is kept. What a later one removed is in it, whatever a clock that was set
   * back says. @returns how many.
   */
  forget(beforeMs: number, oldestSeq: number): number {
    const forgotten = this.#sql
      .exec<{ id: number }>(
        `DELETE FROM data_file WHERE removed_at < ? AND removed_seq <= ? AND removed_by IS NULL AND added_by IS NULL
           AND NOT EXISTS (SELECT 1 FROM cut WHERE seq >= ${SINCE} AND seq < ${GONE} AND (through IS NULL OR through > min_time))
         RETURNING id`,
        beforeMs,
        oldestSeq,
      )
      .toArray()
      .map(({ id }) => id);
    if (forgotten.length > 0) {
      this.#sql.exec("DELETE FROM file_absence WHERE file NOT IN (SELECT id FROM data_file)");
      forgetScanSizes(this.#sql, forgotten);
    }
    return forgotten.length;
  }
}

const parsed = <T>(text: string | null): T | null => (text === null ? null : (JSON.parse(text) as T));

export const dataFile = (row: FileRow): DataFile => ({
  id: row.id,
  addedSeq: row.added_seq,
  table: row.tbl,
  key: row.key,
  kind: row.kind,
  bytes: row.bytes,
  rows: row.row_count,
  minDay: row.min_day,
  maxDay: row.max_day,
  minTime: row.min_time,
  maxTime: row.max_time,
  minReceivedAt: row.min_received_at,
  maxReceivedAt: row.max_received_at,
  eventNames: parsed(row.event_names),
  columns: JSON.parse(row.columns),
  schemaVersion: row.schema_version,
  rules: row.rules,
  ...(row.partition_name !== null && { partition: row.partition_name }),
  ...(row.name_rows !== null && { nameRows: JSON.parse(row.name_rows) }),
});
