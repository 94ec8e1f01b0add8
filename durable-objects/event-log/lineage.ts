/**
 * What a shard's log knows of splits: the numbers of shards, the shard that it came out of, and until when that one's
 * window still holds ids of its events. Synchronous; inheritance.ts talks to the parent.
 */
import type { ShardHistory } from "../../r2-layout/shards.ts";
import { childrenOf, epochOf, newerOf, parentOf } from "../../r2-layout/shards.ts";

/** `parted_at`, milliseconds: since when the parent takes none of this shard's events; 0 while it has not been told. */
type LineageRow = { shards: string; parted_at: number };

export class Lineage {
  readonly #sql: SqlStorage;
  readonly #shard: number;
  readonly #windowMs: number;
  /** Caches of the row; undefined until it is read. */
  #shards: ShardHistory | null | undefined;
  #partedAt = 0;

  /** @param windowMs the dedup window. */
  constructor(sql: SqlStorage, shard: number, windowMs: number) {
    this.#sql = sql;
    this.#windowMs = windowMs;
    this.#shard = shard;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS lineage (id INTEGER PRIMARY KEY, shards TEXT NOT NULL, parted_at INTEGER NOT NULL)",
    );
  }

  /** Null until somebody has told. */
  get shards(): ShardHistory | null {
    if (this.#shards === undefined) {
      const row = this.#sql.exec<LineageRow>("SELECT shards, parted_at FROM lineage").toArray()[0];
      this.#shards = row ? (JSON.parse(row.shards) as ShardHistory) : null;
      this.#partedAt = row?.parted_at ?? 0;
    }
    return this.#shards;
  }

  get epoch(): number {
    return this.shards ? epochOf(this.shards) : 0;
  }

  get parent(): number | null {
    return this.shards && parentOf(this.#shard, this.shards);
  }

  get children(): number[] {
    return this.shards ? childrenOf(this.#shard, this.shards) : [];
  }

  /** Whether the parent, if there is one, has been told, so that it takes none of this shard's events any more. */
  get settled(): boolean {
    return this.parent === null || this.#partedAt > 0;
  }

  /** Whether ids that the parent took before the split are still within the window. */
  inherits(nowMs: number): boolean {
    return this.parent !== null && nowMs < this.#partedAt + this.#windowMs;
  }

  /** @throws Error where these are the numbers of another system. */
  isNew(shards: ShardHistory): boolean {
    return this.shards === null ? shards.length > 1 : newerOf(this.shards, shards).length > this.shards.length;
  }

  /** To be called in a transaction. From now on who commits by older numbers is told these. */
  adopt(shards: ShardHistory): void {
    if (!this.isNew(shards)) return;
    this.#sql.exec("INSERT OR REPLACE INTO lineage VALUES (0, ?, ?)", JSON.stringify(shards), this.#partedAt);
    this.#shards = shards;
  }

  /** To be called in a transaction. */
  settle(atMs: number): void {
    if (this.settled) return;
    this.#sql.exec("UPDATE lineage SET parted_at = ?", atMs);
    this.#partedAt = atMs;
  }

  forget(): void {
    this.#shards = undefined;
  }
}
