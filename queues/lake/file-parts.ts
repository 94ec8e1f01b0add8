/**
 * A data file as parts that can be read one by one, each a whole Parquet file: a small file is one part, a large one has a
 * part for each row group. So who goes over the rows of a file holds one row group at a time, however large the file is.
 */
import { parquetMetadata } from "hyparquet";
import { KiB, LAKE } from "../../r2-layout/limits.ts";
import {
  columnChunks,
  footerSize,
  readFooterTail,
  rowGroupFile,
  rowGroupParts,
} from "../../r2-layout/parquet-footer.ts";
import { GroupPicks } from "../../r2-layout/parquet-picks.ts";
import { rowGroupBounds } from "../../r2-layout/statistics.ts";
import { PAGE_COMPRESSORS } from "../../r2-layout/zstd-page.ts";

export interface PartStore {
  get(
    key: string,
    options?: { range: { offset: number; length: number } },
  ): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
}

export interface FilePart {
  /** Of the part, for caches. */
  readonly name: string;
  /** Bounds of log_seq, null where they are not told before the part is read. */
  readonly minSeq: number | null;
  readonly maxSeq: number | null;
  read(): Promise<Uint8Array>;
  /** Its Bloom filters with their headers, by column; a small file is told to have none. */
  filters(): Promise<Map<string, Uint8Array>>;
  /** Whether a row may have one of these properties; a small file is told that it may. */
  mayHaveProperty(names: readonly string[]): Promise<boolean>;
}

const TAIL_BYTES = 64 * KiB;

/** @throws where the catalog names an object that is not there, or that is shorter than it should be. */
export async function fileParts(
  store: PartStore,
  { key, bytes }: { readonly key: string; readonly bytes: number },
): Promise<FilePart[]> {
  if (bytes <= LAKE.wholeFileBytes) {
    const read = () => readObject(store, key);
    return [
      {
        name: key,
        minSeq: null,
        maxSeq: null,
        read,
        filters: async () => new Map(),
        mayHaveProperty: async () => true,
      },
    ];
  }
  let tail = await readRange(store, key, Math.max(0, bytes - TAIL_BYTES), bytes);
  if (footerSize(tail) > tail.length) tail = await readRange(store, key, bytes - footerSize(tail), bytes);
  const footer = readFooterTail(tail);
  const seqs = rowGroupBounds(footer, "log_seq");
  const groups = rowGroupParts(footer);
  let metadata: ReturnType<typeof parquetMetadata> | null = null;
  const filters = columnChunks(footer).flatMap(({ path, bloomFilter, start }) =>
    bloomFilter ? [{ name: path[0]!, start, ...{ at: bloomFilter.start, bytes: bloomFilter.bytes } }] : [],
  );
  return groups.map((group, i) => ({
    name: `${key}#${i}`,
    minSeq: seqs[i]?.min ?? null,
    maxSeq: seqs[i]?.max ?? null,
    read: async () => rowGroupFile(group, await readRange(store, key, group.start, group.end)),
    async filters() {
      const own = filters.filter(({ start }) => start >= group.start && start < group.end);
      const read = own.map(
        async ({ name, at, bytes: size }) => [name, await readRange(store, key, at, at + size)] as const,
      );
      return new Map(await Promise.all(read));
    },
    async mayHaveProperty(names) {
      metadata ??= parquetMetadata(tail.slice().buffer);
      const read = async (start: number, end: number) => (await readRange(store, key, start, end)).slice().buffer;
      const picks = new GroupPicks(metadata, i, { compressors: PAGE_COMPRESSORS, parsers: {}, read });
      return picks.mayHaveKey("properties", names);
    },
  }));
}

/** @throws where the catalog names an object that is not there. */
export async function readObject(store: PartStore, key: string): Promise<Uint8Array> {
  const object = await store.get(key);
  if (!object) throw new Error(`data file ${key} is missing`);
  return new Uint8Array(await object.arrayBuffer());
}

async function readRange(store: PartStore, key: string, start: number, end: number): Promise<Uint8Array> {
  const object = await store.get(key, { range: { offset: start, length: end - start } });
  if (!object) throw new Error(`data file ${key} is missing`);
  const bytes = new Uint8Array(await object.arrayBuffer());
  if (bytes.length !== end - start) throw new RangeError(`data file ${key} is shorter than its bytes in the catalog`);
  return bytes;
}
