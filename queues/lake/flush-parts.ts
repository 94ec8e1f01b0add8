/**
 * How a step of the log becomes files: one for today, one for yesterday, one for all other days together, so that late
 * data makes at most one file more, whatever days it comes from. Days are those of `TIME_COLUMN`.
 */
import type { AnyRow } from "../../r2-layout/arrow-rows.ts";
import { TIME_COLUMN } from "../../r2-layout/data-file.ts";
import type { TableName } from "../../r2-layout/event-columns.ts";
import { DAY_US, dayOf, MICROS_PER_MS } from "../../r2-layout/time.ts";

export interface FlushPart {
  readonly table: TableName;
  /** Null where the rows may be of several days. */
  readonly day: string | null;
  readonly rows: readonly AnyRow[];
}

/** Every row is in one part; no part is empty. */
export function flushParts(table: TableName, rows: readonly AnyRow[], nowMs: number): FlushPart[] {
  const today = Math.floor((nowMs * MICROS_PER_MS) / DAY_US);
  const byAge: [AnyRow[], AnyRow[], AnyRow[]] = [[], [], []];
  for (const row of rows) {
    const age = today - Math.floor((row[TIME_COLUMN[table]] as number) / DAY_US);
    byAge[age === 0 ? 0 : age === 1 ? 1 : 2].push(row);
  }
  return byAge
    .map((rows, age) => ({ table, day: age < 2 ? dayOf((today - age) * DAY_US) : null, rows }))
    .filter(({ rows }) => rows.length > 0);
}
