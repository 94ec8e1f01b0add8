/**
 * Rows of another engine as the Arrow messages that our own engine gives, so that they leave in every format as its do.
 * Types are Trino's, by name; what is none of those known here comes as text.
 */
import {
  Bool,
  type Data,
  type DataType,
  DateDay,
  Decimal,
  Field,
  Float64,
  Int32,
  Int64,
  List,
  Map_,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimestampMicrosecond,
  tableToIPC,
  Utf8,
} from "apache-arrow";

type Bytes = Uint8Array<ArrayBuffer>;
export type Json = string | number | bigint | boolean | null | Json[] | { [key: string]: Json };

export interface EngineColumn {
  readonly name: string;
  readonly type: string;
}

/** What ends a stream: it is cut off, because more may follow. */
const END_BYTES = 8;

export class ArrowRows {
  readonly #schema: Schema;
  readonly schemaMessage: Bytes;

  constructor(columns: readonly EngineColumn[]) {
    this.#schema = new Schema(columns.map(({ name, type }) => new Field(name, arrowType(type), true)));
    this.schemaMessage = withoutEnd(tableToIPC(new Table(this.#schema, []), "stream"));
  }

  /** @param rows values in the order of the columns. */
  batchMessage(rows: readonly (readonly Json[])[]): Bytes {
    const children = this.#schema.fields.map(({ type }, at) =>
      dataOf(
        type,
        rows.map((row) => row[at] ?? null),
      ),
    );
    const type = new Struct(this.#schema.fields);
    const batch = new RecordBatch(this.#schema, makeData({ type, length: rows.length, children }));
    return withoutEnd(tableToIPC(new Table(this.#schema, [batch]), "stream")).slice(this.schemaMessage.length);
  }
}

const withoutEnd = (stream: Uint8Array): Bytes => stream.slice(0, -END_BYTES) as Bytes;

/** `array(varchar)`, `decimal(10, 2)`, `timestamp(6) with time zone`. */
function arrowType(name: string): DataType {
  const [, base = name, inner = "", zone = ""] = /^(\w+)(?:\((.*)\))?( with time zone)?$/.exec(name.trim()) ?? [];
  switch (base) {
    case "boolean":
      return new Bool();
    case "tinyint":
    case "smallint":
    case "integer":
      return new Int32();
    case "bigint":
      return new Int64();
    case "real":
    case "double":
      return new Float64();
    case "date":
      return new DateDay();
    case "timestamp":
      return zone === "" ? new TimestampMicrosecond() : new TimestampMicrosecond("UTC");
    case "decimal": {
      const [precision = 38, scale = 0] = inner.split(",").map(Number);
      return new Decimal(scale, precision, 128);
    }
    case "array":
      return new List(new Field("l", arrowType(inner), true));
    case "map": {
      const [key = "varchar", value = "varchar"] = split(inner);
      const fields = [new Field("key", arrowType(key), false), new Field("value", arrowType(value), true)];
      return new Map_(new Field("entries", new Struct(fields), false) as never);
    }
    default:
      return new Utf8();
  }
}

/** By the commas that are in no bracket. */
function split(text: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const char of text) {
    depth += char === "(" ? 1 : char === ")" ? -1 : 0;
    if (char === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += char;
  }
  return parts;
}

function dataOf(type: DataType, values: readonly Json[]): Data {
  const { length } = values;
  const nullBitmap = new Uint8Array(Math.ceil(length / 8));
  let nullCount = 0;
  for (const [i, value] of values.entries()) {
    if (value === null) nullCount++;
    else nullBitmap[i >> 3]! |= 1 << (i & 7);
  }
  const shape = { length, nullCount, nullBitmap };
  if (type instanceof Bool) {
    const data = new Uint8Array(nullBitmap.length);
    for (const [i, value] of values.entries()) if (value === true) data[i >> 3]! |= 1 << (i & 7);
    return makeData({ ...shape, type, data });
  }
  if (type instanceof Int32)
    return makeData({ ...shape, type, data: Int32Array.from(values, (value) => Number(value ?? 0)) });
  if (type instanceof Float64) return makeData({ ...shape, type, data: Float64Array.from(values, float) });
  if (type instanceof Int64)
    return makeData({ ...shape, type, data: BigInt64Array.from(values, (value) => BigInt((value ?? 0) as string)) });
  if (type instanceof DateDay) return makeData({ ...shape, type, data: Int32Array.from(values, days) });
  if (type instanceof TimestampMicrosecond)
    return makeData({ ...shape, type, data: BigInt64Array.from(values, micros) });
  if (type instanceof Decimal) return makeData({ ...shape, type, data: decimals(values, type.scale) });
  if (type instanceof List) {
    const [valueOffsets, items] = flat(values.map((value) => (Array.isArray(value) ? value : [])));
    return makeData({ ...shape, type, valueOffsets, child: dataOf(type.children[0]!.type, items) as never });
  }
  if (type instanceof Map_) {
    const [valueOffsets, entries] = flat(values.map((value) => Object.entries((value ?? {}) as Record<string, Json>)));
    const struct = type.children[0]!.type as Struct;
    const children = struct.children.map((field, at) =>
      dataOf(
        field.type,
        entries.map((entry) => (entry as Json[])[at]!),
      ),
    );
    const child = makeData({ type: struct, length: entries.length, nullCount: 0, children });
    return makeData({ ...shape, type: type as never, valueOffsets, child: child as never });
  }
  const texts = values.map((value) => encoder.encode(text(value)));
  const [valueOffsets, all] = joined(texts);
  return makeData({ ...shape, type: new Utf8(), valueOffsets, data: all });
}

const encoder = new TextEncoder();
const text = (value: Json): string =>
  value === null ? "" : typeof value === "string" ? value : JSON.stringify(value, plain);
const plain = (_: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);

function float(value: Json): number {
  if (value === "Infinity" || value === "-Infinity") return Number(value);
  return value === null ? 0 : Number(value);
}

const days = (value: Json): number => (value === null ? 0 : Math.floor(Date.parse(`${value}T00:00:00Z`) / 86_400_000));

/** `2026-01-02 03:04:05.000006`, with a zone of UTC behind it or none, or with a T. */
function micros(value: Json): bigint {
  if (value === null) return 0n;
  const [, day, time, fraction = ""] = /^(\d+-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d+))?/.exec(String(value)) ?? [];
  return BigInt(Date.parse(`${day}T${time}Z`)) * 1_000n + BigInt(fraction.padEnd(6, "0").slice(0, 6) || "0");
}

/** Sixteen bytes each, two's complement, little-endian. */
function decimals(values: readonly Json[], scale: number): Uint32Array {
  const words = new Uint32Array(values.length * 4);
  for (const [i, value] of values.entries()) {
    if (value === null) continue;
    const [whole = "0", fraction = ""] = String(value).split(".");
    let left = BigInt.asUintN(128, BigInt(whole + fraction.padEnd(scale, "0").slice(0, scale)));
    for (let word = 0; word < 4; word++, left >>= 32n) words[i * 4 + word] = Number(left & 0xffff_ffffn);
  }
  return words;
}

function flat(lists: readonly Json[][]): [offsets: Int32Array, items: Json[]] {
  const offsets = new Int32Array(lists.length + 1);
  for (const [i, list] of lists.entries()) offsets[i + 1] = offsets[i]! + list.length;
  return [offsets, lists.flat()];
}

function joined(parts: readonly Uint8Array[]): [offsets: Int32Array, all: Uint8Array] {
  const offsets = new Int32Array(parts.length + 1);
  for (const [i, part] of parts.entries()) offsets[i + 1] = offsets[i]! + part.length;
  const all = new Uint8Array(offsets.at(-1)!);
  for (const [i, part] of parts.entries()) all.set(part, offsets[i]);
  return [offsets, all];
}
