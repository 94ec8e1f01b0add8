/**
 * One value of a record batch as JSON says it: BIGINT and wider as a number within 2^53, else as text; DECIMAL as a
 * number where a double says the same digits, else as text; times as `isoMicros`; dates as `2026-11-22`; MAP as an
 * object, LIST as an array, STRUCT as an object; a double that JSON has no word for as null.
 */
import { type Data, DateUnit, TimeUnit, Type } from "apache-arrow";
import { isoMicros } from "../../../r2-layout/time.ts";

export type Cell = string | number | boolean | null | Cell[] | { [key: string]: Cell };

type Bytes = Uint8Array<ArrayBufferLike>;

export function cell(data: Data, row: number): Cell {
  if (!data.getValid(row)) return null;
  const at = row + data.offset;
  switch (data.typeId) {
    case Type.Null:
      return null;
    case Type.Bool:
      return ((data.values as Bytes)[at >> 3]! & (1 << (at & 7))) !== 0;
    case Type.Int:
      return integer((data.values as Int32Array | BigInt64Array)[row]!);
    case Type.Float: {
      const value = (data.values as Float64Array)[row]!;
      return Number.isFinite(value) ? value : null;
    }
    case Type.Decimal:
      return decimal(data, row);
    case Type.Utf8:
    case Type.LargeUtf8:
      return text(data, row);
    case Type.Binary:
    case Type.LargeBinary:
      return hex(slice(data, row));
    case Type.Date:
      return date(data, row);
    case Type.Time:
      return timeOfDay(data, row);
    case Type.Timestamp:
      return timestamp(data, row);
    case Type.Interval:
      return interval(data, row);
    case Type.Duration:
      return integer((data.values as BigInt64Array)[row]!);
    case Type.List:
      return list(data, row);
    case Type.FixedSizeList:
      return fixedList(data, row);
    case Type.Struct:
      return struct(data, row);
    case Type.Map:
      return map(data, row);
    case Type.Dictionary: {
      const index = Number((data.values as Int32Array)[row]!);
      const values = data.dictionary?.data[0];
      return values ? cell(values, index) : null;
    }
    default:
      return null;
  }
}

const typeOf = <T>(data: Data): T => data.type as unknown as T;

const integer = (value: number | bigint): Cell => {
  if (typeof value === "number") return value;
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : String(value);
};

/** Sixteen bytes, two's complement, little-endian. */
function decimal(data: Data, row: number): Cell {
  const words = data.values as Uint32Array;
  let value = 0n;
  for (let i = 3; i >= 0; i--) value = (value << 32n) | BigInt(words[row * 4 + i]!);
  value = BigInt.asIntN(128, value);
  const scale = typeOf<{ scale: number }>(data).scale;
  if (scale === 0) return integer(value);
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  const exact = `${value < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  // Up to fifteen digits a double gives back what went in.
  return digits.replace(/^0+/, "").length <= 15 ? Number(exact) : exact;
}

const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });
const text = (data: Data, row: number): string => decoder.decode(slice(data, row));

function slice(data: Data, row: number): Bytes {
  const offsets = data.valueOffsets as Int32Array | BigInt64Array;
  return (data.values as Bytes).subarray(Number(offsets[row]!), Number(offsets[row + 1]!));
}

const hex = (bytes: Bytes): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const DAY_MS = 86_400_000;

function date(data: Data, row: number): Cell {
  const value = Number((data.values as Int32Array | BigInt64Array)[row]!);
  const ms = typeOf<{ unit: DateUnit }>(data).unit === DateUnit.DAY ? value * DAY_MS : value;
  return Math.abs(ms) <= 8.64e15 ? isoDay(ms) : value > 0 ? "infinity" : "-infinity";
}

const isoDay = (ms: number): string => new Date(ms).toISOString().replace(/T.*$/, "");

/** Units of a second, as microseconds. */
const UNIT_US: Record<TimeUnit, number> = {
  [TimeUnit.SECOND]: 1e6,
  [TimeUnit.MILLISECOND]: 1e3,
  [TimeUnit.MICROSECOND]: 1,
  [TimeUnit.NANOSECOND]: 1e-3,
};

function timestamp(data: Data, row: number): Cell {
  const value = (data.values as BigInt64Array)[row]!;
  const us = Math.floor(Number(value) * UNIT_US[typeOf<{ unit: TimeUnit }>(data).unit]);
  // DuckDB's infinities lie outside what a Date can say.
  return Math.abs(us) <= 8.64e18 ? isoMicros(us) : us > 0 ? "infinity" : "-infinity";
}

function timeOfDay(data: Data, row: number): Cell {
  const value = Number((data.values as Int32Array | BigInt64Array)[row]!);
  const us = Math.floor(value * UNIT_US[typeOf<{ unit: TimeUnit }>(data).unit]);
  return isoMicros(us).slice(11, -1);
}

/** `3 months 2 days 00:00:01.5` and the like: months, days and nanoseconds stand apart. */
function interval(data: Data, row: number): Cell {
  const words = data.values as Int32Array;
  const stride = words.length / data.length;
  const at = row * stride;
  if (stride < 4) return stride === 1 ? `${words[at]} months` : null;
  const nanos = (BigInt(words[at + 3]!) << 32n) | BigInt(words[at + 2]! >>> 0);
  const us = Number(nanos / 1_000n);
  const size = Math.abs(us);
  const parts: string[] = [];
  if (words[at] !== 0) parts.push(`${words[at]} months`);
  if (words[at + 1] !== 0) parts.push(`${words[at + 1]} days`);
  if (size > 0 || parts.length === 0) {
    const hours = String(Math.floor(size / 3.6e9)).padStart(2, "0");
    const rest = isoMicros(size % 3.6e9).slice(13, -1);
    parts.push(`${us < 0 ? "-" : ""}${hours}${rest}`);
  }
  return parts.join(" ");
}

function list(data: Data, row: number): Cell {
  const offsets = data.valueOffsets as Int32Array;
  const child = data.children[0]!;
  const cells: Cell[] = [];
  for (let i = offsets[row]!; i < offsets[row + 1]!; i++) cells.push(cell(child, i));
  return cells;
}

function fixedList(data: Data, row: number): Cell {
  const size = typeOf<{ listSize: number }>(data).listSize;
  const child = data.children[0]!;
  return Array.from({ length: size }, (_, i) => cell(child, row * size + i));
}

function struct(data: Data, row: number): Cell {
  const fields: { [key: string]: Cell } = {};
  for (const [i, child] of data.children.entries()) {
    put(fields, (data.type.children as { name: string }[])[i]!.name, cell(child, row));
  }
  return fields;
}

function map(data: Data, row: number): Cell {
  const offsets = data.valueOffsets as Int32Array;
  const [keys, values] = data.children[0]!.children as [Data, Data];
  const entries: { [key: string]: Cell } = {};
  for (let i = offsets[row]!; i < offsets[row + 1]!; i++) {
    const key = cell(keys, i);
    put(entries, typeof key === "string" ? key : JSON.stringify(key), cell(values, i));
  }
  return entries;
}

/** Also a key named `__proto__`. */
function put(target: { [key: string]: Cell }, key: string, value: Cell): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}
