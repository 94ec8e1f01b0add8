/** Lengths of time that minutes, hours and days are added up to, in UTC, as SQL's date_trunc and time_bucket cut them. */
import { DAY_MS } from "../../r2-layout/limits.ts";

/** A width in milliseconds that a day is a multiple of, or one of the calendar. */
export type Bucket = { readonly width: number } | { readonly unit: "week" | "month" | "quarter" | "year" };

/** 1970-01-05 was a Monday, where weeks begin. */
const MONDAY_MS = 4 * DAY_MS;

/** Milliseconds: the start of the bucket that holds a time. */
export function bucketStart(bucket: Bucket, ms: number): number {
  if ("width" in bucket) return Math.floor(ms / bucket.width) * bucket.width;
  if (bucket.unit === "week") return Math.floor((ms - MONDAY_MS) / (7 * DAY_MS)) * 7 * DAY_MS + MONDAY_MS;
  const date = new Date(ms);
  const month = date.getUTCMonth();
  const first = bucket.unit === "year" ? 0 : bucket.unit === "quarter" ? month - (month % 3) : month;
  // Date.UTC takes the years 0 to 99 for those of the last century.
  return new Date(0).setUTCFullYear(date.getUTCFullYear(), first, 1);
}
