/** Types that a Trino statement casts to, as DuckDB names them. Times have no zone here: all are UTC, to the microsecond. */
import { isNode, kind } from "../plan/syntax-tree.ts";
import { objectParts, quoted, unsupported } from "./sql-text.ts";

/** @param dataType the parser's. @throws Refused for a type that has no like in DuckDB. */
export function duckTypeOf(dataType: unknown): string {
  if (typeof dataType === "string") return named(dataType);
  if (!isNode(dataType)) throw unsupported("this type");
  const [name = ""] = Object.keys(dataType);
  const of = dataType[name];
  if (name === "Decimal" || name === "Numeric" || name === "Dec") return `DECIMAL${precision(of)}`;
  if (name === "Array") {
    const element = kind(dataType, "Array");
    const inner = element?.AngleBracket ?? element?.Parenthesis ?? (element?.SquareBracket as unknown[])?.[0];
    return `${duckTypeOf(inner)}[]`;
  }
  if (name === "Custom" && Array.isArray(of)) return custom(objectParts(of[0]).join("."), of[1] as string[]);
  return named(name);
}

function named(name: string): string {
  const type = DUCK_TYPES[name.toLowerCase()];
  if (type === undefined) throw unsupported(`the type ${name}`);
  return type;
}

/** `map(varchar, bigint)` and `row(a bigint, b varchar)`, of plain types: the parser keeps theirs as words. */
function custom(name: string, words: readonly string[]): string {
  const kindName = name.toLowerCase();
  if (kindName === "map" && words.length === 2) return `MAP(${words.map(named).join(", ")})`;
  if (kindName === "row" && words.length > 0 && words.length % 2 === 0) {
    const fields = Array.from(
      { length: words.length / 2 },
      (_, i) => `${quoted(words[2 * i]!)} ${named(words[2 * i + 1]!)}`,
    );
    return `STRUCT(${fields.join(", ")})`;
  }
  if (words.length > 0) throw unsupported(`the type ${name} of these`);
  return named(name);
}

function precision(of: unknown): string {
  const numbers = isNode(of)
    ? (of.PrecisionAndScale ?? (typeof of.Precision === "number" ? [of.Precision, 0] : null))
    : null;
  return Array.isArray(numbers) ? `(${numbers.join(", ")})` : "(38, 0)";
}

const DUCK_TYPES: Readonly<Record<string, string>> = {
  boolean: "BOOLEAN",
  bool: "BOOLEAN",
  tinyint: "TINYINT",
  smallint: "SMALLINT",
  integer: "INTEGER",
  int: "INTEGER",
  bigint: "BIGINT",
  real: "REAL",
  float: "REAL",
  double: "DOUBLE",
  doubleprecision: "DOUBLE",
  varchar: "VARCHAR",
  char: "VARCHAR",
  text: "VARCHAR",
  json: "VARCHAR",
  varbinary: "BLOB",
  uuid: "UUID",
  date: "DATE",
  time: "TIME",
  timestamp: "TIMESTAMP",
};
