/**
 * The lake's sink: a step of the log becomes a few Parquet files and one commit. Data first, then the commit that names
 * it, so a reader never meets a file that is not whole:
 *
 *     crash before or between the puts   nothing names the objects; the step is taken again, the sweep deletes them
 *     crash before the append            the same
 *     append done, answer lost           the cursor has moved: the next drain starts behind it, no row comes twice
 *     two drains of one shard            the catalog takes one append, the other is told "behind"
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
import type { Sink } from "../sink.ts";
import { inBuildTurn } from "./build-turn.ts";
import { type FlushPart, flushParts } from "./flush-parts.ts";

/** The slice of R2 that storing a file needs. */
export interface DataFileStore {
  put(key: string, body: Uint8Array, options: { httpMetadata: { contentType: string } }): Promise<unknown>;
}

export interface LakeSinkDeps {
  readonly bucket: DataFileStore;
  readonly catalog: ObjectNamespace<Pick<LakeCatalogApi, "lease" | "release" | "append">>;
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
      const parts = [...flushParts("events", step.events, now()), ...flushParts("quarantine", step.quarantine, now())];
      const built: BuiltDataFile[] = [];
      for (const { table, rows } of parts) {
        built.push(await inBuildTurn(() => buildDataFile(new ParquetWriter(deps.parquet), table, rows)));
      }
      // Packed they are small: the puts need not wait for each other.
      const add = await Promise.all(parts.map((part, i) => stored(deps.bucket, part, built[i]!, now())));
      const { shard, token, from, to, applied } = step;
      const answer = await catalog.append({ shard, token, from, to, applied, add });
      switch (answer.kind) {
        case "committed":
          return { moved: true, cursor: to };
        case "behind":
          return { moved: false, cursor: answer.cursor };
        case "conflict":
          throw new Error("an append removes no file and cannot conflict");
      }
    },
    release: (shard, token) => catalog.release(shard, token),
  };
}

async function stored(
  bucket: DataFileStore,
  part: FlushPart,
  { bytes, facts }: BuiltDataFile,
  nowMs: number,
): Promise<NewDataFile> {
  const key = dataFileKey({ table: part.table, kind: "fresh", day: part.day, ulid: ulid(nowMs) });
  await bucket.put(key, bytes, PARQUET_METADATA);
  return { ...facts, key, kind: "fresh" };
}
