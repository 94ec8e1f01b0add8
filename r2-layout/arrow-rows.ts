/**
 * Rows to Arrow, column by column, on typed arrays only: Arrow's own builders generate code, which workerd forbids.
 * The hot loop of the lake: text is joined and encoded once per column, because a call per value costs more than
 * the bytes do, and times are written as two words, because a BigInt per value costs more than both.
 */
import { type Data, type DataType, makeData, RecordBatch, type Schema, Struct } from "apache-arrow";
import type { Columns, ColumnType } from "./event-columns.ts";

export type AnyRow = Readonly<Record<string, unknown>>;

/** @throws TypeError where a required column has no value. */
export function recordBatch(schema: Schema, columns: Columns, rows: readonly AnyRow[]): RecordBatch {
  const values = valuesByColumn(schema, rows);
  const children = schema.fields.map(({ name, type }, at) => {
    const column = columns[name]!;
    const data = COLUMN_DATA[column.type](type, values[at]!);
    if (column.required && data.nullCount > 0) throw new TypeError(`${name} is required and missing in a row`);
    return data;
  });
  const struct = makeData({ type: new Struct(schema.fields), length: rows.length, nullCount: 0, children });
  return new RecordBatch(schema, struct);
}

/**
 * The values of each column, undefined or null where a row has none. Each row is walked once, by the properties it has:
 * to ask every row for every column by name takes a fifth longer over all.
 */
function valuesByColumn(schema: Schema, rows: readonly AnyRow[]): unknown[][] {
  const position = new Map(schema.fields.map(({ name }, at) => [name, at]));
  const values: unknown[][] = schema.fields.map(() => new Array(rows.length));
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    for (const name in row) {
      const at = position.get(name);
      if (at !== undefined) values[at]![i] = row[name];
    }
  }
  return values;
}

type ColumnData = (type: DataType, values: readonly unknown[]) => Data;

const COLUMN_DATA: Record<ColumnType, ColumnData> = {
  utf8: (type, values) => {
    const validity = new Validity(values.length);
    const lengths = new Int32Array(values.length + 1);
    const texts: string[] = [];
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value === null || value === undefined) validity.null(i);
      else {
        const text = typeof value === "string" ? value : String(value);
        texts.push(text);
        lengths[i + 1] = text.length;
      }
    }
    return makeData({ type, length: values.length, ...validity.props, ...textBuffers(texts, lengths, values.length) });
  },
  timestamp_us: (type, values) => int64Data(type, values),
  int64: (type, values) => int64Data(type, values),
  int32: (type, values) => numberData(type, values, new Int32Array(values.length)),
  float64: (type, values) => numberData(type, values, new Float64Array(values.length)),
  boolean: (type, values) => {
    const validity = new Validity(values.length);
    const data = new Uint8Array((values.length + 7) >> 3);
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value === null || value === undefined) validity.null(i);
      else if (value) data[i >> 3]! |= 1 << (i & 7);
    }
    return makeData({ type, length: values.length, ...validity.props, data } as Parameters<typeof makeData>[0]);
  },
  list_utf8: (type, values) => {
    const validity = new Validity(values.length);
    const valueOffsets = new Int32Array(values.length + 1);
    const texts: string[] = [];
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as readonly string[] | null | undefined;
      if (value === null || value === undefined) validity.null(i);
      else for (const text of value) texts.push(text);
      valueOffsets[i + 1] = texts.length;
    }
    const child = textData(type.children![0]!.type, texts);
    return makeData({ type, length: values.length, ...validity.props, valueOffsets, child } as Parameters<
      typeof makeData
    >[0]);
  },
  map_utf8: (type, values) => {
    const validity = new Validity(values.length);
    const valueOffsets = new Int32Array(values.length + 1);
    const keys: string[] = [];
    const texts: string[] = [];
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as Readonly<Record<string, string>> | null | undefined;
      if (value === null || value === undefined) validity.null(i);
      else
        for (const key of Object.keys(value)) {
          keys.push(key);
          texts.push(value[key]!);
        }
      valueOffsets[i + 1] = keys.length;
    }
    const entries = type.children![0]!.type as Struct;
    const child = makeData({
      type: entries,
      length: keys.length,
      nullCount: 0,
      children: [textData(entries.children[0]!.type, keys), textData(entries.children[1]!.type, texts)],
    });
    return makeData({ type, length: values.length, ...validity.props, valueOffsets, child } as Parameters<
      typeof makeData
    >[0]);
  },
};

/** Arrow's validity bitmap: a set bit is a value. Made only once a null is met. */
class Validity {
  readonly #rows: number;
  #bits: Uint8Array | null = null;
  #nulls = 0;

  constructor(rows: number) {
    this.#rows = rows;
  }

  null(row: number): void {
    this.#bits ??= new Uint8Array((this.#rows + 7) >> 3).fill(0xff);
    this.#bits[row >> 3]! &= ~(1 << (row & 7));
    this.#nulls++;
  }

  get props(): { nullCount: number; nullBitmap: Uint8Array | null } {
    return { nullCount: this.#nulls, nullBitmap: this.#bits };
  }
}

const WORD = 0x1_0000_0000;

/** Whole numbers below 2^53 as 64 bits, little-endian like every machine this runs on. */
function int64Data(type: DataType, values: readonly unknown[]): Data {
  const validity = new Validity(values.length);
  const data = new BigInt64Array(values.length);
  const words = new Int32Array(data.buffer);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number | null | undefined;
    if (value === null || value === undefined) validity.null(i);
    else {
      words[2 * i] = value; // Modulo 2^32, by the rules of typed arrays.
      words[2 * i + 1] = Math.floor(value / WORD);
    }
  }
  return makeData({ type, length: values.length, ...validity.props, data } as Parameters<typeof makeData>[0]);
}

function numberData(
  type: DataType,
  values: readonly unknown[],
  data: Int32Array<ArrayBuffer> | Float64Array<ArrayBuffer>,
): Data {
  const validity = new Validity(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number | null | undefined;
    if (value === null || value === undefined) validity.null(i);
    else data[i] = value;
  }
  return makeData({ type, length: values.length, ...validity.props, data } as Parameters<typeof makeData>[0]);
}

function textData(type: DataType, texts: string[]): Data {
  const lengths = new Int32Array(texts.length + 1);
  for (let i = 0; i < texts.length; i++) lengths[i + 1] = texts[i]!.length;
  return makeData({ type, length: texts.length, nullCount: 0, ...textBuffers(texts, lengths, texts.length) });
}

const encoder = new TextEncoder();

/**
 * @param texts the values that are not null, in order.
 * @param lengths characters of value i at i + 1, 0 for a null; turned into byte offsets in place.
 */
function textBuffers(
  texts: string[],
  lengths: Int32Array<ArrayBuffer>,
  rows: number,
): { valueOffsets: Int32Array<ArrayBuffer>; data: Uint8Array<ArrayBuffer> } {
  const text = texts.join("");
  const data = new Uint8Array(text.length);
  // As many bytes as characters: all of it is ASCII, and lengths in characters are lengths in bytes.
  const { read, written } = encoder.encodeInto(text, data);
  if (read === text.length && written === text.length) {
    for (let i = 0; i < rows; i++) lengths[i + 1]! += lengths[i]!;
    return { valueOffsets: lengths, data };
  }
  return encodedOneByOne(texts, lengths, rows);
}

/** Each by itself, so that half a surrogate pair at one value's end never joins with the next value's start. */
function encodedOneByOne(texts: readonly string[], lengths: Int32Array<ArrayBuffer>, rows: number) {
  let chars = 0;
  for (const text of texts) chars += text.length;
  const data = new Uint8Array(3 * chars);
  let at = 0;
  let next = 0;
  let charsSeen = 0;
  for (let i = 0; i < rows; i++) {
    if (lengths[i + 1]! > 0) {
      while (texts[next] === "") next++;
      const text = texts[next++]!;
      charsSeen += text.length;
      at += encoder.encodeInto(text, data.subarray(at)).written;
    }
    lengths[i + 1] = at;
  }
  if (charsSeen !== chars) throw new Error("texts and lengths do not agree");
  return { valueOffsets: lengths, data: data.slice(0, at) };
}
