/** Where a MinuteRollup stands: one row, written with every batch. */
import { addColumns } from "../add-columns.ts";

export interface Position {
  readonly lastSeq: number;
  /** Milliseconds. */
  readonly completeUntil: number;
  /** Applied, cumulative. */
  readonly events: number;
  /** Batches that passed through older rules are refused. */
  readonly rules: number;
  /** As in ShardUpdate: when these rows began, or were last swapped; ever rising. */
  readonly incarnation: number;
  /** Batches of older tokens are refused. */
  readonly token: number;
  /** The list of custom rollups that the sink is to keep for this shard; empty: none. */
  readonly tiles: string;
  /** Events that the sink has given up, of which nobody knows what minutes lack them; 1 where that is not known. */
  readonly leftOut: number;
  /** The oldest rule that rows may not have passed yet; 0 where there is none. */
  readonly owes: number;
}

type PositionRow = {
  last_seq: number;
  complete_until: number;
  events: number;
  rules: number;
  incarnation: number;
  token: number;
  tiles: string;
  left_out: number;
  owes: number;
};

export class PositionTable {
  readonly #sql: SqlStorage;
  /** Milliseconds: the incarnation of an object that is new, or was wiped, lies above any that it had. */
  readonly #born: number;

  constructor(sql: SqlStorage, born: number) {
    this.#sql = sql;
    this.#born = born;
    sql.exec(`CREATE TABLE IF NOT EXISTS position (
      id INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, complete_until INTEGER NOT NULL, events INTEGER NOT NULL)`);
    addColumns(sql, "position", {
      rules: "INTEGER NOT NULL DEFAULT 0",
      incarnation: "INTEGER NOT NULL DEFAULT 0",
      token: "INTEGER NOT NULL DEFAULT 0",
      tiles: "TEXT NOT NULL DEFAULT ''",
      left_out: "INTEGER NOT NULL DEFAULT 0",
      owes: "INTEGER NOT NULL DEFAULT 0",
    });
    // Written at once: an incarnation that was told must be the same after an eviction.
    if (this.read().incarnation === born) this.write(this.read());
  }

  read(): Position {
    const [row] = this.#sql.exec<PositionRow>("SELECT * FROM position").toArray();
    return {
      lastSeq: row?.last_seq ?? 0,
      completeUntil: row?.complete_until ?? 0,
      events: row?.events ?? 0,
      rules: row?.rules ?? 0,
      incarnation: row?.incarnation || this.#born,
      token: row?.token ?? 0,
      tiles: row?.tiles ?? "",
      leftOut: row?.left_out ?? 0,
      owes: row?.owes ?? 0,
    };
  }

  write({ lastSeq, completeUntil, events, rules, incarnation, token, tiles, leftOut, owes }: Position): void {
    this.#sql.exec(
      `INSERT OR REPLACE INTO position (id, last_seq, complete_until, events, rules, incarnation, token, tiles, left_out, owes)
       VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      lastSeq,
      completeUntil,
      events,
      rules,
      incarnation,
      token,
      tiles,
      leftOut,
      owes,
    );
  }
}
