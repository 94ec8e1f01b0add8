/**
 * A range of time as rows of days, hours and minutes, the longest that fit:
 *
 *     21st 22:58 ─ 24th 02:00     minutes 22:58 to 23:00, an hour, the 22nd and 23rd as days, two hours
 */
import type { Grain } from "../../../durable-objects/minute-rollup/api.ts";
import { ALL_TIME } from "../../../durable-objects/minute-rollup/api.ts";
import type { Bucket } from "../../../durable-objects/minute-rollup/bucket.ts";
import { GRAIN_MS } from "../../../durable-objects/minute-rollup/grains.ts";
import type { RowRange } from "../../../durable-objects/minute-rollup/tally-api.ts";
import { DAY_MS, HOUR_MS } from "../../../r2-layout/limits.ts";

/** @param range milliseconds, half open, on starts of a minute; null: without end. Oldest first. */
export function rowRanges(range: { from: number | null; to: number | null }, bucket: Bucket | null): RowRange[] {
  return covered(range.from ?? -ALL_TIME.to, range.to ?? ALL_TIME.to, grainsIn(bucket));
}

/** Longest first: rows that each lie in one bucket. */
function grainsIn(bucket: Bucket | null): readonly Grain[] {
  if (!bucket || "unit" in bucket || bucket.width % DAY_MS === 0) return ["day", "hour", "minute"];
  return bucket.width % HOUR_MS === 0 ? ["hour", "minute"] : ["minute"];
}

function covered(from: number, to: number, [grain, ...shorter]: readonly Grain[]): RowRange[] {
  if (!grain || from >= to) return [];
  const first = Math.ceil(from / GRAIN_MS[grain]) * GRAIN_MS[grain];
  const last = Math.floor(to / GRAIN_MS[grain]) * GRAIN_MS[grain];
  if (first >= last) return covered(from, to, shorter);
  return [...covered(from, first, shorter), { grain, from: first, to: last }, ...covered(last, to, shorter)];
}
