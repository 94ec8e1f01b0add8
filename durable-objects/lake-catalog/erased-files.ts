/**
 * Files that lost rows where they stood. A correction makes another file of a live one, in a new snapshot; an erasure has to
 * reach the snapshots before, too, and the cuts. So the row of a file is exchanged for one with the same place in history
 * (`added_seq`, `removed_seq`, `rows_since`, `rows_gone`) and another key, rows and statistics.
 *
 * The new row has an id of its own, because an id is what others plan on:
 *
 *     a compaction read the old file       its `replace` misses the id: conflict, planned again on the new one
 *     a correction or rebuild read it      the same, its step is forgotten
 *     a tally of a cut read it             begins anew; sums that are whole lose the erased rows here
 *     a statement planned on it            the object is missing: planned again, once
 *     Iceberg's manifests name it          `icebergErase`
 *     crash before the exchange            the new object is an orphan, without the rows
 *     crash after it                       the old object is listed here until it has been deleted
 *     the same exchange twice              "gone"; the second new object is an orphan
 *
 * What a snapshot has less of since is kept as sums over ranges of snapshots, one row an exchange, not written into each.
 */
import { addDays } from "../../r2-layout/day-tally.ts";
import type { TableName } from "../../r2-layout/event-columns.ts";
import { LAKE } from "../../r2-layout/limits.ts";
import type { PromotedColumn } from "../../r2-layout/promoted-columns.ts";
import type { DataFile, NewDataFile } from "./api.ts";
import { CutTable } from "./cut-table.ts";
import { dataFile, type FileRow } from "./data-files.ts";
import type { FileExchange } from "./erasure-api.ts";
import { GONE, SINCE } from "./plan-files.ts";
import { addScanSizes, forgetScanSizes } from "./scan-sums.ts";
import type { SnapshotTable } from "./snapshots.ts";

/** What a row keeps that is exchanged. */
const KEPT = [
  "added_seq",
  "removed_seq",
  "removed_at",
  "rules",
  "added_by",
  "removed_by",
  "rows_since",
  "rows_gone",
  "expired",
];

export class ErasedFiles {
  readonly #sql: SqlStorage;
  readonly #snapshots: SnapshotTable;
  readonly #promoted: () => readonly PromotedColumn[];
  readonly #cuts: CutTable;

  /** After the tables of files and snapshots. @param promoted all promoted columns that the lake has. */
  constructor(sql: SqlStorage, snapshots: SnapshotTable, promoted: () => readonly PromotedColumn[]) {
    this.#sql = sql;
    this.#snapshots = snapshots;
    this.#promoted = promoted;
    this.#cuts = new CutTable(sql);
    sql.exec(`CREATE TABLE IF NOT EXISTS erased_object (
      key TEXT PRIMARY KEY, file INTEGER, version INTEGER NOT NULL, at INTEGER NOT NULL,
      deleted INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID`);
    sql.exec("CREATE INDEX IF NOT EXISTS erased_object_left ON erased_object (key) WHERE deleted = 0");
    sql.exec("CREATE INDEX IF NOT EXISTS erased_object_file ON erased_object (file) WHERE file IS NOT NULL");
  }

  erasable(table: TableName, version: number, afterId: number): DataFile[] {
    const mayHold = table === "events" ? "rules < ?" : "? > 0";
    return this.#sql
      .exec<FileRow>(
        `SELECT * FROM data_file WHERE tbl = ? AND id > ? AND erased < ? AND ${mayHold} ORDER BY id LIMIT ?`,
        table,
        afterId,
        version,
        version,
        LAKE.filesPerPage,
      )
      .toArray()
      .map(dataFile);
  }

  exchange({ version, id, key, replacement, tallies }: FileExchange, nowMs: number): "exchanged" | "gone" {
    const row = this.#sql
      .exec<FileRow & { since: number; gone: number | null }>(
        `SELECT *, ${SINCE} AS since, ${GONE} AS gone FROM data_file WHERE id = ? AND key = ?`,
        id,
        key,
      )
      .toArray()[0];
    if (!row) return "gone";
    if (replacement && replacement.rows >= row.row_count) {
      throw new RangeError(`${replacement.key} has ${replacement.rows} rows, ${key} has ${row.row_count}`);
    }
    const absences = this.#absences(id);
    if (replacement) this.#put(row, replacement, version);
    this.#sql.exec("DELETE FROM data_file WHERE id = ?", id);
    forgetScanSizes(this.#sql, [id]);
    const less = {
      table: row.tbl,
      files: replacement ? 0 : 1,
      rows: row.row_count - (replacement?.rows ?? 0),
      bytes: row.bytes - (replacement?.bytes ?? 0),
    };
    this.#snapshots.erased(
      { from: row.added_seq, to: row.removed_seq, since: row.since, gone: row.gone, absences },
      less,
    );
    if (!replacement) this.#sql.exec("DELETE FROM file_absence WHERE file = ?", id);
    for (const { day, tally } of tallies) this.#takeFromTallies(day, row, tally);
    this.leave([key], version, nowMs, id);
    return "exchanged";
  }

  /** The objects are to be deleted. @param file the id under which a data file was known. */
  leave(keys: Iterable<string>, version: number, nowMs: number, file: number | null = null): void {
    for (const key of keys) {
      this.#sql.exec("INSERT OR IGNORE INTO erased_object VALUES (?, ?, ?, ?, 0)", key, file, version, nowMs);
    }
  }

  known(keys: readonly string[]): string[] {
    return this.#sql
      .exec<{ key: string }>(
        "SELECT key FROM erased_object WHERE key IN (SELECT value FROM json_each(?))",
        JSON.stringify(keys),
      )
      .toArray()
      .map(({ key }) => key);
  }

  left(): string[] {
    return this.#sql
      .exec<{ key: string }>("SELECT key FROM erased_object WHERE deleted = 0 ORDER BY key LIMIT ?", LAKE.sweepKeys)
      .toArray()
      .map(({ key }) => key);
  }

  deleted(keys: readonly string[]): void {
    this.#sql.exec(
      "UPDATE erased_object SET deleted = 1 WHERE key IN (SELECT value FROM json_each(?))",
      JSON.stringify(keys),
    );
  }

  /** What nothing can name any more. */
  forget(beforeMs: number): void {
    this.#sql.exec("DELETE FROM erased_object WHERE deleted = 1 AND at < ?", beforeMs);
  }

  #put(row: FileRow, file: NewDataFile, version: number): void {
    const told: Readonly<Record<string, string | number | null>> = {
      tbl: row.tbl,
      key: file.key,
      kind: file.kind,
      bytes: file.bytes,
      row_count: file.rows,
      spans_days: file.minDay === file.maxDay ? 0 : 1,
      min_day: file.minDay,
      max_day: file.maxDay,
      min_time: file.minTime,
      max_time: file.maxTime,
      min_received_at: file.minReceivedAt,
      max_received_at: file.maxReceivedAt,
      schema_version: file.schemaVersion,
      event_names: file.eventNames && JSON.stringify(file.eventNames),
      columns: JSON.stringify(file.columns),
      partition_name: file.partition ?? null,
      name_rows: file.nameRows ? JSON.stringify(file.nameRows) : null,
      erased: version,
    };
    const { id } = this.#sql
      .exec<{ id: number }>(
        `INSERT INTO data_file (${[...Object.keys(told), ...KEPT].join()})
         SELECT ${Object.keys(told).map(() => "?")}, ${KEPT.join()} FROM data_file WHERE id = ? RETURNING id`,
        ...Object.values(told),
        row.id,
      )
      .one();
    if (file.chunks) addScanSizes(this.#sql, id, row.tbl, file.chunks, this.#promoted());
    this.#sql.exec("UPDATE file_absence SET file = ? WHERE file = ?", id, row.id);
  }

  #absences(id: number): { from: number; to: number }[] {
    return this.#sql
      .exec<{ from: number; to: number }>(
        'SELECT from_seq AS "from", to_seq AS "to" FROM file_absence WHERE file = ?',
        id,
      )
      .toArray();
  }

  /** Of the day's cuts that named the file: what is whole loses the rows, what is being counted begins anew. */
  #takeFromTallies(
    day: string,
    { since, gone }: { since: number; gone: number | null },
    tally: FileExchange["tallies"][number]["tally"],
  ): void {
    for (const cut of this.#cuts.ofDay(day)) {
      if (cut.progress !== null) this.#cuts.update(cut, { progress: null, tally: null });
      else if (cut.tally && cut.seq !== null && cut.seq >= since && (gone === null || cut.seq < gone)) {
        this.#cuts.update(cut, { tally: addDays(cut.tally, tally) });
      }
    }
  }
}
