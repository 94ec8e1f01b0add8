/**
 * How far each sink has come, as it tells the log, so that wake-ups stop. A hint: the truth stands with the sink's cursor,
 * which goes back where another build of its store is fed. The log is told that too, and what drains of the time before
 * still tell afterwards is passed over, by the fencing token of their lease:
 *
 *     a drain with token 7 has come to 10, the head
 *                                         the cursor goes back to 4, which is token 8
 *                                         turned(4, 8): wake-ups begin again
 *     reached(10, 7)                      passed over: else nobody would wake the sink before the next event
 */
import { addColumns } from "../add-columns.ts";
import type { SinkName } from "../sink-cursor/api.ts";

type ReachedRow = { sink: SinkName; cursor: number; turn: number };

export class ReachedTable {
  readonly #sql: SqlStorage;
  /** A cache; null until it is read. */
  #rows: Map<SinkName, ReachedRow> | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec("CREATE TABLE IF NOT EXISTS cursors (sink TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID");
    addColumns(sql, "cursors", { turn: "INTEGER NOT NULL DEFAULT 0" });
  }

  cursor(sink: SinkName): number {
    return this.#read().get(sink)?.cursor ?? 0;
  }

  all(): Partial<Record<SinkName, number>> {
    return Object.fromEntries(Array.from(this.#read().values(), ({ sink, cursor }) => [sink, cursor]));
  }

  /** Never moves back. @param token of the drain's lease; absent: of a drain that tells none, which is believed. */
  reached(sink: SinkName, cursor: number, token?: number): void {
    const { cursor: before, turn } = this.#of(sink);
    if (cursor <= before || (token !== undefined && token < turn)) return;
    this.#write({ sink, cursor, turn });
  }

  /** The sink goes on from here, wherever it was. @param token as of the turn, which leases given out later do not fall below. */
  turned(sink: SinkName, cursor: number, token: number): void {
    const before = this.#of(sink);
    if (token <= before.turn) return;
    this.#write({ sink, cursor: Math.min(cursor, before.cursor), turn: token });
  }

  forget(): void {
    this.#rows = null;
  }

  #of(sink: SinkName): ReachedRow {
    return this.#read().get(sink) ?? { sink, cursor: 0, turn: 0 };
  }

  #write(row: ReachedRow): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO cursors (sink, cursor, turn) VALUES (?, ?, ?)",
      row.sink,
      row.cursor,
      row.turn,
    );
    this.#read().set(row.sink, row);
  }

  #read(): Map<SinkName, ReachedRow> {
    this.#rows ??= new Map(
      Array.from(this.#sql.exec<ReachedRow>("SELECT sink, cursor, turn FROM cursors"), (row) => [row.sink, row]),
    );
    return this.#rows;
  }
}
