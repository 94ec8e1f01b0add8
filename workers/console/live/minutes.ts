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

/** Events per second: arrivals of the last ten seconds, or, until there are that many, the last whole minute. */
export function eventRate(state: LiveState, now: number): number {
  if (now - state.since < RATE_MS) {
    const whole = lastMinutes(state, now, 2)[0]?.minute;
    return (whole?.events ?? 0) / 60;
  }
  const recent = state.arrivals.filter(([at]) => at > now - RATE_MS);
  return recent.reduce((sum, [, events]) => sum + events, 0) / (RATE_MS / 1_000);
}

/** Sums the minutes' top values, largest first. Each minute's list is cut, so a rare value may count too low. */
export function topValues(
  minutes: readonly (LiveMinute | null)[],
  dimension: Dimension,
  count: number,
): [value: string, events: number][] {
  const sums = new Map<string, number>();
  for (const minute of minutes) {
    for (const [value, events] of minute?.[dimension] ?? []) sums.set(value, (sums.get(value) ?? 0) + events);
  }
  return [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, count);
}

/** Revenue by currency, largest first. */
export function revenueOf(minutes: readonly (LiveMinute | null)[]): [currency: string, sum: number][] {
  const sums = new Map<string, number>();
  for (const minute of minutes) {
    for (const [currency, value] of Object.entries(minute?.revenue ?? {})) {
      sums.set(currency, (sums.get(currency) ?? 0) + value);
    }
  }
  return [...sums].filter(([, value]) => value !== 0).sort((a, b) => b[1] - a[1]);
}

export const eventsOf = (minutes: readonly (LiveMinute | null)[]): number =>
  minutes.reduce((sum, minute) => sum + (minute?.events ?? 0), 0);
