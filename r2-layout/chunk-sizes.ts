/** What a Parquet file's parts take, as its footer says: from it follows what a read of some columns costs, before it. */
import { columnChunks, footerSize, rowGroupRows } from "./parquet-footer.ts";
import type { ThriftStruct } from "./thrift-compact.ts";

export interface ChunkSizes {
  /** Bytes of the footer at the end of the file, its length and magic included. */
  readonly footer: number;
  readonly rowGroups: number;
  /** Compressed bytes of each top-level column over all row groups, in the file's order. */
  readonly columns: Readonly<Record<string, number>>;
}

/** @param tail the last bytes of the file, eight at least; `footer` is what its footer says. */
export function chunkSizes(footer: ThriftStruct, tail: Uint8Array): ChunkSizes {
  const columns: Record<string, number> = {};
  for (const { path, compressedBytes } of columnChunks(footer)) {
    const name = path[0]!;
    columns[name] = (columns[name] ?? 0) + compressedBytes;
  }
  return { footer: footerSize(tail), rowGroups: rowGroupRows(footer).length, columns };
}
