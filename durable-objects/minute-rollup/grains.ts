/** Minutes, hours and days of UTC, in milliseconds, and when each of them is final. */
import { DAY_MS, HOUR_MS, MINUTE_MS, ROLLUP } from "../../r2-layout/limits.ts";
import type { Grain } from "./api.ts";

export const GRAIN_MS = { minute: MINUTE_MS, hour: HOUR_MS, day: DAY_MS } as const satisfies Record<Grain, number>;

/** The start of the minute, hour or day that holds a time. */
export const grainStart = (grain: Grain, ms: number): number => Math.floor(ms / GRAIN_MS[grain]) * GRAIN_MS[grain];

/**
 * Final once the log was complete until `ROLLUP.finalAfterMs` after its end: what was committed by then is in. An hour
 * is so with its last minute. Derived, never stored: becoming final costs no row.
 */
export const isFinal = (grain: Grain, start: number, completeUntil: number): boolean =>
  completeUntil >= start + GRAIN_MS[grain] + ROLLUP.finalAfterMs;
