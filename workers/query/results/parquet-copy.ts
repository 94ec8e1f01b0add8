/**
 * A result as a Parquet file, written by DuckDB itself (COPY), so that lists, maps and structs are what they were. Two types
 * it would not write as they are: HUGEINT, the sum of integers, which it rounds to a double, and INTERVAL, cut to
 * milliseconds in a form that few readers know; they become DECIMAL(38,0) and text.
 */
import type { ResultColumn } from "./column-types.ts";

/** Rows of a row group: what DuckDB holds on its heap before it writes. */
const ROW_GROUP_ROWS = 20_480;

/** @param columns of the statement's result. @param file the one name that may be written. */
export function parquetCopy(sql: string, columns: readonly ResultColumn[], file: string): string {
  const inner = columns.map((_, i) => `c${i}`).join(", ");
  const names = uniqueNames(columns);
  const outer = columns.map(({ type }, i) => `${written(`c${i}`, type)} AS ${quoted(names[i]!)}`).join(", ");
  return `COPY (SELECT ${outer} FROM (${sql}) AS result(${inner})) TO '${file}' (FORMAT PARQUET, CODEC 'ZSTD', ROW_GROUP_SIZE ${ROW_GROUP_ROWS})`;
}

function written(column: string, type: string): string {
  const as = withoutFieldNames(type);
  if (!/\b(HUGEINT|INTERVAL)\b/.test(as)) return column;
  return `CAST(${column} AS ${type.replaceAll(WORDS, (word) => WRITTEN_AS[word] ?? word)})`;
}

/** A name of a struct's field stands in quotes, or is in small letters. */
const WORDS = /"(?:[^"]|"")*"|\b[A-Z]+\b/g;
const WRITTEN_AS: Readonly<Record<string, string>> = {
  HUGEINT: "DECIMAL(38,0)",
  INTERVAL: "VARCHAR",
  ENUM: "VARCHAR",
  '"NULL"': "INTEGER",
};

const withoutFieldNames = (type: string): string => type.replaceAll(/"(?:[^"]|"")*"/g, "");

/** As DuckDB names a second column of the same name. */
function uniqueNames(columns: readonly ResultColumn[]): string[] {
  const taken = new Set<string>();
  return columns.map(({ name }) => {
    let unique = name;
    for (let i = 1; taken.has(unique.toLowerCase()); i++) unique = `${name}:${i}`;
    taken.add(unique.toLowerCase());
    return unique;
  });
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
