/** Where a TileRollup stands, and the definitions that it knows: the position is one row, written with every batch. */
import type { TileDefinition } from "./definition.ts";

export interface TilePosition {
  /** Whether a batch was taken, or a fill begun: before that, any seq may come first. */
  readonly started: boolean;
  readonly lastSeq: number;
  /** Milliseconds. */
  readonly completeUntil: number;
  /** The list of definitions. */
  readonly version: number;
  /** As in TileUpdate. */
  readonly incarnation: number;
  /** Milliseconds: when rows were last written. */
  readonly foldedAt: number;
}

type PositionRow = {
  started: number;
  last_seq: number;
  complete_until: number;
  version: number;
  incarnation: number;
  folded_at: number;
  pending: string;
};

export class TileTable {
  readonly #sql: SqlStorage;
  #definitions: ReadonlyMap<string, TileDefinition> | null = null;

  /** @param born milliseconds: the incarnation of an object that is new, or was wiped, lies above any that it had */
  constructor(sql: SqlStorage, born: number) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS position (
      id INTEGER PRIMARY KEY, started INTEGER NOT NULL, last_seq INTEGER NOT NULL, complete_until INTEGER NOT NULL,
      version INTEGER NOT NULL, incarnation INTEGER NOT NULL, folded_at INTEGER NOT NULL, pending TEXT NOT NULL)`);
    sql.exec("INSERT OR IGNORE INTO position VALUES (1, 0, 0, 0, 0, ?, 0, '[]')", born);
    sql.exec(
      "CREATE TABLE IF NOT EXISTS definitions (id TEXT PRIMARY KEY, filled INTEGER NOT NULL, definition TEXT NOT NULL)",
    );
  }

  forget(): void {
    this.#definitions = null;
  }

  position(): TilePosition & { readonly pending: string } {
    const row = this.#sql.exec<PositionRow>("SELECT * FROM position").one();
    return {
      started: row.started === 1,
      lastSeq: row.last_seq,
      completeUntil: row.complete_until,
      version: row.version,
      incarnation: row.incarnation,
      foldedAt: row.folded_at,
      pending: row.pending,
    };
  }

  write({ started, lastSeq, completeUntil, version, incarnation, foldedAt }: TilePosition, pending: string): void {
    this.#sql.exec(
      `INSERT OR REPLACE INTO position (id, started, last_seq, complete_until, version, incarnation, folded_at, pending)
       VALUES (1, ?, ?, ?, ?, ?, ?, ?)`,
      ...[started ? 1 : 0, lastSeq, completeUntil, version, incarnation, foldedAt, pending],
    );
  }

  definitions(): ReadonlyMap<string, TileDefinition> {
    this.#definitions ??= new Map(
      this.#sql
        .exec<{ id: string; definition: string }>("SELECT id, definition FROM definitions ORDER BY id")
        .toArray()
        .map(({ id, definition }) => [id, JSON.parse(definition) as TileDefinition]),
    );
    return this.#definitions;
  }

  addDefinition(definition: TileDefinition): void {
    this.#sql.exec("INSERT INTO definitions VALUES (?, 0, ?)", definition.id, JSON.stringify(definition));
    this.forget();
  }

  removeDefinition(id: string): void {
    this.#sql.exec("DELETE FROM definitions WHERE id = ?", id);
    this.forget();
  }

  /** Whether the past of a tile was filled in here. */
  isFilled(id: string): boolean {
    const [row] = this.#sql.exec<{ filled: number }>("SELECT filled FROM definitions WHERE id = ?", id).toArray();
    return row?.filled === 1;
  }

  setFilled(id: string | null, filled: boolean): void {
    if (id === null) this.#sql.exec("UPDATE definitions SET filled = ?", filled ? 1 : 0);
    else this.#sql.exec("UPDATE definitions SET filled = ? WHERE id = ?", filled ? 1 : 0, id);
  }
}
