/** What support asks: the last hour of a user or a device, a user's sessions and profile. Times leave as text. */
import type { EventsPage, EventsRequest, Profile, SessionSummary } from "../../durable-objects/user-timeline/api.ts";
import { parseStitchedCursor } from "../../durable-objects/user-timeline/stitched-view.ts";
import { EVENT_COLUMNS, type EventRow } from "../../r2-layout/event-columns.ts";
import { INGEST, MINUTE_MS, TIMELINE } from "../../r2-layout/limits.ts";
import { DAY_US, isoMicros, MICROS_PER_MS, parseTime } from "../../r2-layout/time.ts";
import { badParameter, countParameter } from "./parameters.ts";

const MINUTES_DEFAULT = 60;
/** Sixty years: whatever is kept. */
const MINUTES_MAX = 60 * 24 * 366 * 60;
const SESSIONS_DEFAULT = 50;

/** @param now microseconds. @throws Refused */
export function eventsRequest(query: URLSearchParams, now: number): EventsRequest {
  const minutes = countParameter(query, "minutes", { fallback: MINUTES_DEFAULT, max: MINUTES_MAX });
  const limit = countParameter(query, "limit", { fallback: TIMELINE.pageLimitDefault, max: TIMELINE.pageLimitMax });
  const cursor = query.get("cursor") || undefined;
  try {
    parseStitchedCursor(cursor);
  } catch {
    throw badParameter("cursor", "as the last page gave it");
  }
  return { from: now - minutes * MINUTE_MS * MICROS_PER_MS, limit, ...(cursor !== undefined && { cursor }) };
}

/** What pages of events are asked for: all of it but the cursor holds for the next page, too. */
export interface PagesAsked extends EventsRequest {
  /** Of `from` and `to`, where one of them was given. */
  readonly range: PastRange | null;
  /** With anonymous events before a sign-in. */
  readonly stitch: boolean;
}

/** @param now microseconds. @throws Refused */
export function pagesAsked(query: URLSearchParams, now: number): PagesAsked {
  const stitch = query.get("stitch");
  if (stitch !== null && stitch !== "0" && stitch !== "1") throw badParameter("stitch", "0 or 1");
  return { ...eventsRequest(query, now), range: pastRange(query, now), stitch: stitch === "1" };
}

/** Half-open range of event_time, microseconds. */
export interface PastRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The range that `from` or `to` asks for, null where both are absent. @param now microseconds; what `to` is by default.
 * @throws Refused
 */
export function pastRange(query: URLSearchParams, now: number): PastRange | null {
  const time = (name: string, fallback: number): number => {
    const text = query.get(name);
    const micros = text === null ? fallback : parseTime(text);
    if (micros === null) throw badParameter(name, "a time, as 2026-01-31T12:00:00Z");
    return micros;
  };
  if (!query.has("from") && !query.has("to")) return null;
  const range = { from: time("from", 0), to: time("to", now + DAY_US) };
  if (range.from >= range.to) throw badParameter("from", "a time before `to`");
  return range;
}

/**
 * Whether timelines may have let go of something in it, for its age. That goes by receipt, which may be before the time at
 * which a sender says that it happened.
 */
export const isPast = ({ from }: PastRange, now: number): boolean =>
  from < now - TIMELINE.daysKept * DAY_US + INGEST.futureSkewMs * MICROS_PER_MS;

/** @throws Refused */
export const sessionsLimit = (query: URLSearchParams): number =>
  countParameter(query, "limit", { fallback: SESSIONS_DEFAULT, max: TIMELINE.sessionsPerAnswer });

/** Keeps what a page says besides its events. */
export function eventsJson<P extends EventsPage>(page: P): Omit<P, "events"> & { events: Record<string, unknown>[] } {
  return { ...page, events: page.events.map(eventJson) };
}

const TIME_COLUMNS = Object.entries(EVENT_COLUMNS).flatMap(([name, { type }]) =>
  type === "timestamp_us" ? [name as keyof EventRow] : [],
);

export function eventJson(row: EventRow): Record<string, unknown> {
  const json: Record<string, unknown> = { ...row };
  for (const column of TIME_COLUMNS) {
    const time = row[column];
    if (typeof time === "number") json[column] = isoMicros(time);
  }
  return json;
}

export const sessionsJson = (sessions: readonly SessionSummary[]) => ({
  sessions: sessions.map((session) => ({ ...session, start: isoMicros(session.start), end: isoMicros(session.end) })),
});

export function profileJson(userId: string, profile: Profile): Record<string, unknown> {
  const time = (us: number | null) => (us === null ? null : isoMicros(us));
  return {
    user_id: userId,
    ...profile,
    first_seen: time(profile.first_seen),
    last_seen: time(profile.last_seen),
    last_values: Object.fromEntries(
      Object.entries(profile.last_values).map(([name, { value, at }]) => [name, { value, at: isoMicros(at) }]),
    ),
    devices: profile.devices.map((device) => ({ ...device, last_seen: isoMicros(device.last_seen) })),
  };
}
