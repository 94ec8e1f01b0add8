/** The same question over fewer days, and the same question for an engine that can take it whole. */

import type { TableName } from "../../../r2-layout/event-columns.ts";
import { isoMicros } from "../../../r2-layout/time.ts";
import { type TablePlace, TIME_COLUMNS } from "../plan/plan-statement.ts";

export interface Narrower {
  readonly table: TableName;
  readonly column: string;
  /** ISO, UTC: the newest days that fit. */
  readonly from: string;
  readonly to: string | null;
  /** To be added by AND wherever the table is read. */
  readonly condition: string;
  /** The statement with it. */
  readonly sql: string;
}

/** @param fromUs from which time on it would fit. @param toUs where the statement's range ends anyway. */
export function narrower(
  sql: string,
  places: readonly TablePlace[],
  table: TableName,
  fromUs: number,
  toUs: number | undefined,
): Narrower {
  const column = TIME_COLUMNS[table];
  const from = isoMicros(fromUs);
  const condition = `${column} >= TIMESTAMP '${from.slice(0, 19).replace("T", " ")}'`;
  return {
    table,
    column,
    from,
    to: toUs === undefined ? null : isoMicros(toUs),
    condition,
    sql: withTables(sql, places, (place) =>
      place.table === table
        ? `(SELECT * FROM ${table} WHERE ${condition})${place.aliased ? "" : ` AS ${table}`}`
        : null,
    ),
  };
}

/** The statement with its tables under the names that other engines know them by (docs/engines.md); Trino's dialect is another. */
export function elsewhere(sql: string, places: readonly TablePlace[]): Readonly<Record<string, string>> {
  const named = (prefix: string) =>
    withTables(sql, places, ({ table, aliased }) => `${prefix}.${table}${aliased ? "" : ` AS ${table}`}`);
  return { duckdb: named("lake.eventpile"), spark: named("lake.eventpile") };
}

function withTables(sql: string, places: readonly TablePlace[], written: (place: TablePlace) => string | null): string {
  // The parser counts characters, not UTF-16 units.
  const chars = Array.from(sql);
  for (const place of places.toSorted((a, b) => b.start - a.start)) {
    const text = written(place);
    if (text !== null) chars.splice(place.start, place.end - place.start, text);
  }
  return chars.join("");
}
