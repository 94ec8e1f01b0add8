/**
 * One user's rows of a data file, reading what it must: the footer, the Bloom filters of its row groups, the user's column
 * of those that may hold the user, and then one read of the row group that does. In JavaScript alone (hyparquet, the
 * runtime's own zstd), so that a Worker without the Parquet encoder can serve it.
 *
 * Memory: one row group packed (12 MiB at most, as they are written), one column of it decoded at a time.
 */
import { zstdDecompressSync } from "node:zlib";
import { type AsyncBuffer, parquetMetadataAsync, parquetScan } from "hyparquet";
import type { EventRow } from "./event-columns.ts";
import { KiB, LAKE } from "./limits.ts";
import { MICROS_PER_MS } from "./time.ts";

export interface LookupFile {
  readonly bytes: number;
  /** Bytes `start` up to `end`. */
  readonly read: (start: number, end: number) => Promise<ArrayBuffer>;
}

/** What says where a row stands in a timeline, and whose it is. */
export type RowPlace = Pick<EventRow, "event_time" | "event_id" | "source" | "log_shard" | "log_seq">;

export interface Lookup {
  readonly userId: string;
  readonly isWanted: (place: RowPlace) => boolean;
  /** Which of two rows comes first. */
  readonly compare: (a: RowPlace, b: RowPlace) => number;
  /** The first so many are told. */
  readonly limit: number;
}

const PLACE_COLUMNS = ["event_time", "event_id", "source", "log_shard", "log_seq"] as const;
const COMPRESSORS = { ZSTD: (packed: Uint8Array) => new Uint8Array(zstdDecompressSync(packed)) };
const PARSERS = {
  timestampFromMicroseconds: (micros: bigint) => Number(micros),
  timestampFromMilliseconds: (millis: bigint) => Number(millis) * MICROS_PER_MS,
};
const FOOTER_BYTES = 32 * KiB;
/** Files up to this size are read at once. */
const SMALL_BYTES = 128 * KiB;

/** @throws where the file cannot be read or is damaged. */
export async function userRows(file: LookupFile, lookup: Lookup): Promise<EventRow[]> {
  const source = new HeldFile(file);
  if (file.bytes <= SMALL_BYTES) await source.hold(0, file.bytes);
  const metadata = await parquetMetadataAsync(source, { initialFetchSize: Math.min(FOOTER_BYTES, file.bytes) });
  const scan = await parquetScan({
    file: source,
    metadata,
    pruningFilter: { user_id: { $eq: lookup.userId } },
    useBloomFilters: true,
    useOffsetIndex: false,
    compressors: COMPRESSORS,
    parsers: PARSERS,
  });
  const columns = metadata.schema.flatMap(({ name }, i) => (i > 0 && isColumn(metadata, name) ? [name] : []));
  const spans = rowGroupSpans(metadata);
  let found: EventRow[] = [];
  for (const { rowStart, rowEnd } of scan.ranges) {
    const users = await scan.readColumn({ column: "user_id", rowStart, rowEnd });
    const at = rangeOf(users, lookup.userId);
    if (!at) continue;
    const span = spans.find((span) => rowStart < span.rowEnd && rowEnd > span.rowStart)!;
    await source.hold(span.start, span.end);
    const range = { rowStart: rowStart + at.from, rowEnd: rowStart + at.to };
    const read = async (column: string) => Array.from(await scan.readColumn({ column, ...range }), plain);
    const places = await placesOf(read);
    const chosen: number[] = [];
    for (let i = 0; i < places.length; i++) {
      if (users[at.from + i] === lookup.userId && lookup.isWanted(places[i]!)) chosen.push(i);
    }
    chosen.sort((a, b) => lookup.compare(places[a]!, places[b]!));
    const rows: Record<string, unknown>[] = chosen.slice(0, lookup.limit).map(() => ({}));
    for (const column of columns) {
      const values = await read(column);
      for (const [i, row] of rows.entries()) {
        const value = values[chosen[i]!];
        if (value !== null && value !== undefined) row[column] = value;
      }
    }
    found = [...found, ...(rows as unknown as EventRow[])].sort(lookup.compare).slice(0, lookup.limit);
    source.drop();
  }
  return found;
}

type Metadata = Awaited<ReturnType<typeof parquetMetadataAsync>>;

/** Whether a name is that of a column of its own, not of something within one. */
const isColumn = ({ row_groups }: Metadata, name: string): boolean =>
  row_groups[0]?.columns.some(({ meta_data }) => meta_data?.path_in_schema[0] === name) ?? false;

function rowGroupSpans({ row_groups }: Metadata) {
  let row = 0;
  return row_groups.map(({ columns, num_rows }) => {
    const chunks = columns.map(({ meta_data }) => {
      const { dictionary_page_offset, data_page_offset, total_compressed_size } = meta_data!;
      const start = Number(dictionary_page_offset || data_page_offset);
      return { start, end: start + Number(total_compressed_size) };
    });
    const rowStart = row;
    row += Number(num_rows);
    const start = Math.min(...chunks.map((chunk) => chunk.start));
    const end = Math.max(...chunks.map((chunk) => chunk.end));
    return { rowStart, rowEnd: row, start, end };
  });
}

/** From the first to the last row of a user, null where there is none: rows are sorted by name first. */
function rangeOf(users: ArrayLike<unknown>, userId: string): { from: number; to: number } | null {
  let from = -1;
  let to = 0;
  for (let i = 0; i < users.length; i++) {
    if (users[i] !== userId) continue;
    if (from < 0) from = i;
    to = i + 1;
  }
  return from < 0 ? null : { from, to };
}

async function placesOf(read: (column: string) => Promise<unknown[]>): Promise<RowPlace[]> {
  const columns: Record<string, unknown[]> = {};
  for (const name of PLACE_COLUMNS) columns[name] = await read(name);
  return columns.event_time!.map(
    (_, i) => Object.fromEntries(PLACE_COLUMNS.map((name) => [name, columns[name]![i]])) as unknown as RowPlace,
  );
}

const plain = (value: unknown): unknown => (typeof value === "bigint" ? Number(value) : value);

/** A file of which a part may be at hand. */
class HeldFile implements AsyncBuffer {
  readonly #file: LookupFile;
  #held: { readonly start: number; readonly bytes: ArrayBuffer } | null = null;

  constructor(file: LookupFile) {
    this.#file = file;
  }

  get byteLength(): number {
    return this.#file.bytes;
  }

  /** Parts are kept only up to what a row group of ours may take; more is read chunk by chunk. */
  async hold(start: number, end: number): Promise<void> {
    if (this.#has(start, end) || end - start > 2 * LAKE.rowGroupPackedBytes) return;
    this.#held = { start, bytes: await this.#file.read(start, end) };
  }

  drop(): void {
    if (this.#held && this.#held.bytes.byteLength > SMALL_BYTES) this.#held = null;
  }

  async slice(start: number, end: number = this.byteLength): Promise<ArrayBuffer> {
    const held = this.#held;
    if (held && this.#has(start, end)) return held.bytes.slice(start - held.start, end - held.start);
    return this.#file.read(start, end);
  }

  #has(start: number, end: number): boolean {
    const held = this.#held;
    return held !== null && start >= held.start && end <= held.start + held.bytes.byteLength;
  }
}
