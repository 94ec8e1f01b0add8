/**
 * The Parquet encoder (parquet-wasm) behind one small class: row groups in, a file out. Wasm memory never shrinks, so
 * what counts is its peak: rows go in by small batches, and a row group leaves as soon as it is whole.
 */
import { type RecordBatch, type Schema, Table, tableToIPC } from "apache-arrow";
import {
  Compression,
  EnabledStatistics,
  initSync,
  transformParquetStream,
  Table as WasmTable,
  type WriterProperties,
  WriterPropertiesBuilder,
} from "parquet-wasm/esm";
import { arrowSchema } from "./arrow-columns.ts";
import { type AnyRow, recordBatch } from "./arrow-rows.ts";
import { joinBytes } from "./bytes.ts";
import { type Columns, TABLES, type TableName } from "./event-columns.ts";
import { LAKE, SCHEMA } from "./limits.ts";
import { joinParts, readFooter, rowCount } from "./parquet-footer.ts";
import { isPromoted } from "./promoted-columns.ts";
import { isBounded } from "./statistics.ts";
import type { ThriftStruct } from "./thrift-compact.ts";

export interface ParquetFile {
  readonly bytes: Uint8Array;
  readonly footer: ThriftStruct;
}

/** The rows of one row group: an array, or what makes its rows as they are asked for, each once and in order. */
export interface RowGroup {
  readonly length: number;
  slice(from: number, to: number): readonly AnyRow[];
}

export class ParquetWriter {
  readonly #memory: WebAssembly.Memory;

  /** The module is compiled once per isolate; making a second writer of it costs nothing. */
  constructor(module: WebAssembly.Module) {
    this.#memory = initSync({ module }).memory;
  }

  /** Bytes of the encoder's memory: its peak so far. */
  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** A file with these row groups, in order. @throws RangeError without rows, TypeError where a row lacks a required value. */
  async write(table: TableName, rowGroups: Iterable<RowGroup>, columns: Columns = TABLES[table]): Promise<ParquetFile> {
    const schema = arrowSchema(columns);
    const parts: Uint8Array[] = [];
    for (const rows of rowGroups) {
      const part = await encodeRowGroup(batches(columns, schema, rows), writerProperties(columns));
      const written = rowCount(readFooter(part));
      // The encoder reports an error in its stream by ending it.
      if (written !== rows.length) throw new Error(`encoder wrote ${written} of ${rows.length} rows`);
      parts.push(part);
    }
    return joinParts(parts);
  }
}

/** A dictionary of values that hardly repeat is larger than the values: without, files are 9 % smaller. */
const DISTINCT_COLUMNS = [
  "event_id",
  "raw",
  "event_time",
  "received_at",
  "sent_at",
  "client_time",
  "client_seq",
  "log_seq",
];

/** How a file is written. Ids of people get no statistics in the footer either. The encoder takes it over: one for each part. */
export function writerProperties(columns: Columns): WriterProperties {
  let builder = new WriterPropertiesBuilder()
    .setCompression(Compression.ZSTD)
    .setMaxRowGroupSize(LAKE.rowGroupRows)
    .setStatisticsEnabled(EnabledStatistics.Chunk);
  for (const [name, column] of Object.entries(columns)) {
    if (!isBounded(name, column)) builder = builder.setColumnStatisticsEnabled(name, EnabledStatistics.None);
  }
  for (const name of DISTINCT_COLUMNS) builder = builder.setColumnDictionaryEnabled(name, false);
  // Dictionary and page of a column are a megabyte each, and are looked at every thousand values.
  if (promotedTexts(columns).length > SCHEMA.roomyTexts) {
    builder = builder
      .setDictionaryPageSizeLimit(SCHEMA.crampedBytes)
      .setDataPageSizeLimit(SCHEMA.crampedBytes)
      .setWriteBatchSize(SCHEMA.crampedValues);
  }
  return builder.build();
}

function* batches(columns: Columns, schema: Schema, rows: RowGroup): Generator<RecordBatch> {
  const wide = ["raw", "page_url", "referrer", ...promotedTexts(columns)];
  for (let from = 0; from < rows.length; from += LAKE.batchRows) {
    const page = rows.slice(from, from + LAKE.batchRows);
    let start = 0;
    let chars = 0;
    for (let i = 0; i < page.length; i++) {
      chars += wideChars(page[i]!, wide);
      if (chars < LAKE.batchChars && i + 1 < page.length) continue;
      yield recordBatch(schema, columns, page.slice(start, i + 1));
      start = i + 1;
      chars = 0;
    }
  }
}

const promotedTexts = (columns: Columns): string[] =>
  Object.keys(columns).filter((name) => isPromoted(columns[name]!) && columns[name]!.type === "utf8");

/** Characters in the columns that can be wide: with them bounded, so is a batch. */
function wideChars(row: AnyRow, wide: readonly string[]): number {
  let chars = 0;
  const properties = row.properties as Readonly<Record<string, string>> | null | undefined;
  for (const key in properties) chars += key.length + properties[key]!.length;
  for (const name of wide) {
    const text = row[name];
    if (typeof text === "string") chars += text.length;
  }
  return chars;
}

/**
 * A file of one row group. A batch is asked for when the one before has been taken.
 * @throws what making a batch throws. An error of the encoder's own ends its stream: count the rows of what comes back.
 */
export async function encodeRowGroup(
  batches: Iterator<RecordBatch> | AsyncIterator<RecordBatch>,
  properties: WriterProperties,
): Promise<Uint8Array> {
  let failure: { readonly error: unknown } | null = null;
  const input = new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await batches.next();
          if (done) controller.close();
          else controller.enqueue(toWasm(value));
        } catch (error) {
          failure = { error };
          controller.error(error);
        }
      },
    },
    { highWaterMark: 0 },
  );
  const chunks: Uint8Array[] = [];
  try {
    const output = await transformParquetStream(input, properties);
    for await (const chunk of output as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
  } finally {
    throwIf(failure);
  }
  return joinBytes(chunks);
}

/** Set in a callback, which the compiler does not follow. */
function throwIf(failure: { readonly error: unknown } | null): void {
  if (failure) throw failure.error;
}

/** Copies a batch into the encoder's memory; the encoder frees it once written. */
function toWasm(batch: RecordBatch) {
  const table = WasmTable.fromIPCStream(tableToIPC(new Table([batch]), "stream"));
  try {
    return table.recordBatch(0)!;
  } finally {
    table.free();
  }
}
