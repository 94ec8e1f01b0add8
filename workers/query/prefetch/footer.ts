/**
 * What a Parquet footer says that a scan needs: which columns the file has, where each column's chunks and Bloom filters
 * lie, and the bounds of those columns that the statement compares. Kept small, because thousands are kept.
 */
import { parquetMetadata } from "hyparquet";
import type { ColumnBounds } from "../../../r2-layout/statistics.ts";

export interface RowGroup {
  readonly rows: number;
  /** Start and compressed bytes of each column, two numbers a column, in the order of `Footer.columns`. */
  readonly chunks: Float64Array;
  /** Bounds of the time column (microseconds) and of event_name, null where the file does not say. */
  readonly time: readonly [min: number, max: number] | null;
  readonly eventName: readonly [min: string, max: string] | null;
  /** Of the columns that were asked for, as far as the file tells them. */
  readonly bounds: Readonly<Record<string, ColumnBounds>>;
  /** Where the Bloom filters of its columns lie, headers included. */
  readonly filters: Readonly<Record<string, { readonly at: number; readonly length: number }>>;
}

export interface Footer {
  /** Bytes of the footer at the end of the file, its length and magic included. */
  readonly bytes: number;
  /** Top-level columns in the file's order. */
  readonly columns: readonly string[];
  readonly rowGroups: readonly RowGroup[];
  /** Columns whose bounds were asked for. */
  readonly asked: ReadonlySet<string>;
}

const TRAILER_BYTES = 8;

/** Bytes that a footer takes, read from the last eight bytes of a file. @throws RangeError for what is no Parquet file. */
export function footerBytes(tail: Uint8Array): number {
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  const end = tail.byteLength - TRAILER_BYTES;
  if (end < 0 || view.getUint32(end + 4, true) !== PAR1) throw new RangeError("not a Parquet file");
  return view.getUint32(end, true) + TRAILER_BYTES;
}

const PAR1 = 0x31524150;

/** @param tail the end of the file, the whole footer within. @throws where it cannot be read. */
export function readFooter(tail: Uint8Array, timeColumn: string, asked: ReadonlySet<string> = new Set()): Footer {
  const bytes = footerBytes(tail);
  const metadata = parquetMetadata(tail, { parsers: RAW, geoparquet: false });
  const columns: string[] = [];
  for (const chunk of metadata.row_groups[0]?.columns ?? []) {
    const name = chunk.meta_data?.path_in_schema[0];
    if (name !== undefined && columns.at(-1) !== name) columns.push(name);
  }
  if (columns.length === 0) columns.push(...topLevel(metadata.schema));
  const index = new Map(columns.map((name, i) => [name, i]));
  const rowGroups = metadata.row_groups.map((group): RowGroup => {
    const chunks = new Float64Array(columns.length * 2);
    let time: RowGroup["time"] = null;
    let eventName: RowGroup["eventName"] = null;
    const bounds: Record<string, ColumnBounds> = {};
    const filters: Record<string, { at: number; length: number }> = {};
    for (const { meta_data: chunk } of group.columns) {
      if (!chunk) continue;
      const [name = "", ...nested] = chunk.path_in_schema;
      const i = (index.get(name) ?? 0) * 2;
      const data = Number(chunk.data_page_offset);
      const start = chunk.dictionary_page_offset ? Math.min(Number(chunk.dictionary_page_offset), data) : data;
      const end = start + Number(chunk.total_compressed_size);
      // The leaves of a nested column lie side by side.
      const before = chunks[i + 1] === 0 ? null : { start: chunks[i]!, end: chunks[i]! + chunks[i + 1]! };
      chunks[i] = Math.min(start, before?.start ?? start);
      chunks[i + 1] = Math.max(end, before?.end ?? end) - chunks[i]!;
      if (nested.length > 0) continue;
      const { min_value: min, max_value: max, null_count: nulls } = chunk.statistics ?? {};
      if (name === timeColumn && typeof min === "bigint" && typeof max === "bigint") time = [Number(min), Number(max)];
      if (name === "event_name" && isText(min) && isText(max)) eventName = [min, max];
      if (asked.has(name) && nulls !== undefined)
        bounds[name] = { nulls: Number(nulls), ...boundOf("min", min), ...boundOf("max", max) };
      if (chunk.bloom_filter_offset !== undefined && chunk.bloom_filter_length !== undefined) {
        filters[name] = { at: Number(chunk.bloom_filter_offset), length: chunk.bloom_filter_length };
      }
    }
    return { rows: Number(group.num_rows), chunks, time, eventName, bounds, filters };
  });
  return { bytes, columns, rowGroups, asked };
}

/** Timestamps as they are: the library's own parser makes Dates and loses microseconds. */
const RAW = {
  timestampFromMicroseconds: (micros: bigint) => micros,
  timestampFromMilliseconds: (millis: bigint) => millis * 1_000n,
  timestampFromNanoseconds: (nanos: bigint) => nanos / 1_000n,
} as unknown as NonNullable<Parameters<typeof parquetMetadata>[1]>["parsers"];

/** A bound that was cut inside a character decodes to U+FFFD and proves nothing. */
const isText = (value: unknown): value is string => typeof value === "string" && !value.includes("\ufffd");

/** A number or a whole text; of anything else nothing is said. Rounding a large integer keeps its order. */
function boundOf(end: "min" | "max", value: unknown): { min?: string | number; max?: string | number } {
  if (typeof value === "bigint") return { [end]: Number(value) };
  return (typeof value === "number" && !Number.isNaN(value)) || isText(value) ? { [end]: value } : {};
}

function topLevel(schema: readonly { name: string; num_children?: number }[]): string[] {
  const names: string[] = [];
  for (let i = 1; i < schema.length; ) {
    names.push(schema[i]!.name);
    for (let left = 1; left > 0; i++) left += (schema[i]?.num_children ?? 0) - 1;
  }
  return names;
}
