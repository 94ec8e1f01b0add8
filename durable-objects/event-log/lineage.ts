/**
 * What a shard's log knows of splits: the numbers of shards, the shard that it came out of, and until when that one's
 * window still holds ids of its events. Synchronous; inheritance.ts talks to the parent.
 */
import type { ShardHistory } from "../../r2-layout/shards.ts";
import { childrenOf, epochOf, newerOf, parentOf } from "../../r2-layout/shards.ts";

/** `inherits_until`, milliseconds: 0 while the parent has not been told. */
type LineageRow = { shards: string; inherits_until: number };

export class Lineage {
  readonly #sql: SqlStorage;
  readonly #shard: number;
  /** Caches of the row; undefined until it is read. */
  #shards: ShardHistory | null | undefined;
  #inheritsUntil = 0;

  constructor(sql: SqlStorage, shard: number) {
    this.#sql = sql;
    this.#shard = shard;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS lineage (id INTEGER PRIMARY KEY, shards TEXT NOT NULL, inherits_until INTEGER NOT NULL)",
    );
  }

  /** Null until somebody has told. */
  get shards(): ShardHistory | null {
    if (this.#shards === undefined) {
      const row = this.#sql.exec<LineageRow>("SELECT shards, inherits_until FROM lineage").toArray()[0];
      this.#shards = row ? (JSON.parse(row.shards) as ShardHistory) : null;
      this.#inheritsUntil = row?.inherits_until ?? 0;
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
    return this.parent === null || this.#inheritsUntil > 0;
  }

  /** Whether ids that the parent took before the split are still within the window. */
  inherits(nowMs: number): boolean {
    return this.parent !== null && nowMs < this.#inheritsUntil;
  }

  /** @throws Error where these are the numbers of another system. */
  isNew(shards: ShardHistory): boolean {
    return this.shards === null ? shards.length > 1 : newerOf(this.shards, shards).length > this.shards.length;
  }

  /** To be called in a transaction. From now on who commits by older numbers is told these. */
  adopt(shards: ShardHistory): void {
    if (!this.isNew(shards)) return;
    this.#sql.exec("INSERT OR REPLACE INTO lineage VALUES (0, ?, ?)", JSON.stringify(shards), this.#inheritsUntil);
    this.#shards = shards;
  }

  /** To be called in a transaction. */
  settle(inheritsUntilMs: number): void {
    if (this.settled) return;
    this.#sql.exec("UPDATE lineage SET inherits_until = ?", inheritsUntilMs);
    this.#inheritsUntil = inheritsUntilMs;
  }

  forget(): void {
    this.#shards = undefined;
  }
}
