/** What the support page asks for, and how events fall into sessions. Pure but for the paths. */
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { TIMELINE } from "../../../r2-layout/limits.ts";

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
/** The store's own rule. */
export const SESSION_GAP_MS = TIMELINE.sessionGapMs;

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
  /** Milliseconds, of the events that are loaded. */
  readonly start: number;
  readonly end: number;
  /** Newest first, as they came. */
  readonly events: readonly TimelineEvent[];
}

/**
 * Cuts events (newest first) where half an hour was silent: the store's own rule, whatever a sender calls its sessions,
 * because servers and apps send their part of a visit without its name.
 */
export function groupBySession(events: readonly TimelineEvent[]): SessionGroup[] {
  const groups: { key: string; start: number; end: number; events: TimelineEvent[] }[] = [];
  for (const event of events) {
    const at = Date.parse(event.event_time);
    let group = groups.at(-1);
    if (!group || group.start - at >= SESSION_GAP_MS) {
      group = { key: event.event_id, start: at, end: at, events: [] };
      groups.push(group);
    }
    group.start = at;
    group.events.push(event);
  }
  return groups;
}

/** The store's summary of a group's session; it may reach further back than the events that are loaded. */
export function summaryOf(group: SessionGroup, sessions: readonly Session[]): Session | undefined {
  return sessions.find((session) => Date.parse(session.start) <= group.end && Date.parse(session.end) >= group.start);
}

/** Who was signed in on a device, the newest first. */
export function usersOf(events: readonly TimelineEvent[]): string[] {
  return [...new Set(events.flatMap((event) => (typeof event.user_id === "string" ? [event.user_id] : [])))];
}

/** What tells an event from its like at a glance: the page, or the properties that people look for first. */
export function eventHint(event: TimelineEvent): string {
  const properties = event.properties ?? {};
  if (event.event_type === "page" || event.event_type === "screen") {
    return [event.page_path ?? properties.path ?? properties.name, event.page_title ?? properties.title]
      .filter(Boolean)
      .join(" · ");
  }
  const named = ["name", "title", "product", "product_name", "product_id", "order_id", "query", "label", "status"];
  const values = named.flatMap((key) => (properties[key] ? [properties[key]] : []));
  return values.length > 0 ? values.slice(0, 2).join(" · ") : String(event.page_path ?? "");
}

/** Columns worth a line of their own when an event is opened, in the table's order, without what the row shows. */
export function detailsOf(event: TimelineEvent): [name: string, value: string][] {
  const shown = new Set(["properties", "event_name", "event_type"]);
  return Object.entries(event)
    .filter(([name, value]) => !shown.has(name) && value !== null && value !== undefined && value !== "")
    .map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : String(value)]);
}
