/** A table's files in memory, read as an engine reads them: metadata, manifest list, manifests. */
import { icebergManifests } from "icebird";
import { vi } from "vitest";

export interface ReadEntry {
  readonly status: number;
  readonly snapshot_id: bigint;
  readonly sequence_number: bigint;
  readonly file_sequence_number: bigint;
  readonly data_file: {
    readonly file_path: string;
    readonly record_count: bigint;
    readonly file_size_in_bytes: bigint;
    readonly partition: Readonly<Record<string, unknown>>;
    readonly lower_bounds?: readonly { readonly key: number; readonly value: Uint8Array }[];
    readonly upper_bounds?: readonly { readonly key: number; readonly value: Uint8Array }[];
    readonly null_value_counts?: readonly { readonly key: number; readonly value: bigint }[];
  };
}

/** Entries of one snapshot, deleted ones included, as icebird reads them from these objects (by key). */
export async function readEntries(
  objects: ReadonlyMap<string, Uint8Array>,
  metadata: object,
  snapshotId?: number,
): Promise<ReadEntry[]> {
  const at = snapshotId === undefined ? metadata : { ...metadata, "current-snapshot-id": snapshotId };
  vi.stubGlobal("fetch", async (url: string) => {
    const bytes = objects.get(new URL(url).pathname.slice(1));
    if (!bytes) throw new Error(`${url} is not there`);
    return new Response(bytes.slice());
  });
  try {
    const manifests = await icebergManifests(at as never);
    return manifests.flatMap(({ entries }) => entries as unknown as ReadEntry[]);
  } finally {
    vi.unstubAllGlobals();
  }
}
