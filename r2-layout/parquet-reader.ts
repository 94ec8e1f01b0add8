/**
 * Rows of our own Parquet files, for maintenance: decoded to Arrow a step at a time, and made into rows one by one as
 * they are asked for. Columns that a file is too old to have are absent from its rows.
 */
import { type Data, type RecordBatch, tableFromIPC } from "apache-arrow";
import { initSync, readParquet } from "parquet-wasm/esm";
import type { AnyRow } from "./arrow-rows.ts";
import { type Columns, type ColumnType, TABLES, type TableName } from "./event-columns.ts";
import { LAKE } from "./limits.ts";
import { readFooter, rowCount, withColumns } from "./parquet-footer.ts";

/** Decoded rows by number. */
export interface DecodedRows {
  readonly length: number;
  /** @param columns only these, where given. */
  row(index: number, columns?: readonly string[]): AnyRow;
}

/**
 * All rows of a file, or those of one part. Columns that are not asked for are absent from the rows.
 * @param part rows `from` up to but not including `to`; they are numbered from 0.
 * @param known what the table's columns are: the file's others, promoted ones by default, are not read.
 * @throws RangeError where the bytes are no Parquet file, Error where it is damaged.
 */
export function decodeParquet(
  module: WebAssembly.Module,
  table: TableName,
  file: Uint8Array,
  columns?: readonly string[],
  part?: { readonly from: number; readonly to: number },
  known: Columns = TABLES[table],
): DecodedRows {
  initSync({ module });
  const { from, to } = part ?? { from: 0, to: rowCount(readFooter(file)) };
  const read = columns ? withColumns(file, columns) : file;
  const batches: { start: number; read: DecodedRows["row"] }[] = [];
  let start = 0;
  // Small steps: the decoder's memory never shrinks, and a step's batches are copied out of it.
  for (let offset = from; offset < to; offset += LAKE.batchRows) {
    const limit = Math.min(LAKE.batchRows, to - offset);
    const decoded = readParquet(read, { offset, limit, batchSize: LAKE.batchRows });
    for (const batch of tableFromIPC(decoded.intoIPCStream()).batches) {
      batches.push({ start, read: rowReader(known, batch) });
      start += batch.numRows;
    }
  }
  const rows = to - from;
  if (start !== rows) throw new Error(`decoded ${start} of ${rows} rows`);
  return {
    length: rows,
    row(index, columns) {
      let i = Math.min(batches.length - 1, Math.floor(index / LAKE.batchRows));
      while (batches[i]!.start > index) i--;
      while (i + 1 < batches.length && batches[i + 1]!.start <= index) i++;
      return batches[i]!.read(index - batches[i]!.start, columns);
    },
  };
}

function rowReader(columns: Columns, batch: RecordBatch): DecodedRows["row"] {
  const readers = new Map<string, (index: number) => unknown>();
  for (const [name, column] of Object.entries(columns)) {
    const at = batch.schema.fields.findIndex((field) => field.name === name);
    const data = batch.data.children[at];
    if (!data) continue;
    const read = VALUE_READERS[column.type](data);
    readers.set(name, (index) => (data.getValid(index) ? read(index) : null));
  }
  const all = [...readers.keys()];
  return (index, columns = all) => {
    const row: Record<string, unknown> = {};
    for (const name of columns) {
      const value = readers.get(name)?.(index) ?? null;
      if (value !== null) row[name] = value;
    }
    return row;
  };
}

const number = (data: Data) => (index: number) => Number(data.values[index]);
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function text(data: Data): (index: number) => string {
  const { values, valueOffsets } = data;
  return (index) => decoder.decode(values.subarray(valueOffsets[index]!, valueOffsets[index + 1]!));
}

/** Arrow's own accessors give times as milliseconds; these keep the microseconds. */
const VALUE_READERS: Record<ColumnType, (data: Data) => (index: number) => unknown> = {
  utf8: text,
  timestamp_us: number,
  int64: number,
  int32: number,
  float64: number,
  boolean: (data) => (index) => {
    const bit = data.offset + index;
    return (data.values[bit >> 3] & (1 << (bit & 7))) !== 0;
  },
  list_utf8: (data) => {
    const read = text(data.children[0]!);
    return (index) => {
      const list: string[] = [];
      for (let i = data.valueOffsets[index]!; i < data.valueOffsets[index + 1]!; i++) list.push(read(i));
      return list;
    };
  },
  map_utf8: (data) => {
    const [keys, values] = data.children[0]!.children;
    const key = text(keys!);
    const value = text(values!);
    return (index) => {
      const map: Record<string, string> = {};
      for (let i = data.valueOffsets[index]!; i < data.valueOffsets[index + 1]!; i++) {
        // Not an assignment: a key may be named __proto__.
        Object.defineProperty(map, key(i), { value: value(i), enumerable: true, configurable: true, writable: true });
      }
      return map;
    };
  },
};
