/** Types as JDBC numbers them (java.sql.Types), for the drivers' own tables. */
import type { ColumnFacts } from "./metadata-tables.ts";

interface JdbcType {
  readonly code: number;
  readonly precision: number | null;
  readonly radix: number | null;
}

const VARCHAR_MAX = 2_147_483_647;

function jdbcType(type: string): JdbcType {
  const [base = type] = type.split("(");
  return JDBC[base] ?? { code: 2000, precision: null, radix: null };
}

const JDBC: Readonly<Record<string, JdbcType>> = {
  boolean: { code: 16, precision: null, radix: null },
  tinyint: { code: -6, precision: 3, radix: 10 },
  smallint: { code: 5, precision: 5, radix: 10 },
  integer: { code: 4, precision: 10, radix: 10 },
  bigint: { code: -5, precision: 19, radix: 10 },
  real: { code: 7, precision: 24, radix: 2 },
  double: { code: 8, precision: 53, radix: 2 },
  decimal: { code: 3, precision: 38, radix: 10 },
  varchar: { code: 12, precision: VARCHAR_MAX, radix: null },
  varbinary: { code: -3, precision: VARCHAR_MAX, radix: null },
  date: { code: 91, precision: 14, radix: null },
  time: { code: 92, precision: 15, radix: null },
  timestamp: { code: 93, precision: 32, radix: null },
  array: { code: 2003, precision: null, radix: null },
  map: { code: 2000, precision: null, radix: null },
};

/** A row of system.jdbc.columns. */
export function jdbcColumn(catalog: string, schema: string, column: ColumnFacts): (string | number | null)[] {
  const { table, name, type, isRequired, doc, position } = column;
  const { code, precision, radix } = jdbcType(type);
  const isText = type === "varchar";
  return [
    catalog,
    schema,
    table,
    name,
    code,
    type,
    precision,
    null,
    type.startsWith("timestamp") ? 6 : null,
    radix,
    // columnNoNulls, columnNullable
    isRequired ? 0 : 1,
    doc,
    null,
    null,
    null,
    isText ? precision : null,
    position,
    isRequired ? "NO" : "YES",
    null,
    null,
    null,
    null,
    null,
    null,
  ];
}

/** Rows of system.jdbc.types. */
export const JDBC_TYPES: readonly (readonly (string | number | boolean | null)[])[] = Object.entries(JDBC)
  .filter(([name]) => name !== "array" && name !== "map")
  .map(([name, { code, precision, radix }]) => [
    name,
    code,
    precision,
    null,
    null,
    null,
    1,
    name === "varchar",
    3,
    false,
    false,
    false,
    null,
    0,
    0,
    null,
    null,
    radix,
  ]);
