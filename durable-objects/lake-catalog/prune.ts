/**
 * Which files cannot hold a row that a question asks for. A file is left out only on proof: whatever is unknown (no
 * bounds, too many names, a column younger than the file's statistics) keeps it in.
 */
import { compareBounds } from "../../r2-layout/statistics.ts";
import type { ColumnBounds } from "./api.ts";

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
