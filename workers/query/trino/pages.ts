/** A result on its way to pages: record batches become lines of JSON, a page is as many as fit. */
import { type RecordBatch, RecordBatchReader } from "apache-arrow";
import { TRINO } from "../../../r2-layout/limits.ts";
import { TrinoFailed } from "./errors.ts";
import { type TrinoColumn, trinoColumn } from "./trino-types.ts";
import { trinoValue } from "./trino-value.ts";

export interface PageSink {
  /** Once, before any page. */
  columns(columns: readonly TrinoColumn[]): void;
  /** Rows as the inside of a JSON list. */
  page(bytes: Uint8Array, rows: number): void;
}

const encoder = new TextEncoder();

/**
 * One batch is in memory at a time.
 * @param body an Arrow stream.
 * @throws TrinoFailed for a row that no page holds, or a number that Trino's types do not.
 */
export async function writePages(
  body: ReadableStream<Uint8Array>,
  sink: PageSink,
  resultBytes: number = TRINO.resultBytes,
): Promise<void> {
  const reader = await RecordBatchReader.from(body);
  await reader.open();
  sink.columns(reader.schema.fields.map(({ name, type }) => trinoColumn(name, type)));
  const page = new Page(sink, resultBytes);
  for await (const batch of reader) page.add(batch);
  page.end();
}

class Page {
  readonly #sink: PageSink;
  readonly #resultBytes: number;
  #lines: string[] = [];
  #chars = 0;
  #bytes = 0;

  constructor(sink: PageSink, resultBytes: number) {
    this.#sink = sink;
    this.#resultBytes = resultBytes;
  }

  add(batch: RecordBatch): void {
    const columns = batch.data.children;
    for (let row = 0; row < batch.numRows; row++) {
      const line = `[${columns.map((column) => trinoValue(column, row)).join(",")}]`;
      this.#lines.push(line);
      this.#chars += line.length + 1;
      if (this.#chars >= TRINO.pageChars) this.end();
    }
  }

  end(): void {
    if (this.#lines.length === 0) return;
    const bytes = encoder.encode(this.#lines.join(","));
    if (bytes.length > TRINO.pageBytesMax) {
      throw new TrinoFailed("EXCEEDED_LOCAL_MEMORY_LIMIT", `A row exceeds ${TRINO.pageBytesMax} bytes`);
    }
    this.#bytes += bytes.length;
    if (this.#bytes > this.#resultBytes) {
      throw new TrinoFailed(
        "EXCEEDED_LOCAL_MEMORY_LIMIT",
        `A result exceeds ${this.#resultBytes} bytes: aggregate, or LIMIT`,
      );
    }
    this.#sink.page(bytes, this.#lines.length);
    this.#lines = [];
    this.#chars = 0;
  }
}
