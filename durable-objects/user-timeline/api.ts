/**
 * What others may ask of a UserTimeline: an object per user, and one per device. Named by a keyed hash of the
 * identifier (`timelineName`), never by the identifier: the runtime keeps names in clear text.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import type { EventPlace } from "../../r2-layout/rule.ts";
import type { LeftUser, ToldUser } from "./known-users.ts";

export type Subject = { readonly kind: "user" | "device"; readonly id: string };

/** The events of one subject in one flush of one shard: segments from..to, both inclusive. */
export interface TimelineAppend {
  readonly subject: Subject;
  readonly shard: number;
  readonly from: number;
  readonly to: number;
  /** In log order; those at or below the last log_seq applied from this shard are skipped. For a device only events without a user. */
  readonly events: readonly EventRow[];
  /** For a device: users that were seen on it in this flush, with the newest event_time of each in microseconds. */
  readonly users?: readonly ToldUser[];
  /** The rule version that the events passed through; absent: 0. A timeline that knows a newer one refuses the append. */
  readonly rules?: number;
}

export interface AppendAnswer {
  readonly pointers: string[];
  /** Of the user's events, as of which the devices are pointed at it. Absent: of an object of before. */
  readonly revision?: number;
  /** E-mail addresses that the index is to know this subject by: new ones, and, as with `pointers`, those of events applied before. */
  readonly emails?: string[];
}

export interface EventsRequest {
  /** Half-open range of event_time, microseconds. */
  readonly from?: number;
  readonly to?: number;
  /** 1 to `TIMELINE.pageLimitMax`; what lies outside is brought inside. */
  readonly limit: number;
  /** Packed bytes of the answer: at most and by default `TIMELINE.pageBytes`. */
  readonly maxBytes?: number;
  /** As the last page gave it; `parseCursor` in event-order.ts tells whether a text from outside is one. */
  readonly cursor?: string;
  /** Only events of this device. */
  readonly anonymousId?: string;
  /** Whether the page is to say where it lacks some (`lacking`). */
  readonly whole?: boolean;
}

/** Newest first, by (event_time, event_id). */
export interface EventsPage {
  readonly events: EventRow[];
  /** Pass it back for the next page; null at the end. A page may hold less than its limit, even nothing, and have one. */
  readonly next: string | null;
  /** Where it was asked for: events that belong here may have been let go for their number. The lake has them. */
  readonly lacking?: true;
}

export interface SessionSummary {
  /**
   * A label: the sender's session id where an event has one, else one minted from subject and start. The 30-minute rule alone
   * makes sessions, so two may have one sender's id; with `start` it is unique.
   */
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
  /** All currencies together. */
  readonly revenue: number;
}

export interface Profile {
  readonly first_seen: number | null;
  readonly last_seen: number | null;
  /** All there ever were, kept or not. */
  readonly events: number;
  /** By event name, largest first; names beyond `TIMELINE.eventNames` (bounded-counts.ts says which) under `(other)`. */
  readonly counts: Readonly<Record<string, number>>;
  /** By currency, `` where none was given. */
  readonly revenue: Readonly<Record<string, number>>;
  /** Newest value of some columns, by their name, and of each trait, as `traits.<name>`, with its time in microseconds. */
  readonly last_values: Readonly<Record<string, { readonly value: string; readonly at: number }>>;
  readonly devices: readonly {
    readonly anonymous_id: string;
    readonly last_seen: number;
    readonly device_type: string | null;
  }[];
  /** Days (`YYYY-MM-DD`) on which there were events. */
  readonly active_days: readonly string[];
  /** Some of what a correction changed had expired here: figures and values may still contain it. */
  readonly uncorrected?: true;
}

export interface UserTimelineApi {
  /**
   * `pointers` are devices (anonymous ids) of these events whose own object should point to this user: new ones, ones not pointed
   * at for a day, and, when the append was applied before, all of them: a crash may have come between the two.
   * @throws RangeError, its message begins with `rules:`, where the timeline knows a newer rule than the append.
   */
  append(append: TimelineAppend): Promise<AppendAnswer>;
  /** @throws RangeError for a cursor that no page gave. */
  events(request: EventsRequest): Promise<EventsPage>;
  /** Newest first, at most `TIMELINE.sessionsPerAnswer`. */
  sessions(limit: number): Promise<SessionSummary[]>;
  profile(): Promise<Profile>;
  /** For a device: its newest users, at most `TIMELINE.usersPerDevice`; `cut` says that there were more. */
  users(): Promise<{ users: { id: string; lastSeen: number }[]; cut: boolean }>;
}

/** An event by its place in the log and its id. */
export type { EventPlace } from "../../r2-layout/rule.ts";

/** An event that is to go. Its times, where they are known, spare a look through all that is kept. */
export type RemovedPlace = EventPlace & Partial<Pick<EventRow, "event_time" | "received_at">>;

/** Changes events that a timeline has: a correction, a retraction, a fill. Each event is known by its place and id. */
export interface TimelineAmend {
  readonly subject: Subject;
  /** Appends and amendments that know an older rule version are refused from now on. */
  readonly rules: number;
  readonly remove: readonly RemovedPlace[];
  /** Put in place of the event of the same place and id, or added where there is none. */
  readonly put: readonly EventRow[];
  /** Only adds: what is there stays as it is, and the rule version is not kept in mind. */
  readonly fill?: boolean;
  /**
   * What goes stands, or will, at another place of the log: no rule takes it, so the version is not kept in mind, and nothing
   * is marked where it may have gone before. No way back (`unsettle`) brings it again.
   */
  readonly moves?: boolean;
  /** As in `TimelineAppend`. */
  readonly users?: TimelineAppend["users"];
  /**
   * For a device: users of whom events were taken from it, the newest of them of `until`. One that is not known to have been
   * here later is now known by `lastSeen`, or, for null, no more.
   */
  readonly left?: readonly LeftUser[];
  /** For a user: devices of which the answer is to say when the user was last seen there. */
  readonly devices?: readonly string[];
}

export interface AmendAnswer {
  readonly added: number;
  readonly replaced: number;
  readonly removed: number;
  /**
   * Events that may have counted here once but are no longer kept, so that counters and values may still contain them, and
   * such as are too old to be added. The profile is then marked `uncorrected`.
   */
  readonly beyondReach: number;
  /** Devices of what was put that are to be pointed at this user: all of them, for a crash may have come before. */
  readonly pointers: string[];
  /** For each of `devices`: event_time of the user's newest event there, null where there is none. */
  readonly lastSeen: (number | null)[];
  /** As in `AppendAnswer`. */
  readonly revision?: number;
  /** As in `AppendAnswer`, of what was put: all of them, for a crash may have come before. */
  readonly emails?: string[];
}

export interface TimelineAmendApi {
  /**
   * Safe to repeat. What follows from the events (sessions, counters, last values, devices) is as if they had come so.
   * @throws RangeError, its message begins with `rules:`, where the timeline knows a newer rule.
   */
  amend(amend: TimelineAmend): Promise<AmendAnswer>;
  /** Leaves nothing: no event, no state, no alarm. */
  erase(): Promise<void>;
}

/** What a timeline keeps, up to places in the log: two builds of one subject that have read as far are the same in it. */
export interface TimelineDigest {
  readonly events: number;
  /** Of the events as they are stored, in their order; hex. */
  readonly hash: string;
  /** Events were let go for their number: then two builds need not keep the same ones. */
  readonly cut: boolean;
}

export interface TimelineCompareApi {
  /** @param upTo seq by shard: of other shards nothing counts. @param since received_at, microseconds: what was received before does not count */
  digest(upTo: Readonly<Record<number, number>>, since: number): Promise<TimelineDigest>;
}

/** Whether an entry is one that a piece of a rebuilt window stands for. */
export interface WindowRange {
  readonly shard: number;
  /** Segments from..to, exclusive, inclusive. */
  readonly from: number;
  readonly to: number;
  /** received_at, microseconds, half open; null: without end. */
  readonly receivedFrom: number | null;
  readonly receivedTo: number | null;
}

/** A part of a window as the log has it for one subject, kept beside the timeline until the whole is settled. */
export interface WindowPiece extends WindowRange {
  readonly job: string;
  readonly subject: Subject;
  /** All events of the subject in that range. */
  readonly events: readonly EventRow[];
  readonly rules: number;
}

/** What a piece would change: events of its range in the timeline, in the piece, and those of either that are not in the other as they are. */
export interface WindowDifference {
  readonly before: number;
  readonly after: number;
  readonly differing: number;
}

export interface SettledWindow {
  readonly subject: Subject;
  /** For a user: devices to be pointed at this user, with the newest event_time there. */
  readonly pointers: readonly { readonly id: string; readonly lastSeen: number }[];
  /** As in `AppendAnswer`. */
  readonly revision?: number;
}

/** A window built anew: staged in as many pieces as it takes, then made so in one transaction for each timeline. */
export interface TimelineWindowApi {
  /** Changes nothing that readers see. Safe to repeat: a piece of the same range takes the place of the first. */
  stage(piece: WindowPiece): Promise<WindowDifference>;
  /**
   * Within the staged ranges the timeline becomes what was staged; what it was is kept. Safe to repeat. @returns null where
   * nothing was staged. @throws RangeError, its message begins with `rules:`, where the timeline knows a newer rule.
   */
  settle(job: string): Promise<SettledWindow | null>;
  /** Makes the timeline what it was. Safe to repeat. @throws RangeError, beginning with `rules:`, where a rule came since. */
  unsettle(job: string): Promise<void>;
  /** Forgets what was staged and what is kept for `unsettle`. An object that holds nothing else leaves nothing. */
  unstage(job: string): Promise<void>;
}
