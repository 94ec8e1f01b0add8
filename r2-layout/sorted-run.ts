/**
 * One sorted run of a merge: row groups of a file, read one at a time and decoded in windows, a few thousand rows each.
 * Held at once: one row group packed, and its window decoded.
 *
 * A window costs a call of the decoder, which skips pages before it but unpacks dictionaries anew: 4,096 rows of a row group
 * of 100,000 take 5 ms, all of them at once 200 ms and 30 MB. (The decoder's own stream decodes a row group whole.)
 */
import { type Data, type RecordBatch, tableFromIPC } from "apache-arrow";
import { readParquet } from "parquet-wasm/esm";
import type { Columns } from "./event-columns.ts";
import { LAKE } from "./limits.ts";
import { type RowGroupPart, rowGroupFile } from "./parquet-footer.ts";

/** Rows decoded, with what their order follows from. */
export interface Window {
  readonly rows: number;
  /** By output column; null where the file is too old to have it. */
  readonly columns: readonly (Data | null)[];
  /** Which name a row has, as `Names` numbers them. */
  readonly names: Int32Array;
  /** The identity's text: `user_id ?? anonymous_id`. */
  readonly identity: readonly [user: Uint8Array, device: Uint8Array];
  readonly identityOf: Uint8Array;
  readonly identityFrom: Int32Array;
  readonly identityTo: Int32Array;
  /** event_time, received_at where there is none: microseconds. */
  readonly times: Float64Array;
  /** Bytes of the columns that may be wide. */
  readonly wide: Uint32Array;
  /** What they take in memory, and what a row took in its file, on average. */
  readonly bytes: number;
  readonly packedRowBytes: number;
}

/** Event names by number, in the order in which they were met. 0 is no name. */
export class Names {
  readonly #numbers = new Map<string, number>();
  readonly texts: string[] = [""];
  readonly bytes: Uint8Array[] = [new Uint8Array(0)];

  numberOf(bytes: Uint8Array): number {
    const text = decoder.decode(bytes);
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.texts.length;
      this.#numbers.set(text, number);
      this.texts.push(text);
      this.bytes.push(bytes.slice());
    }
    return number;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/** Where the pages of a run come from. */
export interface RunPart {
  readonly group: RowGroupPart;
  /** Bytes `start` up to `end` of the file. */
  readonly read: (start: number, end: number) => Promise<Uint8Array>;
}

/** Memory that an open run takes: its largest row group packed, and a window. */
export function openBytes(parts: readonly { readonly group: RowGroupPart }[]): number {
  return Math.max(...parts.map(({ group }) => group.end - group.start + windowRows(group) * rowBytes(group)));
}

/** Arrow's own overhead for a row of nulls is of some hundred bytes, whatever the footer says. */
const rowBytes = ({ decodedBytes, rows }: RowGroupPart): number => decodedBytes / Math.max(1, rows);

/** A row group below this size has small dictionaries: half a window costs little, and twice as many inputs fit. */
const SMALL_GROUP_BYTES = 1_024 * 1_024;

/** Rows that are decoded at once, by what a row takes on average. */
function windowRows(group: RowGroupPart): number {
  const bytes = group.end - group.start < SMALL_GROUP_BYTES ? LAKE.windowBytes / 2 : LAKE.windowBytes;
  const rows = Math.floor(bytes / Math.max(1, rowBytes(group)));
  return Math.max(1, Math.min(group.rows, rows, LAKE.batchRows));
}

export class SortedRun {
  readonly index: number;
  readonly #columns: Columns;
  readonly #names: Names;
  readonly #parts: RunPart[];
  #file: Uint8Array | null = null;
  #next = 0;
  #windows: Window[] = [];
  window: Window | null = null;
  /** The row of `window` that is next. */
  at = 0;

  constructor(index: number, columns: Columns, names: Names, parts: readonly RunPart[]) {
    this.index = index;
    this.#columns = columns;
    this.#names = names;
    this.#parts = [...parts];
  }

  /** Brings the next window. @returns false at the end. */
  async load(): Promise<boolean> {
    this.at = 0;
    this.window = null;
    while (this.#windows.length === 0) {
      const part = this.#parts[0];
      if (!part) return false;
      if (this.#next >= part.group.rows) {
        this.#parts.shift();
        this.#file = null;
        this.#next = 0;
        continue;
      }
      this.#file ??= rowGroupFile(part.group, await part.read(part.group.start, part.group.end));
      const limit = Math.min(windowRows(part.group), part.group.rows - this.#next);
      const table = readParquet(this.#file, { offset: this.#next, limit, batchSize: limit });
      const { batches } = tableFromIPC(table.intoIPCStream());
      const rows = batches.reduce((sum, batch) => sum + batch.numRows, 0);
      if (rows !== limit) throw new Error(`decoded ${rows} of ${limit} rows`);
      this.#next += limit;
      // The packed row group has done its service.
      if (this.#next >= part.group.rows) this.#file = null;
      const packedRowBytes = (part.group.end - part.group.start) / part.group.rows;
      this.#windows = batches.map((batch) => ({ ...windowOf(batch, this.#columns, this.#names), packedRowBytes }));
    }
    this.window = this.#windows.shift()!;
    return true;
  }
}

/** Columns whose values may be long: they bound a batch by bytes. */
const isWide = ({ type, maxBytes = 0 }: Columns[string]): boolean => type === "map_utf8" || maxBytes >= 1_024;

function windowOf(batch: RecordBatch, columns: Columns, names: Names): Omit<Window, "packedRowBytes"> {
  const rows = batch.numRows;
  const fields = new Map(batch.schema.fields.map(({ name }, at) => [name, batch.data.children[at]!]));
  const data = Object.keys(columns).map((name) => fields.get(name) ?? null);
  const wide = new Uint32Array(rows);
  for (const [at, column] of Object.values(columns).entries()) {
    const values = data[at];
    if (values && isWide(column) && values.nullCount < rows) addWidths(values, wide);
  }
  return {
    rows,
    columns: data,
    names: namesOf(fields.get("event_name"), rows, names),
    ...identitiesOf(fields.get("user_id"), fields.get("anonymous_id"), rows),
    times: timesOf(fields.get("event_time") ?? fields.get("received_at")!, rows),
    wide,
    bytes: batch.data.byteLength,
  };
}

function addWidths(data: Data, wide: Uint32Array): void {
  const texts = data.children.length === 0 ? [data] : data.children[0]!.children;
  const entries = data.children.length === 0 ? null : (data.valueOffsets as Int32Array);
  for (const { valueOffsets: offsets } of texts) {
    for (let i = 0; i < wide.length; i++) {
      wide[i]! += offsets[entries ? entries[i + 1]! : i + 1]! - offsets[entries ? entries[i]! : i]!;
    }
  }
}

function namesOf(data: Data | undefined, rows: number, names: Names): Int32Array {
  const numbers = new Int32Array(rows);
  if (!data) return numbers;
  const { values, valueOffsets } = data as { values: Uint8Array; valueOffsets: Int32Array };
  for (let i = 0, last = 0, length = -1, start = 0; i < rows; i++) {
    if (!data.getValid(i)) continue;
    const [from, to] = [valueOffsets[i]!, valueOffsets[i + 1]!];
    if (to - from !== length || compareBytes(values, from, to, values, start, start + length) !== 0) {
      last = names.numberOf(values.subarray(from, to));
      [length, start] = [to - from, from];
    }
    numbers[i] = last;
  }
  return numbers;
}

const NO_BYTES = new Uint8Array(0);

function identitiesOf(user: Data | undefined, device: Data | undefined, rows: number) {
  const identityOf = new Uint8Array(rows);
  const identityFrom = new Int32Array(rows);
  const identityTo = new Int32Array(rows);
  const texts = [user, device];
  for (const which of [1, 0]) {
    const data = texts[which];
    if (!data || data.nullCount === rows) continue;
    const offsets = data.valueOffsets as Int32Array;
    for (let i = 0; i < rows; i++) {
      if (data.nullCount > 0 && !data.getValid(i)) continue;
      identityOf[i] = which;
      identityFrom[i] = offsets[i]!;
      identityTo[i] = offsets[i + 1]!;
    }
  }
  const bytes = texts.map((data) => (data?.values as Uint8Array | undefined) ?? NO_BYTES);
  return { identity: [bytes[0]!, bytes[1]!] as const, identityOf, identityFrom, identityTo };
}

function timesOf(data: Data, rows: number): Float64Array {
  const values = data.values as BigInt64Array;
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * rows);
  const times = new Float64Array(rows);
  for (let i = 0; i < rows; i++) times[i] = words[2 * i + 1]! * 0x1_0000_0000 + (words[2 * i]! >>> 0);
  return times;
}

/** The order of Parquet, DuckDB and Iceberg: byte by byte. */
export function compareBytes(
  a: Uint8Array,
  aFrom: number,
  aTo: number,
  b: Uint8Array,
  bFrom: number,
  bTo: number,
): number {
  const length = Math.min(aTo - aFrom, bTo - bFrom);
  for (let i = 0; i < length; i++) {
    const order = a[aFrom + i]! - b[bFrom + i]!;
    if (order !== 0) return order;
  }
  return aTo - aFrom - (bTo - bFrom);
}
