/**
 * Objects of segments that were written anew, until somebody has deleted them: noted in the transaction that gives the row
 * its new key, so that a crash before the deletion leaves no object that nobody knows.
 */
import { LOG_ERASURE } from "../../r2-layout/limits.ts";

export class ReplacedSegments {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec("CREATE TABLE IF NOT EXISTS replaced_segments (key TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID");
  }

  add(key: string, seq: number): void {
    this.#sql.exec("INSERT OR IGNORE INTO replaced_segments VALUES (?, ?)", key, seq);
  }

  /** Some of them. */
  keys(): string[] {
    const rows = this.#sql.exec<{ key: string }>("SELECT key FROM replaced_segments LIMIT ?", LOG_ERASURE.replacedTold);
    return Array.from(rows, ({ key }) => key);
  }

  deleted(keys: readonly string[]): void {
    for (const key of keys) this.#sql.exec("DELETE FROM replaced_segments WHERE key = ?", key);
  }
}
