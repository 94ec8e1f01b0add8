/**
 * Column statistics of a data file, as the catalog keeps them: taken from the footer that the Parquet encoder wrote,
 * so that they cost no second pass over the rows and say what engines other than ours will read.
 */
import type { Column, ColumnType } from "./event-columns.ts";
import { LAKE } from "./limits.ts";
import { type ColumnChunk, columnChunks } from "./parquet-footer.ts";
import type { ThriftStruct } from "./thrift-compact.ts";

export interface ColumnBounds {
  readonly nulls: number;
  /** Text bounds are cut to 64 bytes (the upper one rounded up); numbers and times as they are. */
  readonly min?: string | number;
  readonly max?: string | number;
}

/**
 * Columns whose values stay out of bounds, here and in the files' footers: ids of people, because a bound outlives the
 * rows that it came from, and texts that bounds cannot tell apart.
 */
export const UNBOUNDED_COLUMNS: ReadonlySet<string> = new Set([
  "event_id",
  "user_id",
  "anonymous_id",
  "session_id",
  "raw",
]);

/** Whether a file's statistics cover the column: lists and maps have leaves, not values, to bound. */
export function isBounded(name: string, column: Column): boolean {
  return BOUND_READERS[column.type] !== null && !UNBOUNDED_COLUMNS.has(name) && !column.identifier;
}

/** Bounds of every bounded column over all row groups; a bound that a row group does not give is left out. */
export function fileBounds(
  footer: ThriftStruct,
  columns: Readonly<Record<string, Column>>,
): Record<string, ColumnBounds> {
  const chunks = new Map<string, ColumnChunk[]>();
  for (const chunk of columnChunks(footer)) {
    if (chunk.path.length !== 1) continue;
    const same = chunks.get(chunk.path[0]!);
    if (same) same.push(chunk);
    else chunks.set(chunk.path[0]!, [chunk]);
  }
  const bounds: Record<string, ColumnBounds> = {};
  for (const [name, column] of Object.entries(columns)) {
    const parts = chunks.get(name);
    const read = BOUND_READERS[column.type];
    if (!parts || !read || !isBounded(name, column)) continue;
    if (parts.some((part) => part.nulls === null)) continue;
    const nulls = parts.reduce((sum, part) => sum + part.nulls!, 0);
    const withValues = parts.filter((part) => part.nulls! < part.values);
    const min = extreme(withValues, (part) => read(part.min, "min"), -1);
    const max = extreme(withValues, (part) => read(part.max, "max"), 1);
    bounds[name] = { nulls, ...(min !== undefined && { min }), ...(max !== undefined && { max }) };
  }
  return bounds;
}

/** Bounds of one column of numbers in each row group; a bound that is not told is null. */
export function rowGroupBounds(footer: ThriftStruct, name: string): { min: number | null; max: number | null }[] {
  return columnChunks(footer)
    .filter(({ path }) => path.length === 1 && path[0] === name)
    .map(({ min, max }) => ({
      min: (int64(min, "min") as number) ?? null,
      max: (int64(max, "max") as number) ?? null,
    }));
}

/** The order of Parquet, DuckDB and Iceberg: by UTF-8 bytes, which is by code point, which JavaScript's `<` is not. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return codePointRank(x) - codePointRank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above every other unit, though their numbers lie below U+E000. */
const codePointRank = (unit: number) => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit);

function extreme(
  parts: readonly ColumnChunk[],
  boundOf: (part: ColumnChunk) => string | number | undefined,
  sign: 1 | -1,
): string | number | undefined {
  let best: string | number | undefined;
  for (const part of parts) {
    const bound = boundOf(part);
    if (bound === undefined) return undefined;
    if (best === undefined || sign * compareBounds(bound, best) > 0) best = bound;
  }
  return best;
}

export function compareBounds(a: string | number, b: string | number): number {
  return typeof a === "string" && typeof b === "string" ? compareText(a, b) : Number(a) - Number(b);
}

type BoundReader = (bytes: Uint8Array | null, end: "min" | "max") => string | number | undefined;

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const int64: BoundReader = (bytes) => (bytes ? Number(viewOf(bytes).getBigInt64(0, true)) : undefined);
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const BOUND_READERS: Record<ColumnType, BoundReader | null> = {
  int64,
  timestamp_us: int64,
  int32: (bytes) => (bytes ? viewOf(bytes).getInt32(0, true) : undefined),
  float64: (bytes) => (bytes ? viewOf(bytes).getFloat64(0, true) : undefined),
  boolean: (bytes) => bytes?.[0], // 0 for false, 1 for true.
  utf8: (bytes, end) => {
    if (!bytes) return undefined;
    // The encoder cuts to 64 bytes and rounds the upper bound up; it keeps one whole that it cannot round.
    if (bytes.length > LAKE.boundBytes) return end === "max" ? undefined : textPrefix(bytes, LAKE.boundBytes);
    return utf8.decode(bytes);
  },
  list_utf8: null,
  map_utf8: null,
};

function textPrefix(bytes: Uint8Array, lengthMax: number): string {
  let end = lengthMax;
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return utf8.decode(bytes.subarray(0, end));
}
