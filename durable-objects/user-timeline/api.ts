/**
 * What others may ask of a UserTimeline: an object per user, and one per device. Named by a keyed hash of the
 * identifier (`timelineName`), never by the identifier: the runtime keeps names in clear text.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";

export type Subject = { readonly kind: "user" | "device"; readonly id: string };

/** The events of one subject in one flush of one shard: segments from..to, both inclusive. */
export interface TimelineAppend {
  readonly subject: Subject;
  readonly shard: number;
  readonly from: number;
  readonly to: number;
  /** In log order. For a device these are only events without a user. */
  readonly events: readonly EventRow[];
  /** For a device: users that were seen on it in this flush, with the newest event_time of each in microseconds. */
  readonly users?: readonly { readonly id: string; readonly lastSeen: number }[];
}

export interface EventsRequest {
  /** Half-open range of event_time, microseconds. */
  readonly from?: number;
  readonly to?: number;
  readonly limit: number;
  /** As the last page gave it. */
  readonly cursor?: string;
  /** Only events of this device. */
  readonly anonymousId?: string;
}

/** Newest first, by (event_time, event_id). */
export interface EventsPage {
  readonly events: EventRow[];
  /** Pass it back for the next page; null at the end. */
  readonly next: string | null;
}

export interface SessionSummary {
  /** The sender's session id where it has one, else one minted from subject and start. */
  readonly id: string;
  /** Microseconds. */
  readonly start: number;
  readonly end: number;
  readonly events: number;
  readonly pages: number;
  readonly entry: string | null;
  readonly exit: string | null;
  readonly referrer: string | null;
  readonly device_type: string | null;
  readonly country: string | null;
  readonly revenue: number;
}

export interface Profile {
  readonly first_seen: number | null;
  readonly last_seen: number | null;
  readonly events: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly revenue: Readonly<Record<string, number>>;
  /** Newest value of each trait and of chosen columns, with its time in microseconds. */
  readonly last_values: Readonly<Record<string, { readonly value: string; readonly at: number }>>;
  readonly devices: readonly {
    readonly anonymous_id: string;
    readonly last_seen: number;
    readonly device_type: string | null;
  }[];
  /** Days (`YYYY-MM-DD`) on which there were events. */
  readonly active_days: readonly string[];
}

export interface UserTimelineApi {
  /**
   * `pointers` are devices (anonymous ids) of these events whose own object should point to this user: new ones, ones not pointed
   * at for a day, and, when the append was applied before, all of them: a crash may have come between the two.
   */
  append(append: TimelineAppend): Promise<{ pointers: string[] }>;
  events(request: EventsRequest): Promise<EventsPage>;
  sessions(limit: number): Promise<SessionSummary[]>;
  profile(): Promise<Profile>;
  /** For a device: its newest users, at most `TIMELINE.usersPerDevice`; `cut` says that there were more. */
  users(): Promise<{ users: { id: string; lastSeen: number }[]; cut: boolean }>;
}
