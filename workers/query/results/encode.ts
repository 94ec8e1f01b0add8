/**
 * Results as they leave: Arrow IPC messages go in as DuckDB makes them, encoded pieces come out, and only those are
 * kept. Rows and bytes are bounded here; beyond the bound nothing of the result is sent, because half a table looks
 * like a whole one.
 */
import { type RecordBatch, type Schema, tableFromIPC } from "apache-arrow";
import { SQL } from "../../../r2-layout/limits.ts";
import { StatementFailed } from "../problem.ts";
import { type Cell, cell } from "./cell.ts";
import { duckType, type ResultColumn } from "./column-types.ts";

export const FORMATS = ["json", "ndjson", "csv", "arrow"] as const;
export type ResultFormat = (typeof FORMATS)[number];

export const CONTENT_TYPES: Record<ResultFormat, string> = {
  json: "application/json",
  ndjson: "application/x-ndjson",
  csv: "text/csv; charset=utf-8",
  arrow: "application/vnd.apache.arrow.stream",
};

type Bytes = Uint8Array<ArrayBuffer>;

export class ResultEncoder {
  readonly #format: ResultFormat;
  readonly #pieces: Bytes[] = [];
  #schemaMessage: Bytes | null = null;
  #columns: ResultColumn[] = [];
  #bytes = 0;
  #rows = 0;

  constructor(format: ResultFormat) {
    this.#format = format;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Bytes kept so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the schema first, then record batches. @throws StatementFailed beyond the bounds of a result. */
  add(message: Bytes): void {
    if (!this.#schemaMessage) {
      this.#schemaMessage = message;
      const { schema } = tableFromIPC(message);
      this.#columns = columnsOf(schema);
      if (this.#format === "arrow") this.#keep(message);
      else if (this.#format === "json") this.#keepText(`{"columns":${JSON.stringify(this.#columns)},"rows":[`);
      else if (this.#format === "csv")
        this.#keepText(`${this.#columns.map(({ name }) => csvText(name)).join(",")}\r\n`);
      return;
    }
    for (const batch of tableFromIPC(joined(this.#schemaMessage, message)).batches) {
      if (batch.numRows === 0) continue;
      const first = this.#rows === 0;
      this.#rows += batch.numRows;
      if (this.#rows > SQL.resultRows) throw tooLarge();
      if (this.#format === "arrow") this.#keep(message);
      else this.#keepText(this.#rowsText(batch, first));
    }
  }

  /** The whole body. @param stats what a JSON answer says about the statement; others carry it in a header. */
  finish(stats: unknown): Bytes[] {
    if (this.#format === "json") this.#keepText(`],"stats":${JSON.stringify(stats)}}\n`);
    if (this.#format === "arrow") this.#keep(END_OF_STREAM);
    return this.#pieces;
  }

  #rowsText(batch: RecordBatch, first: boolean): string {
    const columns = batch.data.children;
    const lines: string[] = [];
    for (let row = 0; row < batch.numRows; row++) lines.push(this.#line(columns.map((column) => cell(column, row))));
    if (this.#format === "json") return `${first ? "" : ","}${lines.join(",")}`;
    return `${lines.join(this.#format === "csv" ? "\r\n" : "\n")}${this.#format === "csv" ? "\r\n" : "\n"}`;
  }

  #line(cells: readonly Cell[]): string {
    if (this.#format === "csv") return cells.map(csvCell).join(",");
    if (this.#format === "json") return JSON.stringify(cells);
    const parts = cells.map((value, i) => `${JSON.stringify(this.#columns[i]!.name)}:${JSON.stringify(value)}`);
    return `{${parts.join(",")}}`;
  }

  #keepText(text: string): void {
    this.#keep(encoder.encode(text) as Bytes);
  }

  #keep(piece: Bytes): void {
    this.#bytes += piece.length;
    if (this.#bytes > SQL.resultBytes) throw tooLarge();
    this.#pieces.push(piece);
  }
}

const encoder = new TextEncoder();
/** An Arrow stream ends with a continuation and a length of nothing. */
const END_OF_STREAM = new Uint8Array([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

const columnsOf = (schema: Schema): ResultColumn[] =>
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

function tooLarge(): StatementFailed {
  return new StatementFailed({
    reason: "result_too_large",
    detail: "aggregate, or take less with LIMIT",
    limit_rows: SQL.resultRows,
    limit_bytes: SQL.resultBytes,
  });
}
