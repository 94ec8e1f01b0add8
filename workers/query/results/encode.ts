/**
 * Results as they leave: Arrow IPC messages go in as DuckDB makes them, encoded pieces come out and are handed on. Rows
 * and bytes are bounded here. A JSON answer is whole or a problem document; the other formats are sent while they are
 * made once they outgrow what is kept, and one that ends early then ends in what cannot be read, because half a table looks like a whole one.
 */
import { type RecordBatch, type Schema, tableFromIPC } from "apache-arrow";
import { SQL } from "../../../r2-layout/limits.ts";
import { StatementFailed } from "../problem.ts";
import { type Cell, cell } from "./cell.ts";
import { duckType, type ResultColumn } from "./column-types.ts";

export const FORMATS = ["json", "ndjson", "csv", "arrow", "parquet"] as const;
export type ResultFormat = (typeof FORMATS)[number];

export const CONTENT_TYPES: Record<ResultFormat, string> = {
  json: "application/json",
  ndjson: "application/x-ndjson",
  csv: "text/csv; charset=utf-8",
  arrow: "application/vnd.apache.arrow.stream",
  parquet: "application/vnd.apache.parquet",
};

type Bytes = Uint8Array<ArrayBuffer>;

/** Whether the beginning of an answer may be sent before its end is known. */
export const isStreamed = (format: ResultFormat): boolean => format !== "json";

export class ResultEncoder {
  readonly #format: ResultFormat;
  readonly #keep: (piece: Bytes) => void;
  readonly #limit: number;
  #schemaMessage: Bytes | null = null;
  #columns: ResultColumn[] = [];
  #bytes = 0;
  #rows = 0;
  /** There were more rows than the limit. */
  truncated = false;

  /** @param limit rows that are kept; what is beyond is left out. Arrow messages are handed on as they are, so not for them. */
  constructor(format: ResultFormat, keep: (piece: Bytes) => void, limit = Number.POSITIVE_INFINITY) {
    this.#format = format;
    this.#keep = keep;
    this.#limit = limit;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Bytes made so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the schema first, then record batches. @throws StatementFailed beyond the bounds of a result. */
  add(message: Bytes): void {
    if (!this.#schemaMessage) {
      this.#schemaMessage = message;
      const { schema } = tableFromIPC(message);
      this.#columns = columnsOf(schema);
      if (this.#format === "arrow") this.#add(message);
      else if (this.#format === "json") this.#addText(`{"columns":${JSON.stringify(this.#columns)},"rows":[`);
      else if (this.#format === "csv") this.#addText(`${this.#columns.map(({ name }) => csvText(name)).join(",")}\r\n`);
      return;
    }
    for (const batch of tableFromIPC(joined(this.#schemaMessage, message)).batches) {
      const rows = Math.min(batch.numRows, this.#limit - this.#rows);
      this.truncated ||= rows < batch.numRows;
      if (rows === 0) continue;
      const first = this.#rows === 0;
      this.#rows += rows;
      if (this.#rows > boundsOf(this.#format).rows) throw tooLarge(this.#format);
      if (this.#format === "arrow") this.#add(message);
      else this.#addText(this.#rowsText(batch, rows, first));
    }
  }

  /** Takes the next bytes of a file that another writes. */
  addFile(bytes: Bytes): void {
    this.#add(bytes);
  }

  /** How many rows such a file has. */
  countRows(rows: number): void {
    this.#rows = rows;
  }

  #rowsText(batch: RecordBatch, rows: number, first: boolean): string {
    const columns = batch.data.children;
    const lines: string[] = [];
    for (let row = 0; row < rows; row++) lines.push(this.#line(columns.map((column) => cell(column, row))));
    if (this.#format === "json") return `${first ? "" : ","}${lines.join(",")}`;
    return `${lines.join(this.#format === "csv" ? "\r\n" : "\n")}${this.#format === "csv" ? "\r\n" : "\n"}`;
  }

  #line(cells: readonly Cell[]): string {
    if (this.#format === "csv") return cells.map(csvCell).join(",");
    if (this.#format === "json") return JSON.stringify(cells);
    const parts = cells.map((value, i) => `${JSON.stringify(this.#columns[i]!.name)}:${JSON.stringify(value)}`);
    return `{${parts.join(",")}}`;
  }

  #addText(text: string): void {
    this.#add(encoder.encode(text) as Bytes);
  }

  #add(piece: Bytes): void {
    this.#bytes += piece.length;
    if (this.#bytes > boundsOf(this.#format).bytes) throw tooLarge(this.#format);
    this.#keep(piece);
  }
}

/** What ends an answer. @param stats what a JSON answer says about the statement; others carry it in a header. */
export function closing(format: ResultFormat, stats: unknown): Bytes {
  if (format === "json") return encoder.encode(`],"stats":${JSON.stringify(stats)}}\n`) as Bytes;
  return format === "arrow" ? END_OF_STREAM : NOTHING;
}

const encoder = new TextEncoder();
/** An Arrow stream ends with a continuation and a length of nothing. */
const END_OF_STREAM = new Uint8Array([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

const NOTHING = new Uint8Array(0);

/** What ends an answer that breaks off: text in a quote that nothing closes, a message of which most does not come. */
export function brokenEnd(format: ResultFormat, reason: string): Bytes {
  if (format === "csv") return encoder.encode(`"the answer broke off: ${reason}`) as Bytes;
  if (format === "ndjson") return encoder.encode(`{"the answer broke off: ${reason}`) as Bytes;
  return format === "arrow" ? LOST_MESSAGE : NOTHING;
}

const LOST_MESSAGE = new Uint8Array([0xff, 0xff, 0xff, 0xff, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

export const columnsOf = (schema: Schema): ResultColumn[] =>
  schema.fields.map((field) => ({ name: field.name, type: duckType(field.type) }));

function joined(a: Bytes, b: Bytes): Bytes {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Null is nothing, the empty text is `""`; what has parts is its JSON. */
function csvCell(value: Cell): string {
  if (value === null) return "";
  if (typeof value === "string") return csvText(value);
  return typeof value === "object" ? csvText(JSON.stringify(value)) : String(value);
}

const csvText = (text: string): string =>
  text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

const boundsOf = (format: ResultFormat): { readonly rows: number; readonly bytes: number } =>
  isStreamed(format)
    ? { rows: SQL.streamedRows, bytes: SQL.streamedBytes }
    : { rows: SQL.resultRows, bytes: SQL.resultBytes };

function tooLarge(format: ResultFormat): StatementFailed {
  const { rows, bytes } = boundsOf(format);
  return new StatementFailed({
    reason: "result_too_large",
    detail: isStreamed(format)
      ? "aggregate, or take less with LIMIT"
      : "aggregate, take less with LIMIT, or ask for ndjson, csv, arrow or parquet, which are sent while they are made",
    limit_rows: rows,
    limit_bytes: bytes,
  });
}
