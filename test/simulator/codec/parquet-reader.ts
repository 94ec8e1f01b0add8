/** Stands in for r2-layout/parquet-reader.ts in simulated runs: see codec.ts. */
import type { AnyRow } from "../../../r2-layout/arrow-rows.ts";
import { type Columns, TABLES, type TableName } from "../../../r2-layout/event-columns.ts";
import type { DecodedRows } from "../../../r2-layout/parquet-reader.ts";
import { codec, decodePlain, plainRows } from "./codec.ts";

export type { DecodedRows };

type Real = typeof import("../../../r2-layout/parquet-reader.ts");
let real: Real | null = null;

export async function loadRealReader(): Promise<void> {
  real ??= await import("../../../r2-layout/parquet-reader.ts");
}

export function decodeParquet(
  _module: WebAssembly.Module,
  table: TableName,
  file: Uint8Array,
  columns?: readonly string[],
  range?: { readonly from: number; readonly to: number },
  known: Columns = TABLES[table],
): DecodedRows {
  const plain = decodePlain(file);
  if (!plain) return real!.decodeParquet(codec.parquet!, table, file, columns, range, known);
  const all = plainRows(plain);
  const rows = range ? all.slice(range.from, range.to) : all;
  return {
    length: rows.length,
    row: (index, wanted = columns ?? Object.keys(known)) => picked(rows[index]!, wanted),
  };
}

/** As the real reader gives a row: a column without a value is absent. */
function picked(row: AnyRow, columns: readonly string[]): AnyRow {
  const some: Record<string, unknown> = {};
  for (const name of columns) if (row[name] !== null && row[name] !== undefined) some[name] = row[name];
  return some;
}
