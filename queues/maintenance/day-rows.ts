/**
 * Rows of one data file in a range of time, a few thousand at a time: the footer is read first, then row group after row
 * group that may hold some. Memory: one row group packed, and a window of it decoded, whatever the size of the file.
 */
import type { DataFile } from "../../durable-objects/lake-catalog/api.ts";
import type { AnyRow } from "../../r2-layout/arrow-rows.ts";
import { TIME_COLUMN } from "../../r2-layout/data-file.ts";
import { type Columns, TABLES } from "../../r2-layout/event-columns.ts";
import { KiB, LAKE } from "../../r2-layout/limits.ts";
import { footerSize, readFooterTail, rowGroupFile, rowGroupParts } from "../../r2-layout/parquet-footer.ts";
import { decodeParquet } from "../../r2-layout/parquet-reader.ts";
import { rowGroupBounds } from "../../r2-layout/statistics.ts";

export interface DayRowsDeps {
  readonly bucket: {
    get(
      key: string,
      options?: { range: { offset: number; length: number } },
    ): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
  };
  /** parquet-wasm's module. */
  readonly parquet: WebAssembly.Module;
}

export interface DayRowsRequest {
  readonly file: Pick<DataFile, "key" | "bytes" | "table">;
  /** Microseconds, half open. */
  readonly from: number;
  readonly through: number;
  /** Absent: all of `known`. */
  readonly columns?: readonly string[];
  /** Absent: those that every lake has. */
  readonly known?: Columns;
}

const TAIL_BYTES = 64 * KiB;

/** @throws where the object is missing, shorter than it should be, or damaged. */
export async function* dayRows(deps: DayRowsDeps, request: DayRowsRequest): AsyncGenerator<AnyRow[]> {
  const { file, from, through, columns, known = TABLES[file.table] } = request;
  const time = TIME_COLUMN[file.table];
  const names = columns && [...new Set([...columns, time])];
  let tail = await read(deps, file, Math.max(0, file.bytes - TAIL_BYTES), file.bytes);
  if (footerSize(tail) > tail.length) tail = await read(deps, file, file.bytes - footerSize(tail), file.bytes);
  const footer = readFooterTail(tail);
  const bounds = rowGroupBounds(footer, time);
  for (const [i, group] of rowGroupParts(footer).entries()) {
    const { min, max } = bounds[i] ?? { min: null, max: null };
    if ((max !== null && max < from) || (min !== null && min >= through)) continue;
    const alone = rowGroupFile(group, await read(deps, file, group.start, group.end));
    for (let first = 0; first < group.rows; first += LAKE.batchRows) {
      const part = { from: first, to: Math.min(group.rows, first + LAKE.batchRows) };
      const decoded = decodeParquet(deps.parquet, file.table, alone, names, part, known);
      const rows: AnyRow[] = [];
      for (let row = 0; row < decoded.length; row++) {
        const at = decoded.row(row, [time])[time] as number;
        if (at >= from && at < through) rows.push(decoded.row(row));
      }
      if (rows.length > 0) yield rows;
    }
  }
}

async function read(
  { bucket }: DayRowsDeps,
  { key }: DayRowsRequest["file"],
  start: number,
  end: number,
): Promise<Uint8Array> {
  const object = await bucket.get(key, { range: { offset: start, length: end - start } });
  if (!object) throw new Error(`data file ${key} is missing`);
  const bytes = new Uint8Array(await object.arrayBuffer());
  if (bytes.length !== end - start) throw new RangeError(`data file ${key} ends early`);
  return bytes;
}
