/** What the support page asks for, and how events fall into sessions. Pure but for the paths. */
import type { EventRow } from "../../../r2-layout/event-columns.ts";

export type SubjectKind = "user" | "device";
export interface Lookup {
  readonly kind: SubjectKind;
  readonly id: string;
  readonly minutes: number;
}

/** A row as JSON: times are text, `2026-11-22T05:02:51.123456Z`. */
export type TimelineEvent = { readonly [K in keyof EventRow]: EventRow[K] | string } & {
  readonly event_id: string;
  readonly event_name: string;
  readonly event_type: string;
  readonly event_time: string;
  readonly properties?: Readonly<Record<string, string>> | null;
};

export interface TimelinePage {
  readonly events: readonly TimelineEvent[];
  readonly next: string | null;
}

export interface Session {
  readonly id: string;
  readonly start: string;
  readonly end: string;
  readonly events: number;
  readonly pages: number;
  readonly entry: string | null;
  readonly exit: string | null;
  readonly referrer: string | null;
  readonly device_type: string | null;
  readonly country: string | null;
  readonly revenue: number;
}

export interface UserProfile {
  readonly first_seen: string | null;
  readonly last_seen: string | null;
  readonly events: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly revenue: Readonly<Record<string, number>>;
  readonly last_values: Readonly<Record<string, { readonly value: string; readonly at: string }>>;
  readonly devices: readonly {
    readonly anonymous_id: string;
    readonly last_seen: string;
    readonly device_type: string | null;
  }[];
  readonly active_days: readonly string[];
}

const PAGE_EVENTS = 100;
export const SESSION_GAP_MS = 30 * 60_000;

const subjectPath = ({ kind, id }: Lookup) => `/v1/${kind}s/${encodeURIComponent(id)}`;

export function eventsPath(lookup: Lookup, cursor: string | null): string {
  const query = new URLSearchParams({ minutes: String(lookup.minutes), limit: String(PAGE_EVENTS) });
  if (cursor !== null) query.set("cursor", cursor);
  return `${subjectPath(lookup)}/events?${query}`;
}
export const sessionsPath = (lookup: Lookup): string => `${subjectPath(lookup)}/sessions`;
export const profilePath = (lookup: Lookup): string => `${subjectPath(lookup)}/profile`;

/** `/support?user=ada&minutes=60`: what a colleague can be sent. */
export function lookupQuery(lookup: Lookup): string {
  return `?${new URLSearchParams({ [lookup.kind]: lookup.id, minutes: String(lookup.minutes) })}`;
}

export function parseLookup(search: string, minutesDefault: number): Lookup | null {
  const query = new URLSearchParams(search);
  const kind = query.has("user") ? "user" : "device";
  const id = query.get(kind)?.trim();
  const minutes = Number(query.get("minutes"));
  return id ? { kind, id, minutes: Number.isInteger(minutes) && minutes > 0 ? minutes : minutesDefault } : null;
}

export interface SessionGroup {
  readonly key: string;
  /** The sender's session, where it keeps one. */
  readonly sessionId: string | null;
  /** Milliseconds, of the events that are loaded. */
  readonly start: number;
  readonly end: number;
  /** Newest first, as they came. */
  readonly events: readonly TimelineEvent[];
}

/**
 * Cuts events (newest first) into sessions: where the sender's session changes, or, without one, where half an hour
 * was silent. Sessions of two devices may interleave: each is one group, at the place of its newest event.
 */
export function groupBySession(events: readonly TimelineEvent[]): SessionGroup[] {
  const groups: { key: string; sessionId: string | null; start: number; end: number; events: TimelineEvent[] }[] = [];
  const bySession = new Map<string, (typeof groups)[number]>();
  for (const event of events) {
    const at = Date.parse(event.event_time);
    const sessionId = event.session_id ?? null;
    // A group without a session belongs to one device.
    const key = sessionId ?? `device ${event.anonymous_id ?? ""}`;
    let group = bySession.get(key);
    if (!group || (sessionId === null && group.start - at > SESSION_GAP_MS)) {
      group = { key: `${key} ${event.event_id}`, sessionId, start: at, end: at, events: [] };
      groups.push(group);
      bySession.set(key, group);
    }
    group.start = Math.min(group.start, at);
    group.events.push(event);
  }
  return groups;
}

/** The store's summary of a group's session: of the same name, or, where the sender named none, of the same time. */
export function summaryOf(group: SessionGroup, sessions: readonly Session[]): Session | undefined {
  if (group.sessionId !== null) return sessions.find((session) => session.id === group.sessionId);
  return sessions.find((session) => Date.parse(session.start) <= group.end && Date.parse(session.end) >= group.start);
}

/** Who was signed in on a device, the newest first. */
export function usersOf(events: readonly TimelineEvent[]): string[] {
  return [...new Set(events.flatMap((event) => (typeof event.user_id === "string" ? [event.user_id] : [])))];
}

/** What tells an event from its like at a glance: the page, or the properties that people look for first. */
export function eventHint(event: TimelineEvent): string {
  const properties = event.properties ?? {};
  const named = ["name", "title", "product", "product_name", "product_id", "order_id", "query", "label", "status"];
  const parts = named.flatMap((key) => (properties[key] ? [properties[key]] : [])).slice(0, 2);
  if (event.event_type === "page" || event.event_type === "screen" || parts.length === 0) {
    parts.unshift(...[event.page_path ?? properties.path].filter((path) => path !== undefined && path !== null));
  }
  return parts.join(" · ");
}

/** Columns worth a line of their own when an event is opened, in the table's order, without what the row shows. */
export function detailsOf(event: TimelineEvent): [name: string, value: string][] {
  const shown = new Set(["properties", "event_name", "event_type"]);
  return Object.entries(event)
    .filter(([name, value]) => !shown.has(name) && value !== null && value !== undefined && value !== "")
    .map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : String(value)]);
}
