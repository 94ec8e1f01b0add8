/** Hours of event_time that were touched, kept as ranges (milliseconds, half open, in order, apart from each other). Pure. */
import { HOUR_MS, REPLAY } from "../../r2-layout/limits.ts";

export interface HourRange {
  readonly from: number;
  readonly to: number;
}

/** @param hours starts of hours, in any order. */
export function addHours(ranges: readonly HourRange[], hours: readonly number[]): HourRange[] {
  const all = [...ranges, ...hours.map((from) => ({ from, to: from + HOUR_MS }))].sort((a, b) => a.from - b.from);
  const joined: { from: number; to: number }[] = [];
  for (const { from, to } of all) {
    const last = joined.at(-1);
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else joined.push({ from, to });
  }
  return mergeRanges(joined, REPLAY.hourRanges);
}

/** At most `most` ranges: those closest to each other become one, with the hours between them. */
export function mergeRanges(ranges: readonly HourRange[], most: number): HourRange[] {
  const excess = ranges.length - most;
  if (excess <= 0) return [...ranges];
  const gaps = ranges.slice(1).map(({ from }, i) => ({ i, gap: from - ranges[i]!.to }));
  const closed = new Set(
    gaps
      .sort((a, b) => a.gap - b.gap || a.i - b.i)
      .slice(0, excess)
      .map(({ i }) => i),
  );
  const merged: { from: number; to: number }[] = [];
  for (const [at, range] of ranges.entries()) {
    if (at > 0 && closed.has(at - 1)) merged.at(-1)!.to = range.to;
    else merged.push({ ...range });
  }
  return merged;
}
