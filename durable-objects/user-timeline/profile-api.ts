/** What the online store asks of a user's timeline, in one call: the profile, and a person's own recent events. */
import type { EventsPage, EventsRequest, Profile } from "./api.ts";
import type { Touch } from "./touch.ts";
import type { WindowName } from "./window-sums.ts";

/** Sums of the events between `from` and now. */
export interface WindowFigures {
  /** Microseconds. */
  readonly from: number;
  readonly events: number;
  /** By event name, largest first; those without a sum of their own under `(other)`. */
  readonly counts: Readonly<Record<string, number>>;
  /** By currency, `` where none was given. */
  readonly revenue: Readonly<Record<string, number>>;
  /** Microseconds: sums lack events of before, which were let go for their number when the plan changed. */
  readonly incomplete_before?: number | undefined;
}

/** Times are microseconds. */
export interface OnlineProfile extends Profile {
  readonly as_of: number;
  /** By event name, as far as names have a sum of their own: when it was last seen. */
  readonly last_at: Readonly<Record<string, number>>;
  /** Days with events among today and the 29 before it, UTC. */
  readonly active_days_30d: number;
  readonly windows: Readonly<Record<WindowName, WindowFigures>>;
  readonly first_touch: Touch | null;
  readonly last_touch: Touch | null;
}

/** A page of a person's own events, or how long they are to wait, milliseconds: they have asked too often. */
export type OwnAnswer = { readonly page: EventsPage } | { readonly waitMs: number };

export interface ProfileStoreApi {
  online(): Promise<OnlineProfile>;
  /**
   * For the person themselves, who may ask `OWN.requestsPerMinute` times a minute, whichever of their tokens they use. Counted in
   * memory: an object that is evicted has not been asked for a while.
   * @throws RangeError for a cursor that no page gave.
   */
  own(request: EventsRequest): Promise<OwnAnswer>;
}
