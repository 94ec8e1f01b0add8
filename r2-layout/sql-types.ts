/** What SQL calls each column type: DuckDB's names, in views, on the SQL page and in the reference. */
import type { ColumnType } from "./event-columns.ts";

export const SQL_TYPES = {
  utf8: "VARCHAR",
  timestamp_us: "TIMESTAMP",
  int32: "INTEGER",
  int64: "BIGINT",
  float64: "DOUBLE",
  boolean: "BOOLEAN",
  list_utf8: "VARCHAR[]",
  map_utf8: "MAP(VARCHAR, VARCHAR)",
} as const satisfies Record<ColumnType, string>;
