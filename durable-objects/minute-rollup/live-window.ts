/** Which minutes are live: what a shard publishes and a screen shows. */
import { LIVE, MINUTE_MS } from "../../r2-layout/limits.ts";

/** Starts from..to in ms, half open: the last hour, the current minute, and a little for clocks that run ahead. */
export function liveWindow(now: number): { from: number; to: number } {
  const current = Math.floor(now / MINUTE_MS) * MINUTE_MS;
  return { from: current - (LIVE.minutes - 1) * MINUTE_MS, to: current + (1 + LIVE.minutesAhead) * MINUTE_MS };
}
