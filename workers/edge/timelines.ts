/** What support asks: the last hour of a user or a device, a user's sessions and profile. */
import type { EventsPage, EventsRequest, Subject, UserTimelineApi } from "../../durable-objects/user-timeline/api.ts";
import { EVENT_COLUMNS, type EventRow } from "../../r2-layout/event-columns.ts";
import { MINUTE_MS, TIMELINE } from "../../r2-layout/limits.ts";
import { isoMicros, MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { Parameters } from "./parameters.ts";

const MINUTES_DEFAULT = 60;
/** Sixty years: whatever is kept. */
const MINUTES_MAX = 60 * 24 * 366 * 60;
const CURSOR_CHARS = 1_000;

/** @param now microseconds. */
export function eventsRequest(parameters: Parameters, now: number): EventsRequest {
  const minutes = parameters.count("minutes", { fallback: MINUTES_DEFAULT, max: MINUTES_MAX });
  const cursor = parameters.text("cursor", CURSOR_CHARS);
  return {
    from: now - minutes * MINUTE_MS * MICROS_PER_MS,
    limit: parameters.count("limit", { fallback: TIMELINE.pageLimitDefault, max: TIMELINE.pageLimitMax }),
    ...(cursor !== undefined && { cursor }),
  };
}

export type TimelineOf = (subject: Subject) => UserTimelineApi;

export async function userEvents(timelines: TimelineOf, id: string, request: EventsRequest): Promise<unknown> {
  return eventsJson(await timelines({ kind: "user", id }).events(request));
}

export async function userSessions(timelines: TimelineOf, id: string, parameters: Parameters): Promise<unknown> {
  const limit = parameters.count("limit", { fallback: TIMELINE.sessionsInHead, max: TIMELINE.pageLimitMax });
  const sessions = await timelines({ kind: "user", id }).sessions(limit);
  return {
    sessions: sessions.map((session) => ({
      ...session,
      start: isoMicros(session.start),
      end: isoMicros(session.end),
    })),
  };
}

export async function userProfile(timelines: TimelineOf, id: string): Promise<unknown> {
  const profile = await timelines({ kind: "user", id }).profile();
  const time = (us: number | null) => (us === null ? null : isoMicros(us));
  return {
    user_id: id,
    ...profile,
    first_seen: time(profile.first_seen),
    last_seen: time(profile.last_seen),
    last_values: Object.fromEntries(
      Object.entries(profile.last_values).map(([key, { value, at }]) => [key, { value, at: isoMicros(at) }]),
    ),
    devices: profile.devices.map((device) => ({ ...device, last_seen: isoMicros(device.last_seen) })),
  };
}

export function eventsJson(page: EventsPage): { events: Record<string, unknown>[]; next: string | null } {
  return { events: page.events.map(eventJson), next: page.next };
}

const TIME_COLUMNS = Object.entries(EVENT_COLUMNS).flatMap(([name, { type }]) =>
  type === "timestamp_us" ? [name as keyof EventRow] : [],
);

/** A row with its times as text. */
export function eventJson(row: EventRow): Record<string, unknown> {
  const json: Record<string, unknown> = { ...row };
  for (const column of TIME_COLUMNS) {
    const time = row[column];
    if (typeof time === "number") json[column] = isoMicros(time);
  }
  return json;
}
