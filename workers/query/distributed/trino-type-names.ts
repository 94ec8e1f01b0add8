/** Types of a cast, by DuckDB's names, as Trino names them. */
import { isNode, kind } from "../plan/syntax-tree.ts";
import { unsupported } from "../trino/sql-text.ts";

/** @throws Refused for a type that it does not have. */
export function trinoTypeOf(dataType: unknown): string {
  if (typeof dataType === "string") return named(dataType);
  if (!isNode(dataType)) throw unsupported("this type");
  const [name = ""] = Object.keys(dataType);
  const of = dataType[name];
  if (name === "Decimal" || name === "Numeric") {
    const numbers = isNode(of) ? of.PrecisionAndScale : null;
    return `decimal(${Array.isArray(numbers) ? numbers.join(", ") : "18, 3"})`;
  }
  if (name === "Array") {
    const inner = kind(dataType, "Array");
    return `array(${trinoTypeOf(inner?.AngleBracket ?? (inner?.SquareBracket as unknown[])?.[0])})`;
  }
  return named(name);
}

function named(name: string): string {
  const type = TYPES[name.toLowerCase()];
  if (type === undefined) throw unsupported(`the type ${name}`);
  return type;
}

const TYPES: Readonly<Record<string, string>> = {
  boolean: "boolean",
  bool: "boolean",
  tinyint: "tinyint",
  smallint: "smallint",
  int: "integer",
  integer: "integer",
  bigint: "bigint",
  real: "real",
  float: "real",
  double: "double",
  doubleprecision: "double",
  varchar: "varchar",
  text: "varchar",
  string: "varchar",
  date: "date",
  time: "time(6)",
  timestamp: "timestamp(6)",
};
