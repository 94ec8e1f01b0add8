/**
 * The lake's sink: a step of the log becomes a few Parquet files and one commit. Data first, then the commit that names
 * it, so a reader never meets a file that is not whole:
 *
 *     crash before or between the puts   nothing names the objects; the step is taken again, the sweep deletes them
 *     crash before the append            the same
 *     append done, answer lost           the cursor has moved: the next drain starts behind it, no row comes twice
 *     two drains of one shard            the catalog takes one append, the other is told "behind"
 *     a rule raised after the step's read  told "rules": the objects are orphans, the step is read through the rule
 *     a column added after the lease     told "schema", and which columns there are: the step's files are made again
 */
import { ulid } from "ulidx";
import type { LakeCatalogApi, NewDataFile } from "../../durable-objects/lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { AnyRow } from "../../r2-layout/arrow-rows.ts";
import type { BuiltDataFile } from "../../r2-layout/data-file.ts";
import { buildDataFile } from "../../r2-layout/data-file.ts";
import { dataFileKey } from "../../r2-layout/keys.ts";
import { SINK } from "../../r2-layout/limits.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";
import { BASE_SCHEMA, type PromotedColumn, tableColumns } from "../../r2-layout/promoted-columns.ts";
import { type ColumnConflicts, Promotion } from "../../r2-layout/promoted-values.ts";
import type { Sink, SinkStep } from "../sink.ts";
import { inBuildTurn } from "./build-turn.ts";
import { type FlushPart, flushParts } from "./flush-parts.ts";

/** The slice of R2 that storing a file needs. */
export interface DataFileStore {
  put(key: string, body: Uint8Array, options: { httpMetadata: { contentType: string } }): Promise<unknown>;
}

export interface LakeSinkDeps {
  readonly bucket: DataFileStore;
  readonly catalog: ObjectNamespace<
    Pick<LakeCatalogApi, "lease" | "release" | "append" | "failed" | "decide" | "close">
  >;
  /** parquet-wasm's module: `import parquet from "parquet-wasm/esm/parquet_wasm_bg.wasm"`. */
  readonly parquet: WebAssembly.Module;
  /** Milliseconds. */
  readonly now?: () => number;
}

export const PARQUET_METADATA = { httpMetadata: { contentType: "application/vnd.apache.parquet" } } as const;

export function createLakeSink(deps: LakeSinkDeps): Sink {
  const now = deps.now ?? Date.now;
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  // The newest that a lease, or a refusal, has told of.
  let schema = BASE_SCHEMA;
  return {
    name: "lake",
    async lease(shard, owner) {
      const lease = await catalog.lease(shard, owner, SINK.leaseMs);
      if (lease?.schema) schema = lease.schema;
      return lease;
    },
    async apply(step) {
      const { shard, token, from, to, applied, rules = 0 } = step;
      for (let attempt = 0; attempt < SCHEMA_ATTEMPTS; attempt++) {
        const { files: add, conflicts } = await storedParts(deps, step, now(), schema.promoted);
        const { version } = schema;
        const answer = await catalog.append({
          shard,
          token,
          from,
          to,
          applied,
          add,
          rules,
          schema: version,
          conflicts,
        });
        switch (answer.kind) {
          case "committed":
            return { moved: true, cursor: to };
          case "behind":
            return { moved: false, cursor: answer.cursor };
          case "conflict":
            throw new Error("an append removes no file and cannot conflict");
          case "rules":
            throw new Error(`rules: shard ${shard} was read through rule ${rules}, the newest is ${answer.version}`);
          case "schema":
            ({ schema } = answer);
        }
      }
      throw new Error(`shard ${shard}: a column was added during each of ${SCHEMA_ATTEMPTS} appends`);
    },
    async trial({ events, quarantine }) {
      await builtParts(deps.parquet, { events, quarantine }, now(), schema.promoted);
    },
    holes: () => catalog,
    release: (shard, token) => catalog.release(shard, token),
  };
}

/** Columns are added by hand, one at a time: more refusals than this in a row are a fault. */
const SCHEMA_ATTEMPTS = 5;

export interface StoredParts {
  /** What a commit or a job is to be told of them. */
  readonly files: NewDataFile[];
  /** Values that did not convert, by promoted column. */
  readonly conflicts: ColumnConflicts;
}

/** The rows of a step as files, with their promoted columns, built one after the other and stored. Nothing names them yet. */
export async function storedParts(
  { bucket, parquet }: Pick<LakeSinkDeps, "bucket" | "parquet">,
  { events, quarantine }: Pick<SinkStep, "events" | "quarantine">,
  nowMs: number,
  promoted: readonly PromotedColumn[] = [],
): Promise<StoredParts> {
  const { built, conflicts } = await builtParts(parquet, { events, quarantine }, nowMs, promoted);
  // Packed they are small: the puts need not wait for each other.
  const files = await Promise.all(
    built.map(({ part: { table, day }, file }) => storedFile(bucket, { table, day, kind: "fresh" }, file, nowMs)),
  );
  return { files, conflicts };
}

async function builtParts(
  parquet: WebAssembly.Module,
  { events, quarantine }: Pick<SinkStep, "events" | "quarantine">,
  nowMs: number,
  promoted: readonly PromotedColumn[],
): Promise<{ built: { part: FlushPart; file: BuiltDataFile }[]; conflicts: ColumnConflicts }> {
  const promotion = new Promotion(promoted);
  const whole = promoted.length > 0 ? (row: AnyRow) => promotion.whole(row) : undefined;
  const built: { part: FlushPart; file: BuiltDataFile }[] = [];
  for (const part of [...flushParts("events", events, nowMs), ...flushParts("quarantine", quarantine, nowMs)]) {
    const { table, rows } = part;
    const columns = tableColumns(table, promoted);
    const file = await inBuildTurn(() => buildDataFile(new ParquetWriter(parquet), table, rows, whole, columns));
    built.push({ part, file });
  }
  return { built, conflicts: promotion.conflicts };
}

/** Puts a file under a fresh key. */
export async function storedFile(
  bucket: DataFileStore,
  part: Omit<Parameters<typeof dataFileKey>[0], "ulid">,
  { bytes, facts }: BuiltDataFile,
  nowMs: number,
): Promise<NewDataFile> {
  const key = dataFileKey({ ...part, ulid: ulid(nowMs) });
  await bucket.put(key, bytes, PARQUET_METADATA);
  return { ...facts, key, kind: part.kind };
}
