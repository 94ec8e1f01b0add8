/**
 * Commits of the lake, one row each, in order. A row also carries the running totals of each table as of that commit,
 * so that the size of any snapshot, and what each kind of operation ever added or took, is one row's reading.
 */
import type { TableName } from "../../r2-layout/event-columns.ts";
import type { NewDataFile } from "./api.ts";

export type Operation = "append" | "compact" | "delete";

export interface TableTotals {
  readonly files: number;
  readonly bytes: number;
  readonly rows: number;
}

export interface Snapshot {
  readonly seq: number;
  readonly operation: Operation | "none";
  readonly committedAt: number;
  readonly tables: Readonly<Record<TableName, TableTotals>>;
  /** Cumulative rows: appended by sinks, taken by deletes. appended - deleted = rows of the snapshot (promise 3). */
  readonly appendedRows: number;
  readonly deletedRows: number;
}

/** What a commit changes: files that come, files that go. */
export type FileSums = Pick<NewDataFile, "table" | "bytes" | "rows">;

/** Where a commit came from: the part of the log it holds, nothing for a replacement. */
export interface LogRange {
  readonly shard: number;
  readonly from: number;
  readonly to: number;
}

const EMPTY: Snapshot = {
  seq: 0,
  operation: "none",
  committedAt: 0,
  tables: { events: { files: 0, bytes: 0, rows: 0 }, quarantine: { files: 0, bytes: 0, rows: 0 } },
  appendedRows: 0,
  deletedRows: 0,
};

type SnapshotRow = { seq: number; committed_at: number; operation: Operation; totals: string };

export class SnapshotTable {
  readonly #sql: SqlStorage;
  #latest: Snapshot | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS snapshot (
      seq INTEGER PRIMARY KEY,
      committed_at INTEGER NOT NULL,
      operation TEXT NOT NULL,
      shard INTEGER,
      log_from INTEGER,
      log_to INTEGER,
      totals TEXT NOT NULL)`);
  }

  latest(): Snapshot {
    this.#latest ??= this.#read("SELECT * FROM snapshot ORDER BY seq DESC LIMIT 1");
    return this.#latest;
  }

  /** Null where there is none yet, or it has been forgotten. Snapshot 0 is the empty lake. */
  at(seq: number): Snapshot | null {
    const found = this.#read("SELECT * FROM snapshot WHERE seq = ?", seq);
    return found.seq === seq ? found : null;
  }

  /** Inside the transaction that changes the files. @returns the new snapshot's number. */
  commit(
    operation: Operation,
    nowMs: number,
    range: LogRange | null,
    added: readonly FileSums[],
    removed: readonly FileSums[],
  ): number {
    const before = this.#read("SELECT * FROM snapshot ORDER BY seq DESC LIMIT 1");
    const tables = { ...before.tables };
    let rows = 0;
    for (const [files, sign] of [
      [added, 1],
      [removed, -1],
    ] as const) {
      for (const file of files) {
        const table = tables[file.table];
        tables[file.table] = {
          files: table.files + sign,
          bytes: table.bytes + sign * file.bytes,
          rows: table.rows + sign * file.rows,
        };
        rows += sign * file.rows;
      }
    }
    const next: Snapshot = {
      seq: before.seq + 1,
      operation,
      committedAt: nowMs,
      tables,
      appendedRows: before.appendedRows + (operation === "append" ? rows : 0),
      deletedRows: before.deletedRows - (operation === "delete" ? rows : 0),
    };
    this.#sql.exec(
      "INSERT INTO snapshot VALUES (?, ?, ?, ?, ?, ?, ?)",
      next.seq,
      nowMs,
      operation,
      range?.shard ?? null,
      range?.from ?? null,
      range?.to ?? null,
      JSON.stringify({ tables: next.tables, appendedRows: next.appendedRows, deletedRows: next.deletedRows }),
    );
    // Read again when asked: the transaction around us may yet be rolled back.
    this.#latest = null;
    return next.seq;
  }

  /** Forgets what had been superseded by this time; the snapshot in force then, and all later ones, stay. */
  forget(beforeMs: number): void {
    this.#sql.exec(
      "DELETE FROM snapshot WHERE seq < (SELECT coalesce(max(seq), 0) FROM snapshot WHERE committed_at < ?)",
      beforeMs,
    );
  }

  #read(query: string, ...parameters: number[]): Snapshot {
    const row = this.#sql.exec<SnapshotRow>(query, ...parameters).toArray()[0];
    if (!row) return EMPTY;
    return { seq: row.seq, committedAt: row.committed_at, operation: row.operation, ...JSON.parse(row.totals) };
  }
}
