/** Values as Iceberg keeps bounds of columns and partitions: little-endian numbers, plain UTF-8 (its spec, appendix D). */
import type { ColumnType } from "../event-columns.ts";

export type BoundValue = string | number | boolean;

/** Null for what has no single value: lists and maps. */
export function singleValue(type: ColumnType | "date", value: BoundValue): Uint8Array | null {
  return WRITERS[type]?.(value) ?? null;
}

const fixed = (bytes: number, write: (view: DataView) => void): Uint8Array => {
  const view = new DataView(new ArrayBuffer(bytes));
  write(view);
  return new Uint8Array(view.buffer);
};
const int32 = (value: BoundValue) => fixed(4, (view) => view.setInt32(0, Number(value), true));
const int64 = (value: BoundValue) => fixed(8, (view) => view.setBigInt64(0, BigInt(value), true));

const WRITERS: Record<ColumnType | "date", ((value: BoundValue) => Uint8Array) | null> = {
  utf8: (value) => new TextEncoder().encode(String(value)),
  timestamp_us: int64,
  int32,
  int64,
  float64: (value) => fixed(8, (view) => view.setFloat64(0, Number(value), true)),
  boolean: (value) => Uint8Array.of(value ? 1 : 0),
  date: int32,
  list_utf8: null,
  map_utf8: null,
};
