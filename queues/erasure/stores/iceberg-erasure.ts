/**
 * What is published of the lake as Iceberg tables names files. Where one of them was exchanged, the table is published again
 * at once without it; snapshots that named it, and every earlier metadata, are let go, and what they were made of is
 * deleted: a manifest has bounds of what its files' rows say. A reader who holds on to one of those finds nothing any more.
 */

import { LAKE_CATALOG_NAME } from "../../../durable-objects/lake-catalog/api.ts";
import type { LakeErasureApi } from "../../../durable-objects/lake-catalog/erasure-api.ts";
import type { LakeIcebergApi } from "../../../durable-objects/lake-catalog/iceberg-api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { TABLES, type TableName } from "../../../r2-layout/event-columns.ts";
import { decodeContainer } from "../../../r2-layout/iceberg/avro-decode.ts";
import type { ManifestEntry } from "../../../r2-layout/iceberg/manifest.ts";
import { LAKE } from "../../../r2-layout/limits.ts";
import { type PublishDeps, publishIceberg } from "../../maintenance/publish-iceberg.ts";
import { deleteErased } from "./lake-files.ts";

export interface IcebergErasureDeps extends Omit<PublishDeps, "catalog" | "bucket"> {
  readonly bucket: PublishDeps["bucket"] & { delete(keys: string | string[]): Promise<void> };
  readonly catalog: ObjectNamespace<LakeIcebergApi & LakeErasureApi>;
}

const NAMES = Object.keys(TABLES) as TableName[];

/** @param isBegun the step that erases is under way: what was done of it is gone on with. @returns tables published anew. */
export async function eraseIceberg(
  deps: IcebergErasureDeps,
  untilMs: number,
  isBegun: boolean,
): Promise<{ readonly done: boolean; readonly tables: number }> {
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  const begin = async () => {
    let tables = 0;
    for (const table of NAMES) if (await catalog.icebergErase(table)) tables++;
    return tables;
  };
  const tables = isBegun ? NAMES.length : await begin();
  if (tables > 0) {
    const { isCutOff } = await publishIceberg({ ...deps, catalog }, untilMs, true);
    // Another publisher may have taken a step over, and files may have been exchanged since.
    if (isCutOff || (await begin()) > 0) return { done: false, tables: 0 };
  }
  await deleteErased(deps);
  return { done: true, tables };
}

/** How many entries of what is published, live or deleted, name an object that was exchanged. By what readers are led to. */
export async function countErasedEntries(deps: IcebergErasureDeps): Promise<{ snapshots: number; entries: number }> {
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  const start = deps.bucketUri.length + 1;
  const read = async (key: string) => {
    const object = await deps.bucket.get(key);
    if (!object) throw new Error(`${key} is missing`);
    return new Uint8Array(await object.arrayBuffer());
  };
  const seen = new Set<string>();
  let [snapshots, entries] = [0, 0];
  for (const { metadataKey } of await catalog.icebergTables()) {
    const metadata = JSON.parse(new TextDecoder().decode(await read(metadataKey))) as {
      snapshots: readonly { "manifest-list": string }[];
    };
    for (const { "manifest-list": list } of metadata.snapshots) {
      snapshots++;
      const listed = decodeContainer(await read(list.slice(start))).values as { manifest_path: string }[];
      for (const { manifest_path } of listed) {
        if (seen.has(manifest_path)) continue;
        seen.add(manifest_path);
        const manifest = decodeContainer(await read(manifest_path.slice(start))).values as ManifestEntry[];
        const keys = manifest.map(({ data_file }) => data_file.file_path.slice(start));
        for (let from = 0; from < keys.length; from += LAKE.sweepKeys) {
          entries += (await catalog.wasErased(keys.slice(from, from + LAKE.sweepKeys))).length;
        }
      }
    }
  }
  return { snapshots, entries };
}
