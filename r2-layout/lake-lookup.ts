/**
 * One user's rows of a data file, reading what it must: the footer, the Bloom filters of its row groups, the user's column
 * of those that may hold the user, and then one read of the row group that does. In JavaScript alone (hyparquet, the
 * runtime's own zstd), so that a Worker without the Parquet encoder can serve it.
 *
 * Memory: one row group packed (12 MiB at most, as they are written), one page of it decoded at a time. Promoted columns are
 * left out: their values stand in `properties`, and an event is to look the same whether a timeline tells it or the lake.
 */
import { type AsyncBuffer, parquetMetadataAsync, parquetScan } from "hyparquet";
import { EVENT_COLUMNS, type EventRow } from "./event-columns.ts";
import { FirstRows, type RowsInOrder } from "./first-rows.ts";
import { KiB, LAKE } from "./limits.ts";
import { GroupPicks } from "./parquet-picks.ts";
import { MICROS_PER_MS } from "./time.ts";
import { PAGE_COMPRESSORS } from "./zstd-page.ts";

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
  /** The first so many are told, and so many bytes of them, about; one in any case. */
  readonly limit: number;
  readonly bytesMax: number;
}

const PLACE_COLUMNS = ["event_time", "event_id", "source", "log_shard", "log_seq"] as const;
const PARSERS = {
  timestampFromMicroseconds: (micros: bigint) => Number(micros),
  timestampFromMilliseconds: (millis: bigint) => Number(millis) * MICROS_PER_MS,
};
const FOOTER_BYTES = 32 * KiB;
/** Files up to this size are read at once. */
const SMALL_BYTES = 128 * KiB;

/** @throws where the file cannot be read or is damaged. */
export async function userRows(file: LookupFile, lookup: Lookup): Promise<RowsInOrder<EventRow>> {
  const source = new HeldFile(file);
  if (file.bytes <= SMALL_BYTES) await source.hold(0, file.bytes);
  const metadata = await parquetMetadataAsync(source, { initialFetchSize: Math.min(FOOTER_BYTES, file.bytes) });
  const { ranges } = await parquetScan({
    file: source,
    metadata,
    pruningFilter: { user_id: { $eq: lookup.userId } },
    useBloomFilters: true,
    useOffsetIndex: false,
  });
  const columns = Object.keys(EVENT_COLUMNS).filter((name) => isColumn(metadata, name));
  const found = new FirstRows<EventRow>(lookup.compare, lookup.limit, lookup.bytesMax);
  for (const [number, span] of rowGroupSpans(metadata).entries()) {
    if (!ranges.some(({ rowStart, rowEnd }) => rowStart < span.rowEnd && rowEnd > span.rowStart)) continue;
    const read = (start: number, end: number) => source.slice(start, end);
    const group = new GroupPicks(metadata, number, { compressors: PAGE_COMPRESSORS, parsers: PARSERS, read });
    const at = await group.rowsWith("user_id", lookup.userId);
    if (at.length === 0) continue;
    await source.hold(span.start, span.end);
    const places = await placesOf(group, at);
    const wanted = [...places.keys()]
      .filter((i) => lookup.isWanted(places[i]!))
      .sort((a, b) => lookup.compare(places[a]!, places[b]!))
      .map((i) => at[i]!);
    found.add(await firstRows(group, columns, wanted, lookup));
    source.drop();
  }
  return found;
}

/** Rows that are read at first; then as many as there is room for, by what these took. */
const FIRST_READ = 32;

/** Rows of a row group, those that are wanted first; as many as fit. @param wanted in their order. */
async function firstRows(
  group: GroupPicks,
  columns: readonly string[],
  wanted: readonly number[],
  { limit, bytesMax }: Lookup,
): Promise<RowsInOrder<EventRow>> {
  const rows: EventRow[] = [];
  let bytes = 0;
  const most = Math.min(limit, wanted.length);
  while (rows.length < most && bytes < bytesMax) {
    const room = rows.length === 0 ? FIRST_READ : Math.ceil((bytesMax - bytes) / (bytes / rows.length));
    const numbers = wanted.slice(rows.length, Math.min(most, rows.length + room));
    const ascending = numbers.toSorted((a, b) => a - b);
    const read = new Map<number, Record<string, unknown>>(ascending.map((number) => [number, {}]));
    for (const column of columns) {
      const values = await group.values(column, ascending);
      for (const [i, value] of values.entries()) {
        if (value !== null && value !== undefined) read.get(ascending[i]!)![column] = plain(value);
      }
    }
    for (const number of numbers) {
      const row = read.get(number) as unknown as EventRow;
      bytes += JSON.stringify(row).length;
      rows.push(row);
    }
  }
  return { rows, isWhole: rows.length === wanted.length };
}

type Metadata = Awaited<ReturnType<typeof parquetMetadataAsync>>;

/** Whether a name is that of a column of the file: of an older one it need not be. */
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

async function placesOf(group: GroupPicks, rows: readonly number[]): Promise<RowPlace[]> {
  const columns: Record<string, unknown[]> = {};
  for (const name of PLACE_COLUMNS) columns[name] = await group.values(name, rows);
  return rows.map(
    (_, i) => Object.fromEntries(PLACE_COLUMNS.map((name) => [name, plain(columns[name]![i])])) as unknown as RowPlace,
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
