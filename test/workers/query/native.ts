/** Native DuckDB over the same files, one thread, its values as our JSON says them. */
import {
  type DuckDBConnection,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBInstance,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  type DuckDBValue,
} from "@duckdb/node-api";
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { isoMicros } from "../../../r2-layout/time.ts";

export interface Native {
  rows(sql: string): Promise<unknown[][]>;
  run(sql: string): Promise<void>;
  close(): void;
}

/** @param paths the files of `events`; between them they have every one of its columns. */
export async function nativeDuckDb(
  paths: readonly string[],
  columns: readonly string[] = Object.keys(EVENT_COLUMNS),
): Promise<Native> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection: DuckDBConnection = await instance.connect();
  if (paths.length > 0) {
    const list = paths.map((path) => `'${path}'`).join(", ");
    await connection.run(
      `CREATE VIEW events AS SELECT ${columns.join(", ")} FROM read_parquet([${list}], union_by_name=true)`,
    );
  }
  return {
    async rows(sql) {
      const result = await connection.runAndReadAll(modern(sql));
      return result.getRows().map((row) => row.map(cell));
    },
    async run(sql) {
      await connection.run(sql);
    },
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

/** In DuckDB 0.9 a map's entry is a list of at most one value, in today's it is the value. */
const modern = (sql: string): string => sql.replaceAll(/(properties\['[^']*'\])\[1\]/g, "$1");

function cell(value: DuckDBValue): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (value instanceof DuckDBTimestampValue) return isoMicros(Number(value.micros));
  if (value instanceof DuckDBDateValue) return value.toString();
  if (value instanceof DuckDBTimeValue)
    return value.toString().padEnd(15, ".000000".slice(value.toString().length - 8));
  if (value instanceof DuckDBDecimalValue) {
    const digits = String(value.value).replace("-", "").length;
    return digits <= 15 ? value.toDouble() : value.toString();
  }
  if (value instanceof DuckDBListValue) return value.items.map(cell);
  if (value instanceof DuckDBStructValue) {
    return Object.fromEntries(Object.entries(value.entries).map(([key, field]) => [key, cell(field)]));
  }
  if (value instanceof DuckDBMapValue) {
    return Object.fromEntries(value.entries.map((entry) => [String(entry.key), cell(entry.value)]));
  }
  return value;
}
