/** The query Worker as it is deployed, in the real runtime, over a lake that a test fills: for tests and benchmarks. */
import "../../../scripts/local/runtime-flags.ts";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { ulid } from "ulidx";
import type { NewDataFile } from "../../../durable-objects/lake-catalog/api.ts";
import type { FreezeAnswer } from "../../../durable-objects/lake-catalog/cuts-api.ts";
import type { ColumnAnswer } from "../../../durable-objects/lake-catalog/schema-api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { AnyRow } from "../../../r2-layout/arrow-rows.ts";
import { buildDataFile, type DataFileFacts } from "../../../r2-layout/data-file.ts";
import type { EventRow, TableName } from "../../../r2-layout/event-columns.ts";
import { dataFileKey } from "../../../r2-layout/keys.ts";
import { ParquetWriter } from "../../../r2-layout/parquet-writer.ts";
import { type NewPromotedColumn, type PromotedColumn, tableColumns } from "../../../r2-layout/promoted-columns.ts";
import { Promotion } from "../../../r2-layout/promoted-values.ts";
import { bundleWorker } from "../../../scripts/local/bundle.ts";
import { v4Modules } from "../../../scripts/local/v4-worker.ts";
import { ROOT, readWorkerSources } from "../../../scripts/local/wrangler-config.ts";
import type { QueryEngineApi, StatementStats } from "../../../workers/query/engine/statement.ts";
import { parquetModule } from "../../r2-layout/parquet-module.ts";

export interface SqlAnswer {
  readonly status: number;
  readonly columns: { name: string; type: string }[];
  readonly rows: unknown[][];
  readonly stats: StatementStats;
  /** Of a problem document. */
  readonly reason?: string;
  readonly detail?: string;
}

export interface QueryRig {
  /** A folder with a copy of every data file, for another engine to read. */
  readonly folder: string;
  /** Adds files to the lake in one commit. @returns their paths in `folder` and the snapshot. */
  commit(files: readonly LakeFile[]): Promise<{ paths: string[]; snapshot: number }>;
  /** Adds events to the rollups in one batch: the n-th batch stands for the n-th commit. */
  roll(events: readonly EventRow[]): Promise<void>;
  addColumn(column: NewPromotedColumn): Promise<ColumnAnswer>;
  /** Freezes a day, whatever has come of it. */
  cut(day: string): Promise<FreezeAnswer>;
  post(body: unknown, init?: RequestInit): Promise<Response>;
  /** Any other address of the query Worker. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  url(path: string): URL;
  sql(sql: string, more?: Record<string, unknown>): Promise<SqlAnswer>;
  /** Removes an object from the bucket behind the catalog's back. */
  lose(key: string): Promise<void>;
  /** Puts an object there. */
  put(key: string, text: string): Promise<void>;
  engine(number: number): QueryEngineApi;
  readonly bundleMs: number;
  stop(): Promise<void>;
}

export interface LakeFile {
  readonly bytes: Uint8Array;
  readonly facts: DataFileFacts;
}

const writer = new ParquetWriter(parquetModule);

/** A file as the sink writes it. */
export function lakeFile(
  table: TableName,
  rows: readonly AnyRow[],
  promoted: readonly PromotedColumn[] = [],
): Promise<LakeFile> {
  const promotion = new Promotion(promoted);
  return buildDataFile(writer, table, rows, (row) => promotion.whole(row), tableColumns(table, promoted));
}

/** @param settings `cache`: answers are kept as in a deployment; by default each is made anew. `rollups`: they are asked, too. */
export async function startRig(
  settings: { timeoutMs?: number; cache?: boolean; slowEngine?: boolean; unpruned?: boolean; rollups?: boolean } = {},
): Promise<QueryRig> {
  const began = performance.now();
  const [query, objects] = await Promise.all([
    bundleWorker({
      entry: settings.unpruned
        ? `export * from "../../test/workers/query/unpruned.ts"; export { default } from "../../test/workers/query/unpruned.ts";`
        : settings.slowEngine
          ? `export { default, TrinoQuery } from "./index.ts"; export { QueryEngine } from "../../test/workers/query/slow-engine.ts";`
          : `export * from "./index.ts"; export { default } from "./index.ts";`,
      folder: join(ROOT, "workers/query"),
      name: "query",
    }),
    bundleWorker({
      entry: `export * from "./rig-objects.ts"; export { default } from "./rig-objects.ts";`,
      folder: join(ROOT, "test/workers/query"),
      name: "objects",
    }),
  ]);
  const bundleMs = performance.now() - began;
  const config = readWorkerSources().find((source) => source.config.name === "eventpile-query")!.config;
  const common = {
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: [...(config.compatibility_flags ?? [])],
  };
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      workers: [
        {
          name: "query",
          ...v4Modules(query),
          ...common,
          bindings: {
            ...(settings.timeoutMs !== undefined && { SQL_TIMEOUT_MS: String(settings.timeoutMs) }),
            ...(!settings.cache && { SQL_CACHE: "off" }),
          },
          r2Buckets: { BUCKET: "eventpile" },
          durableObjects: {
            LAKE_CATALOG: { className: "LakeCatalog", scriptName: "objects" },
            ...(settings.rollups && { MINUTE_ROLLUP: { className: "MinuteRollup", scriptName: "objects" } }),
            QUERY_BUDGET: { className: "QueryBudget", scriptName: "objects" },
            QUERY_ENGINE: { className: "QueryEngine", useSQLite: true },
            TRINO_QUERY: { className: "TrinoQuery", useSQLite: true },
          },
        },
        {
          name: "objects",
          ...v4Modules(objects),
          ...common,
          durableObjects: {
            LAKE_CATALOG: { className: "LakeCatalog", useSQLite: true },
            MINUTE_ROLLUP: { className: "MinuteRollup", useSQLite: true },
            LIVE_HUB: { className: "LiveHub", useSQLite: true },
            QUERY_BUDGET: { className: "QueryBudget", useSQLite: true },
          },
        },
      ],
    }),
  );
  const url = await miniflare.ready;
  const bucket = await miniflare.getR2Bucket("BUCKET", "query");
  const catalog = await miniflare.getWorker("objects");
  const engines = (await miniflare.getDurableObjectNamespace(
    "QUERY_ENGINE",
    "query",
  )) as unknown as ObjectNamespace<QueryEngineApi>;
  const folder = mkdtempSync(join(tmpdir(), "query-lake-"));
  const post = (body: unknown, init: RequestInit = {}) =>
    fetch(new URL("/v1/sql", url), { method: "POST", body: JSON.stringify(body), ...init });

  return {
    folder,
    bundleMs,
    async commit(files) {
      const add: NewDataFile[] = [];
      const paths: string[] = [];
      for (const { bytes, facts } of files) {
        const key = dataFileKey({ table: facts.table, kind: "fresh", day: null, ulid: ulid() });
        await bucket.put(key, bytes);
        const path = join(folder, key.replaceAll("/", "_"));
        writeFileSync(path, bytes);
        paths.push(path);
        add.push({ ...facts, key, kind: "fresh" });
      }
      const answer = await catalog.fetch("http://objects/", { method: "POST", body: JSON.stringify(add) });
      const { kind, snapshot } = (await answer.json()) as { kind: string; snapshot: number };
      if (kind !== "committed") throw new Error(`not committed: ${kind}`);
      return { paths, snapshot };
    },
    async roll(events) {
      const answer = await catalog.fetch("http://objects/rollups", { method: "POST", body: JSON.stringify(events) });
      const { applied } = (await answer.json()) as { applied: boolean };
      if (!applied) throw new Error("the rollups did not take the batch");
    },
    async addColumn(column) {
      const answer = await catalog.fetch("http://objects/columns", { method: "POST", body: JSON.stringify(column) });
      return (await answer.json()) as ColumnAnswer;
    },
    async cut(day) {
      const answer = await catalog.fetch("http://objects/cuts", { method: "POST", body: JSON.stringify({ day }) });
      return (await answer.json()) as FreezeAnswer;
    },
    post,
    fetch: (path, init) => fetch(new URL(path, url), init),
    url: (path) => new URL(path, url),
    async sql(sql, more) {
      const response = await post({ sql, ...more });
      return { status: response.status, ...((await response.json()) as Omit<SqlAnswer, "status">) };
    },
    engine: (number) => engines.getByName(`engine-${number}`),
    lose: (key) => bucket.delete(key),
    put: async (key, text) => void (await bucket.put(key, text)),
    async stop() {
      await miniflare.dispose();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
