/** What the page shows of events, sessions, profiles and lookups, as the server sends them. */
import type { EventRow } from "../../../r2-layout/event-columns.ts";

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
  /** Of the lake: everything from here on has been looked at. */
  readonly reached?: string;
  readonly source?: "lake";
  /** Not all of the user's devices were looked at for events before a sign-in; of a device, not all of its users. */
  readonly cut?: boolean;
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

export interface DeviceFacts {
  readonly first_seen: string | null;
  readonly last_seen: string | null;
  /** Without a user. */
  readonly events: number;
  readonly users: readonly { readonly user_id: string; readonly last_seen: string }[];
  readonly cut: boolean;
}

/** The same text in two shards or of two sources is two events: an id alone is no key. */
export const keyOf = (event: TimelineEvent): string =>
  `${event.event_id} ${event.source} ${event.log_shard} ${event.log_seq}`;

/** Microseconds since the epoch: Date.parse stops at milliseconds. */
export function microsOf(time: string): number {
  const digits = /\.(\d+)/.exec(time)?.[1] ?? "";
  return Math.floor(Date.parse(time) / 1_000) * 1_000_000 + Number(digits.padEnd(6, "0").slice(0, 6));
}

/** What tells an event from its like at a glance: the page, or the properties that people look for first. */
export function eventHint(event: TimelineEvent): string {
  const properties = event.properties ?? {};
  if (event.event_type === "page" || event.event_type === "screen") {
    return [event.page_path ?? properties.path ?? properties.name, event.page_title ?? properties.title]
      .filter(Boolean)
      .join(" · ");
  }
  if (event.event_type === "identify") return [properties.email, properties.name].filter(Boolean).join(" · ");
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
