/**
 * Commits of the lake, one row each, in order. A row also carries the running totals of each table as of that commit,
 * so that the size of any snapshot, and what each kind of operation ever added or took, is one row's reading.
 */
import type { TableName } from "../../r2-layout/event-columns.ts";
import type { NewDataFile, TableTotals } from "./api.ts";

export type Operation = "append" | "schema" | "compact" | "delete" | "expire" | "correct" | "rebuild" | "revert";

export interface Snapshot {
  readonly seq: number;
  readonly operation: Operation | "none";
  readonly committedAt: number;
  readonly tables: Readonly<Record<TableName, TableTotals>>;
  /**
   * Cumulative rows: that sinks took from the log, taken by deletes, taken by rules (before they came here, or later),
   * added by rebuilds less what they took, dropped because their time was over.
   * appended - deleted - retracted + rebuilt - expired = rows of the snapshot (promise 3).
   */
  readonly appendedRows: number;
  readonly deletedRows: number;
  readonly retractedRows: number;
  readonly rebuiltRows: number;
  /** Of the rebuilt rows those of events. */
  readonly rebuiltEvents: number;
  readonly expiredRows: number;
  readonly expiredEvents: number;
}

export interface SnapshotChange {
  readonly operation: Operation;
  readonly added: readonly FileSums[];
  readonly removed: readonly FileSums[];
  /** Of an append. */
  readonly range?: LogRange;
  /** Rows that an append took from the log and that a rule retracted on the way. */
  readonly retracted?: number;
  /** What a revert undoes. */
  readonly undoes?: Operation;
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
  retractedRows: 0,
  rebuiltRows: 0,
  rebuiltEvents: 0,
  expiredRows: 0,
  expiredEvents: 0,
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

  /** The one in force at a time: the newest committed by then. Null where it has been forgotten. */
  atTime(ms: number): Snapshot | null {
    const oldest = this.oldest();
    if (oldest === null || oldest.committedAt > ms) return oldest === null || oldest.seq === 1 ? EMPTY : null;
    return this.at(this.#lastBy(ms, oldest.seq));
  }

  /** The oldest that is kept, null before the first. */
  oldest(): Snapshot | null {
    const found = this.#read("SELECT * FROM snapshot ORDER BY seq LIMIT 1");
    return found.seq === 0 ? null : found;
  }

  /** Newest first. @param before only older ones than this. */
  list(limit: number, before: number = Number.MAX_SAFE_INTEGER): Snapshot[] {
    return this.#sql
      .exec<SnapshotRow>("SELECT * FROM snapshot WHERE seq < ? ORDER BY seq DESC LIMIT ?", before, limit)
      .toArray()
      .map(snapshotOf);
  }

  /**
   * Inside the transaction that changes the files. Times never fall, whatever the clock does: a time is looked for by
   * halves. @returns the new snapshot's number.
   */
  commit({ operation, added, removed, range, retracted = 0, undoes }: SnapshotChange, clockMs: number): number {
    const before = this.#read("SELECT * FROM snapshot ORDER BY seq DESC LIMIT 1");
    const nowMs = Math.max(clockMs, before.committedAt);
    const tables = { ...before.tables };
    let rows = 0;
    let events = 0;
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
        if (file.table === "events") events += sign * file.rows;
      }
    }
    const counts = countedRows(before, undoes ?? operation, { rows, events, retracted });
    const next: Snapshot = {
      seq: before.seq + 1,
      operation,
      committedAt: nowMs,
      tables,
      ...counts,
    };
    this.#sql.exec(
      "INSERT INTO snapshot VALUES (?, ?, ?, ?, ?, ?, ?)",
      next.seq,
      nowMs,
      operation,
      range?.shard ?? null,
      range?.from ?? null,
      range?.to ?? null,
      JSON.stringify({ tables, ...counts }),
    );
    // Read again when asked: the transaction around us may yet be rolled back.
    this.#latest = null;
    return next.seq;
  }

  /** Forgets what had been superseded by this time; the snapshot in force then, and all later ones, stay. */
  forget(beforeMs: number): void {
    const oldest = this.oldest();
    if (oldest === null || oldest.committedAt >= beforeMs) return;
    this.#sql.exec("DELETE FROM snapshot WHERE seq < ?", this.#lastBy(beforeMs - 1, oldest.seq));
  }

  /** The newest committed at or before a time, from one on that was. Numbers are dense, times rise with them. */
  #lastBy(ms: number, from: number): number {
    let low = from;
    let high = this.latest().seq;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const { at } = this.#sql
        .exec<{ at: number }>("SELECT committed_at AS at FROM snapshot WHERE seq = ?", middle)
        .one();
      if (at <= ms) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #read(query: string, ...parameters: number[]): Snapshot {
    const row = this.#sql.exec<SnapshotRow>(query, ...parameters).toArray()[0];
    return row ? snapshotOf(row) : EMPTY;
  }
}

/** Snapshots from before there were rules, or expiry, have no counts of what these do. */
const snapshotOf = (row: SnapshotRow): Snapshot => ({
  ...EMPTY,
  ...JSON.parse(row.totals),
  seq: row.seq,
  committedAt: row.committed_at,
  operation: row.operation,
});

/** The cumulative counts after a commit that changed the number of rows, and of events among them. */
function countedRows(
  before: Snapshot,
  operation: Operation,
  change: { readonly rows: number; readonly events: number; readonly retracted: number },
) {
  const by = (counted: Operation, rows = change.rows) => (operation === counted ? rows : 0);
  return {
    appendedRows: before.appendedRows + by("append") + change.retracted,
    deletedRows: before.deletedRows - by("delete"),
    retractedRows: before.retractedRows - by("correct") + change.retracted,
    rebuiltRows: before.rebuiltRows + by("rebuild"),
    rebuiltEvents: before.rebuiltEvents + by("rebuild", change.events),
    expiredRows: before.expiredRows - by("expire"),
    expiredEvents: before.expiredEvents - by("expire", change.events),
  };
}

/** What a reader is told who asks for a state that is not kept: how far the snapshots reach, and what there is beyond. */
export function notKept(asked: string, snapshots: SnapshotTable): string {
  const [oldest, newest] = [snapshots.oldest(), snapshots.latest()];
  if (!oldest) return `${asked} is not kept; there is no snapshot yet`;
  const told = ({ seq, committedAt }: Snapshot) => `${seq} (${new Date(committedAt).toISOString()})`;
  return `${asked} is not kept; snapshots reach from ${told(oldest)} to ${told(newest)}, cuts (GET /v1/cuts) beyond`;
}
