/**
 * The lake's sink: a step of the log becomes a few Parquet files and one commit. Data first, then the commit that names
 * it, so a reader never meets a file that is not whole:
 *
 *     crash before or between the puts   nothing names the objects; the step is taken again, the sweep deletes them
 *     crash before the append            the same
 *     append done, answer lost           the cursor has moved: the next drain starts behind it, no row comes twice
 *     two drains of one shard            the catalog takes one append, the other is told "behind"
 *     a rule raised after the step's read  told "rules": the objects are orphans, the step is read through the rule
 */
import { ulid } from "ulidx";
import type { LakeCatalogApi, NewDataFile } from "../../durable-objects/lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { BuiltDataFile } from "../../r2-layout/data-file.ts";
import { buildDataFile } from "../../r2-layout/data-file.ts";
import { dataFileKey } from "../../r2-layout/keys.ts";
import { SINK } from "../../r2-layout/limits.ts";
import { ParquetWriter } from "../../r2-layout/parquet-writer.ts";
import type { Sink, SinkStep } from "../sink.ts";
import { inBuildTurn } from "./build-turn.ts";
import { type FlushPart, flushParts } from "./flush-parts.ts";

/** The slice of R2 that storing a file needs. */
export interface DataFileStore {
  put(key: string, body: Uint8Array, options: { httpMetadata: { contentType: string } }): Promise<unknown>;
}

export interface LakeSinkDeps {
  readonly bucket: DataFileStore;
  readonly catalog: ObjectNamespace<Pick<LakeCatalogApi, "lease" | "release" | "append" | "failed" | "decide">>;
  /** parquet-wasm's module: `import parquet from "parquet-wasm/esm/parquet_wasm_bg.wasm"`. */
  readonly parquet: WebAssembly.Module;
  /** Milliseconds. */
  readonly now?: () => number;
}

export const PARQUET_METADATA = { httpMetadata: { contentType: "application/vnd.apache.parquet" } } as const;

export function createLakeSink(deps: LakeSinkDeps): Sink {
  const now = deps.now ?? Date.now;
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  return {
    name: "lake",
    lease: (shard, owner) => catalog.lease(shard, owner, SINK.leaseMs),
    async apply(step) {
      const add = await storedParts(deps, step, now());
      const { shard, token, from, to, applied, rules = 0 } = step;
      const answer = await catalog.append({ shard, token, from, to, applied, add, rules });
      switch (answer.kind) {
        case "committed":
          return { moved: true, cursor: to };
        case "behind":
          return { moved: false, cursor: answer.cursor };
        case "conflict":
          throw new Error("an append removes no file and cannot conflict");
        case "rules":
          throw new Error(`rules: shard ${shard} was read through rule ${rules}, the newest is ${answer.version}`);
      }
    },
    async trial({ events, quarantine }) {
      await builtParts(deps.parquet, { events, quarantine }, now());
    },
    holes: () => catalog,
    release: (shard, token) => catalog.release(shard, token),
  };
}

/**
 * The rows of a step as files, built one after the other and stored. Nothing names them yet.
 * @returns what a commit or a job is to be told of them.
 */
export async function storedParts(
  { bucket, parquet }: Pick<LakeSinkDeps, "bucket" | "parquet">,
  { events, quarantine }: Pick<SinkStep, "events" | "quarantine">,
  nowMs: number,
): Promise<NewDataFile[]> {
  const built = await builtParts(parquet, { events, quarantine }, nowMs);
  // Packed they are small: the puts need not wait for each other.
  return Promise.all(
    built.map(({ part: { table, day }, file }) => storedFile(bucket, { table, day, kind: "fresh" }, file, nowMs)),
  );
}

async function builtParts(
  parquet: WebAssembly.Module,
  { events, quarantine }: Pick<SinkStep, "events" | "quarantine">,
  nowMs: number,
): Promise<{ part: FlushPart; file: BuiltDataFile }[]> {
  const built: { part: FlushPart; file: BuiltDataFile }[] = [];
  for (const part of [...flushParts("events", events, nowMs), ...flushParts("quarantine", quarantine, nowMs)]) {
    const file = await inBuildTurn(() => buildDataFile(new ParquetWriter(parquet), part.table, part.rows));
    built.push({ part, file });
  }
  return built;
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
