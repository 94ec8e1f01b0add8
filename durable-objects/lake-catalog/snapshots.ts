/**
 * Commits of the lake, one row each, in order. A row also carries the running totals of each table as of that commit,
 * so that the size of any snapshot, and what each kind of operation ever added or took, is one row's reading.
 *
 * An erasure takes rows out of files where they stand in history (erased-files.ts). What the snapshots of a range have less
 * since is a row of sums, taken off when a snapshot is read. In the newest one it is taken off at once, so that the next
 * commit goes on from what there is.
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
   * added by rebuilds less what they took, dropped because their time was over, taken out in place by erasures.
   * appended - deleted - retracted + rebuilt - expired - erased = rows of the snapshot (promise 3).
   */
  readonly appendedRows: number;
  readonly deletedRows: number;
  readonly retractedRows: number;
  readonly rebuiltRows: number;
  /** Of the rebuilt rows those of events. */
  readonly rebuiltEvents: number;
  readonly expiredRows: number;
  readonly expiredEvents: number;
  readonly erasedRows: number;
  /** Of the erased rows those of events. */
  readonly erasedEvents: number;
}

/** Where a file stood that lost rows: in snapshots from `from` to before `to` (null: still), less absences; in cuts `since` to before `gone`. */
export interface ErasedReach {
  readonly from: number;
  readonly to: number | null;
  readonly since: number;
  readonly gone: number | null;
  readonly absences: readonly { readonly from: number; readonly to: number }[];
}

/** What is less: a file counts where none came in its place. */
export interface ErasedSums extends TableTotals {
  readonly table: TableName;
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
  erasedRows: 0,
  erasedEvents: 0,
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
    // `of` a snapshot, or of a cut: then of those that were frozen before this was the nth.
    sql.exec(`CREATE TABLE IF NOT EXISTS erased_sum (
      n INTEGER PRIMARY KEY AUTOINCREMENT, of TEXT NOT NULL, tbl TEXT NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER,
      files INTEGER NOT NULL, bytes INTEGER NOT NULL, row_count INTEGER NOT NULL)`);
  }

  latest(): Snapshot {
    // Nothing is to be taken off the newest.
    this.#latest ??= this.#read("SELECT * FROM snapshot ORDER BY seq DESC LIMIT 1");
    return this.#latest;
  }

  /** A file has lost rows. Inside the transaction that exchanges it. */
  erased(reach: ErasedReach, less: ErasedSums): void {
    const newest = this.#read("SELECT * FROM snapshot ORDER BY seq DESC LIMIT 1");
    const add = (of: "snapshot" | "cut", from: number, to: number | null, sign: 1 | -1) => {
      if (to !== null && to <= from) return;
      this.#sql.exec(
        "INSERT INTO erased_sum (of, tbl, from_seq, to_seq, files, bytes, row_count) VALUES (?, ?, ?, ?, ?, ?, ?)",
        of,
        less.table,
        from,
        to,
        sign * less.files,
        sign * less.bytes,
        sign * less.rows,
      );
    };
    add("snapshot", reach.from, reach.to ?? newest.seq, 1);
    for (const { from, to } of reach.absences) add("snapshot", from, to, -1);
    add("cut", reach.since, reach.gone, 1);
    for (const { from, to } of reach.absences) add("cut", from, to, -1);
    if (reach.to !== null) return;
    const totals = JSON.stringify(withoutErased(newest, [less]));
    this.#sql.exec("UPDATE snapshot SET totals = ? WHERE seq = ?", totals, newest.seq);
    this.#latest = null;
  }

  /** The number of the newest such sum: what is frozen now has all up to it taken off. */
  erasedSums(): number {
    return this.#sql.exec<{ n: number }>("SELECT coalesce(max(n), 0) AS n FROM erased_sum").one().n;
  }

  /** Totals that a cut was frozen with, less what its files have lost since. @param sums there were then. */
  cutTables(seq: number, tables: Snapshot["tables"], sumsThen: number): Snapshot["tables"] {
    const sums = this.#sql
      .exec<ErasedRow>(
        `SELECT * FROM erased_sum WHERE of = 'cut' AND from_seq <= ? AND (to_seq IS NULL OR to_seq > ?) AND n > ?`,
        seq,
        seq,
        sumsThen,
      )
      .toArray();
    return withoutErased({ ...EMPTY, tables }, sums.map(erasedSums)).tables;
  }

  /** Null where there is none yet, or it has been forgotten. Snapshot 0 is the empty lake. */
  at(seq: number): Snapshot | null {
    const found = this.#read("SELECT * FROM snapshot WHERE seq = ?", seq);
    return found.seq === seq ? this.#less([found])[0]! : null;
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

  /** How many were committed after a time, as far as they are kept. */
  countSince(ms: number): number {
    const oldest = this.oldest();
    if (oldest === null) return 0;
    const before = oldest.committedAt > ms ? oldest.seq - 1 : this.#lastBy(ms, oldest.seq);
    return this.latest().seq - before;
  }

  /** Newest first. @param before only older ones than this. */
  list(limit: number, before: number = Number.MAX_SAFE_INTEGER): Snapshot[] {
    const rows = this.#sql
      .exec<SnapshotRow>("SELECT * FROM snapshot WHERE seq < ? ORDER BY seq DESC LIMIT ?", before, limit)
      .toArray();
    return this.#less(rows.map(snapshotOf));
  }

  /** As files that lost rows leave them. */
  #less(snapshots: readonly Snapshot[]): Snapshot[] {
    const sums = this.#sql.exec<ErasedRow>("SELECT * FROM erased_sum WHERE of = 'snapshot'").toArray();
    if (sums.length === 0) return [...snapshots];
    return snapshots.map((snapshot) => {
      const of = sums.filter(({ from_seq, to_seq }) => from_seq <= snapshot.seq && snapshot.seq < to_seq!);
      return { ...snapshot, ...withoutErased(snapshot, of.map(erasedSums)) };
    });
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
    const first = this.#lastBy(beforeMs - 1, oldest.seq);
    this.#sql.exec("DELETE FROM snapshot WHERE seq < ?", first);
    this.#sql.exec("DELETE FROM erased_sum WHERE of = 'snapshot' AND to_seq <= ?", first);
    this.#sql.exec(
      `DELETE FROM erased_sum WHERE of = 'cut' AND NOT EXISTS (
         SELECT 1 FROM cut WHERE seq >= from_seq AND (to_seq IS NULL OR seq < to_seq))`,
    );
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

type ErasedRow = {
  of: string;
  tbl: TableName;
  from_seq: number;
  to_seq: number | null;
  files: number;
  bytes: number;
  row_count: number;
};

const erasedSums = ({ tbl, files, bytes, row_count }: ErasedRow): ErasedSums => ({
  table: tbl,
  files,
  bytes,
  rows: row_count,
});

/** What a snapshot's row says besides which it is. */
function withoutErased(snapshot: Snapshot, less: readonly ErasedSums[]) {
  const { seq: _, operation: __, committedAt: ___, ...totals } = snapshot;
  const tables = { ...totals.tables };
  let { erasedRows, erasedEvents } = totals;
  for (const { table, files, bytes, rows } of less) {
    const of = tables[table];
    tables[table] = { files: of.files - files, bytes: of.bytes - bytes, rows: of.rows - rows };
    erasedRows += rows;
    if (table === "events") erasedEvents += rows;
  }
  return { ...totals, tables, erasedRows, erasedEvents };
}

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
    erasedRows: before.erasedRows,
    erasedEvents: before.erasedEvents,
  };
}

/** What a reader is told who asks for a state that is not kept: how far the snapshots reach, and what there is beyond. */
export function notKept(asked: string, snapshots: SnapshotTable): string {
  const [oldest, newest] = [snapshots.oldest(), snapshots.latest()];
  if (!oldest) return `${asked} is not kept; there is no snapshot yet`;
  const told = ({ seq, committedAt }: Snapshot) => `${seq} (${new Date(committedAt).toISOString()})`;
  return `${asked} is not kept; snapshots reach from ${told(oldest)} to ${told(newest)}, cuts (GET /v1/cuts) beyond`;
}
