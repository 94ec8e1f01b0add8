/** The last hour as the hub's frames tell it, and what the page reads from it. Pure: the time is an argument. */
import type { LiveFrame, LiveMinute } from "../../../durable-objects/live-hub/api.ts";
import { DIMENSIONS, type Dimension } from "../../../durable-objects/minute-rollup/api.ts";

export const MINUTE_MS = 60_000;
export const MINUTES_SHOWN = 60;
/** Arrivals are counted over this long for the rate. */
const RATE_MS = 10_000;

export { DIMENSIONS, type Dimension, type LiveFrame, type LiveMinute };

export interface LiveState {
  /** By start, milliseconds. */
  readonly minutes: ReadonlyMap<number, LiveMinute>;
  /** Server clock less this browser's, milliseconds. */
  readonly clockOffset: number;
  /** Since when this state has been fed without a gap, this browser's clock. */
  readonly since: number;
  /** Events that arrived lately: [this browser's clock, how many]. */
  readonly arrivals: readonly (readonly [at: number, events: number])[];
}

/** A snapshot starts anew: what came during a gap in the connection is not an arrival. */
export function applyFrame(state: LiveState | null, frame: LiveFrame, now: number): LiveState {
  const clockOffset = Date.parse(frame.at) - now;
  if (frame.type === "snapshot" || state === null) {
    const minutes = frame.type === "snapshot" ? frame.minutes : [frame];
    return { minutes: new Map(minutes.map((m) => [Date.parse(m.start), m])), clockOffset, since: now, arrivals: [] };
  }
  const start = Date.parse(frame.start);
  const before = state.minutes.get(start);
  const gained = Math.max(0, frame.events - (before?.events ?? 0));
  const oldest = now + clockOffset - (MINUTES_SHOWN + 5) * MINUTE_MS;
  return {
    minutes: new Map([...state.minutes, [start, frame] as const].filter(([minute]) => minute >= oldest)),
    clockOffset,
    since: state.since,
    arrivals: [...state.arrivals.filter(([at]) => at > now - RATE_MS), [now, gained] as const],
  };
}

/** One place for each of the last `count` minutes, oldest first, the running one last; null where nothing happened. */
export function lastMinutes(
  state: LiveState,
  now: number,
  count = MINUTES_SHOWN,
): { start: number; minute: LiveMinute | null }[] {
  const current = Math.floor((now + state.clockOffset) / MINUTE_MS) * MINUTE_MS;
  return Array.from({ length: count }, (_, index) => {
    const start = current - (count - 1 - index) * MINUTE_MS;
    return { start, minute: state.minutes.get(start) ?? null };
  });
}

/** Events per second: arrivals of the last ten seconds; until those were watched, the last whole minute's; before there is one, the running one's. */
export function eventRate(state: LiveState, now: number): number {
  if (now - state.since < RATE_MS) {
    const [whole, running] = lastMinutes(state, now, 2);
    if (whole?.minute) return whole.minute.events / 60;
    const seconds = (now + state.clockOffset - running!.start) / 1_000;
    return (running?.minute?.events ?? 0) / Math.max(RATE_MS / 1_000, seconds);
  }
  const recent = state.arrivals.filter(([at]) => at > now - RATE_MS);
  return recent.reduce((sum, [, events]) => sum + events, 0) / (RATE_MS / 1_000);
}

/** A minute is final within a minute of its end, where all is well. */
const LATE_MS = 3 * MINUTE_MS;

/** Start of the oldest minute that should long have been final: the figures lag behind. Null where none. */
export function laggingSince(state: LiveState, now: number): number | null {
  const ended = now + state.clockOffset - LATE_MS - MINUTE_MS;
  const late = [...state.minutes].filter(([start, minute]) => minute.state === "provisional" && start < ended);
  return late.length === 0 ? null : Math.min(...late.map(([start]) => start));
}
