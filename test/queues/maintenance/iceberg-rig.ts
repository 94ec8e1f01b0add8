/** A lake whose files nobody wrote, published as Iceberg tables, and those read as an engine would: from the metadata on. */
import { env } from "cloudflare:workers";
import { ulid } from "ulidx";
import type { NewDataFile } from "../../../durable-objects/lake-catalog/api.ts";
import type { LakeCatalog } from "../../../durable-objects/lake-catalog/lake-catalog.ts";
import type { PublishDeps } from "../../../queues/maintenance/publish-iceberg.ts";
import type { TableName } from "../../../r2-layout/event-columns.ts";
import { decodeContainer } from "../../../r2-layout/iceberg/avro-decode.ts";
import type { ManifestEntry } from "../../../r2-layout/iceberg/manifest.ts";

const { BUCKET, LAKE_CATALOG } = env as unknown as {
  BUCKET: R2Bucket;
  LAKE_CATALOG: DurableObjectNamespace<LakeCatalog>;
};
export const bucket = BUCKET;
export const lake = () => LAKE_CATALOG.getByName("lake");
export const URI = "s3://eventpile";

export const publishDeps = (): PublishDeps => ({ bucket, catalog: lake(), bucketUri: URI });

/** Appends files as a sink does, in one commit. */
export async function append(files: readonly NewDataFile[]): Promise<number> {
  const { token, cursor } = (await lake().lease(0, ulid(), 60_000))!;
  const events = files.reduce((sum, { table, rows }) => sum + (table === "events" ? rows : 0), 0);
  const answer = await lake().append({
    shard: 0,
    token,
    from: cursor,
    to: cursor + 1,
    applied: { events, quarantined: 0 },
    add: files,
  });
  if (answer.kind !== "committed") throw new Error(answer.kind);
  await lake().release(0, token);
  return answer.snapshot;
}

interface SnapshotJson {
  readonly "snapshot-id": number;
  readonly "parent-snapshot-id"?: number;
  readonly "sequence-number": number;
  readonly "timestamp-ms": number;
  readonly "manifest-list": string;
  readonly "schema-id": number;
  readonly summary: Readonly<Record<string, string>>;
}

export interface Metadata {
  readonly "table-uuid": string;
  readonly "current-snapshot-id"?: number;
  readonly "current-schema-id": number;
  readonly "last-sequence-number": number;
  readonly snapshots: readonly SnapshotJson[];
  readonly refs: Readonly<Record<string, { readonly "snapshot-id": number; readonly type: string }>>;
  readonly schemas: readonly { readonly fields: readonly { readonly id: number; readonly name: string }[] }[];
  readonly "metadata-log": readonly { readonly "metadata-file": string }[];
}

export async function readMetadata(table: TableName): Promise<Metadata | null> {
  const published = (await lake().icebergTables()).find((of) => of.table === table);
  return published ? JSON.parse(new TextDecoder().decode(await bytesOf(published.metadataKey))) : null;
}

export interface Entry extends ManifestEntry {
  /** Inherited where the manifest leaves it open. */
  readonly sequence: number;
}

export interface ReadManifest {
  readonly key: string;
  readonly added_snapshot_id: number;
  readonly sequence_number: number;
  readonly min_sequence_number: number;
  readonly added_files_count: number;
  readonly existing_files_count: number;
  readonly deleted_files_count: number;
  readonly entries: readonly Entry[];
}

/** All manifests of a snapshot, with every entry. Throws where an object is missing. */
export async function readManifests(snapshot: SnapshotJson): Promise<ReadManifest[]> {
  const list = decodeContainer(await bytesOf(keyOf(snapshot["manifest-list"]))).values;
  const manifests: ReadManifest[] = [];
  for (const listed of list as (Omit<ReadManifest, "key" | "entries"> & { manifest_path: string })[]) {
    const key = keyOf(listed.manifest_path);
    const entries = decodeContainer(await bytesOf(key)).values as ManifestEntry[];
    manifests.push({
      ...listed,
      key,
      entries: entries.map((entry) => ({ ...entry, sequence: entry.sequence_number ?? listed.sequence_number })),
    });
  }
  return manifests;
}

export const keyOf = (path: string): string => path.slice(URI.length + 1);

/** Keys of the data files that a snapshot has, sorted. */
export const liveKeys = (manifests: readonly ReadManifest[]): string[] =>
  manifests
    .flatMap(({ entries }) => entries)
    .filter(({ status }) => status !== 2)
    .map(({ data_file }) => keyOf(data_file.file_path))
    .sort();

async function bytesOf(key: string): Promise<Uint8Array> {
  const object = await bucket.get(key);
  if (!object) throw new Error(`${key} is missing`);
  return new Uint8Array(await object.arrayBuffer());
}

/** Files of the lake at a snapshot, by the catalog's own plan. */
export const plannedKeys = async (table: TableName, asOf: number): Promise<string[]> =>
  (await lake().plan({ table, asOf })).files.map(({ key }) => key).sort();
