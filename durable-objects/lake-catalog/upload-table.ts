/**
 * Multipart uploads that are under way: a Worker that is killed cannot abort its own, and R2 lists none to a Worker. The
 * sweep aborts what is older than any compaction lives.
 */
import type { OpenUpload } from "./api.ts";

export class UploadTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS upload (key TEXT PRIMARY KEY, id TEXT NOT NULL, began_at INTEGER NOT NULL) WITHOUT ROWID",
    );
  }

  began(key: string, uploadId: string, nowMs: number): void {
    this.#sql.exec("INSERT OR REPLACE INTO upload VALUES (?, ?, ?)", key, uploadId, nowMs);
  }

  ended(key: string): void {
    this.#sql.exec("DELETE FROM upload WHERE key = ?", key);
  }

  /** Begun before this time. */
  before(ms: number, limit: number): OpenUpload[] {
    return this.#sql
      .exec<{ key: string; id: string }>(
        "SELECT key, id FROM upload WHERE began_at < ? ORDER BY began_at LIMIT ?",
        ms,
        limit,
      )
      .toArray()
      .map(({ key, id }) => ({ key, uploadId: id }));
  }
}
