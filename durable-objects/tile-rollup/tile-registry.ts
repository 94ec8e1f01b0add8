/**
 * The list of custom rollups, one object named `tiles`. Its version rises with every definition that comes or goes; shards' objects take
 * batches by one list at a time, so a definition begins for all of a shard at once.
 */
import { DurableObject } from "cloudflare:workers";
import { createHash } from "node:crypto";
import { TILES } from "../../r2-layout/limits.ts";
import { NO_TILES } from "../minute-rollup/rollup-store.ts";
import type { DefineAnswer, TileList, TileRecord, TileRegistryApi } from "./api.ts";
import type { TileDefinition } from "./definition.ts";

type Row = { definition: string; filled: number; job: string | null; created_at: number };

const recordOf = ({ definition, filled, job, created_at }: Row): TileRecord => ({
  definition: JSON.parse(definition) as TileDefinition,
  filled: filled > 0,
  shards: filled,
  job,
  createdAt: created_at,
});

export class TileRegistry extends DurableObject implements TileRegistryApi {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#sql = ctx.storage.sql;
    ctx.storage.transactionSync(() => {
      this.#sql.exec(`CREATE TABLE IF NOT EXISTS definitions (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        definition TEXT NOT NULL, filled INTEGER NOT NULL, job TEXT, created_at INTEGER NOT NULL)`);
      this.#sql.exec("CREATE TABLE IF NOT EXISTS list (id INTEGER PRIMARY KEY, version INTEGER NOT NULL)");
      this.#sql.exec("INSERT OR IGNORE INTO list VALUES (1, 0)");
    });
  }

  async define(definition: TileDefinition): Promise<DefineAnswer> {
    return this.ctx.storage.transactionSync((): DefineAnswer => {
      const known = this.#record(definition.id);
      if (known) return { kind: "known", record: known, version: this.#version() };
      const { n } = this.#sql.exec<{ n: number }>("SELECT count(*) AS n FROM definitions").one();
      if (n >= TILES.definitions) return { kind: "full", limit: TILES.definitions };
      this.#sql.exec(
        "INSERT INTO definitions (id, definition, filled, job, created_at) VALUES (?, ?, 0, NULL, ?)",
        ...[definition.id, JSON.stringify(definition), Date.now()],
      );
      return { kind: "added", record: this.#record(definition.id)!, version: this.#raise() };
    });
  }

  async remove(id: string): Promise<number | null> {
    return this.ctx.storage.transactionSync(() => {
      if (!this.#record(id)) return null;
      this.#sql.exec("DELETE FROM definitions WHERE id = ?", id);
      return this.#raise();
    });
  }

  async list(): Promise<TileList> {
    const records = this.#sql.exec<Row>("SELECT * FROM definitions ORDER BY n").toArray().map(recordOf);
    const version = this.#version();
    const definitions = records.map(({ definition }) => definition);
    const hash = createHash("sha256").update(JSON.stringify(definitions)).digest("hex");
    const tag = records.length === 0 ? `${version}${NO_TILES}` : `${version}-${hash.slice(0, 16)}`;
    return { version, tag, records };
  }

  async record(id: string): Promise<TileRecord | null> {
    return this.#record(id);
  }

  async definition(id: string): Promise<TileDefinition | null> {
    return this.#record(id)?.definition ?? null;
  }

  async assign(ids: readonly string[], job: string): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      for (const id of ids) this.#sql.exec("UPDATE definitions SET job = ? WHERE id = ?", job, id);
    });
  }

  async filled(ids: readonly string[], job: string, shards: number): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      for (const id of ids) {
        this.#sql.exec("UPDATE definitions SET filled = max(filled, ?) WHERE id = ? AND job = ?", shards, id, job);
      }
    });
  }

  async lost(): Promise<void> {
    this.#sql.exec("UPDATE definitions SET filled = 0, job = NULL");
  }

  #record(id: string): TileRecord | null {
    const [row] = this.#sql.exec<Row>("SELECT * FROM definitions WHERE id = ?", id).toArray();
    return row ? recordOf(row) : null;
  }

  #version(): number {
    return this.#sql.exec<{ version: number }>("SELECT version FROM list").one().version;
  }

  #raise(): number {
    this.#sql.exec("UPDATE list SET version = version + 1");
    return this.#version();
  }
}
