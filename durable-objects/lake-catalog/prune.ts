/**
 * Which files cannot hold a row that a question asks for. A file is left out only on proof: whatever is unknown (no
 * bounds, too many names, a column younger than the file's statistics) keeps it in.
 */
import type { EventPlace, RuleFilter, RuleValue } from "../../r2-layout/rule.ts";
import { compareBounds } from "../../r2-layout/statistics.ts";
import type { ColumnBounds, LogReach, NewDataFile } from "./api.ts";

/** Whether a file whose column has these bounds may hold one of the values. */
export function mayHold(bounds: ColumnBounds | undefined, rows: number, values: readonly (string | number)[]): boolean {
  if (!bounds) return true;
  if (bounds.nulls >= rows) return false; // Nothing equals null.
  return values.some((value) => !isBelow(value, bounds.min) && !isAbove(value, bounds.max));
}

/** Whether a file that holds these event names, null for more than were counted, may hold one of those asked for. */
export function mayHoldName(names: readonly string[] | null, asked: readonly string[]): boolean {
  return names === null || asked.some((name) => names.includes(name));
}

function isBelow(value: string | number, min: string | number | undefined): boolean {
  return min !== undefined && typeof min === typeof value && compareBounds(value, min) < 0;
}

function isAbove(value: string | number, max: string | number | undefined): boolean {
  return max !== undefined && typeof max === typeof value && compareBounds(value, max) > 0;
}

type Statistics = Pick<NewDataFile, "table" | "rows" | "minTime" | "maxTime" | "eventNames" | "columns">;

/** Whether a rule with this filter may match a row of the file. Quarantined rows are no rule's. */
export function mayMatch({ from, to, where, places }: RuleFilter, file: Statistics): boolean {
  if (file.table !== "events") return false;
  if ((from !== undefined && file.maxTime < from) || (to !== undefined && file.minTime >= to)) return false;
  if (places && !mayHoldPlace(file.columns, places)) return false;
  return Object.entries(where ?? {}).every(([field, values]) => mayHoldValue(file, field, values ?? []));
}

function mayHoldValue(file: Statistics, field: string, values: readonly RuleValue[]): boolean {
  const present = values.filter((value) => value !== null);
  if (field === "event_name") return mayHoldName(file.eventNames, present as string[]);
  const bounds = Object.hasOwn(file.columns, field) ? file.columns[field] : undefined;
  if (!bounds || (values.includes(null) && bounds.nulls > 0)) return true;
  return mayHold(bounds, file.rows, present);
}

const mayHoldPlace = (columns: Statistics["columns"], places: readonly EventPlace[]): boolean =>
  places.some(({ shard, seq }) => within(columns.log_shard, shard, shard) && within(columns.log_seq, seq, seq));

/** Whether a file with these columns may hold rows of any of the parts of the log. */
export function mayReach(
  columns: Statistics["columns"],
  reach: readonly (readonly [shard: number, part: LogReach])[],
): boolean {
  return reach.some(
    ([shard, { after, to }]) => within(columns.log_shard, shard, shard) && within(columns.log_seq, after + 1, to),
  );
}

function within(bounds: ColumnBounds | undefined, low: number, high: number): boolean {
  return !isBelow(high, bounds?.min) && !isAbove(low, bounds?.max);
}
