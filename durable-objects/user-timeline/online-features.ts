/**
 * What a user's profile knows of the recent past, for personalisation: sums over the last hour, day and 30 days, when each
 * event was last seen, and where the user came from. A function of the events and of the plan that was configured
 * (feature-plan.ts).
 *
 * A plan changes with a deploy, and every timeline has state made by the one before. It says by which (`plan`); where that is
 * not the present one, the sums are made anew from the events that are kept, which is all that a window of 30 days
 * can need, before the next event is folded in or the profile is read (`Timeline`). Only a user of more events than are kept
 * (`TIMELINE.eventsKept` in 30 days) then has windows that begin later than they should: `since` says when.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { PROFILE, TIMELINE } from "../../r2-layout/limits.ts";
import type { FeaturePlan } from "./feature-plan.ts";
import { fromMicroUnits, toMicroUnits } from "./money.ts";
import type { WindowFigures } from "./profile-api.ts";
import { type Touch, Touches } from "./touch.ts";
import type { EncodedSums } from "./window-sums.ts";
import { WINDOWS, type WindowName, WindowSums, windowStart } from "./window-sums.ts";

/** As JSON in the head row. Fields are only ever added, with a default for rows that lack them. */
export interface EncodedFeatures {
  /** Fingerprints of the plan, and of what it counts. */
  readonly plan: string;
  readonly counters: string;
  /** The newest received_at, microseconds; 0: of no event. */
  readonly reach: number;
  /** Before this time, microseconds, sums may lack events. */
  readonly since?: number | undefined;
  readonly events: EncodedSums;
  readonly revenue: EncodedSums;
  readonly first: Touch | null;
  readonly last: Touch | null;
}

export class OnlineFeatures {
  readonly #plan: FeaturePlan;
  readonly #events: WindowSums;
  readonly #revenue: WindowSums;
  readonly touches: Touches;
  #reach: number;
  #since: number | undefined;
  /** By another plan, or by code of before there were any: to be made anew. */
  readonly isStale: boolean;
  /** The sums could not be taken over. */
  readonly lostSums: boolean;

  /** @param encoded null: of a state that has events and no features; absent: of a new subject */
  constructor(plan: FeaturePlan, encoded?: EncodedFeatures | null) {
    this.#plan = plan;
    this.isStale = encoded === null || (encoded !== undefined && encoded.plan !== plan.fingerprint);
    this.lostSums = encoded === null || (encoded !== undefined && encoded.counters !== plan.countersFingerprint);
    const sums = this.lostSums ? undefined : (encoded ?? undefined);
    this.#events = new WindowSums(PROFILE.eventNames, plan.counters, sums?.events);
    this.#revenue = new WindowSums(TIMELINE.currencies, null, sums?.revenue);
    this.#reach = sums?.reach ?? 0;
    this.#since = sums?.since;
    this.touches = new Touches(encoded?.first, encoded?.last);
  }

  /** Sums lack what was before: those events are no longer kept. */
  lacksBefore(time: number): void {
    this.#since = Math.max(time, this.#since ?? time);
  }

  fold(event: EventRow): void {
    const at = timeOf(event);
    if (event.received_at > this.#reach) {
      this.#events.reached(this.#reach, event.received_at);
      this.#revenue.reached(this.#reach, event.received_at);
      this.#reach = event.received_at;
    }
    this.#events.add(event.event_name, 1n, at, this.#reach);
    if (typeof event.revenue === "number") {
      this.#revenue.add(event.currency ?? "", toMicroUnits(event.revenue), at, this.#reach);
    }
    this.touches.fold(event);
  }

  /** Takes back what can be taken back exactly: the sums. */
  subtract(event: EventRow): void {
    this.#events.subtract(event.event_name, 1n, timeOf(event));
    if (typeof event.revenue === "number") {
      this.#revenue.subtract(event.currency ?? "", toMicroUnits(event.revenue), timeOf(event));
    }
  }

  /** @param now microseconds; the newest event was not received later */
  windows(now: number): Readonly<Record<WindowName, WindowFigures>> {
    const until = Math.max(now, this.#reach);
    const figures = WINDOWS.map((name): [WindowName, WindowFigures] => {
      const from = windowStart(name, until);
      const counts = this.#events.sums(name, until);
      const incomplete = this.#since !== undefined && this.#since > from;
      return [
        name,
        {
          from,
          events: counts.reduce((sum, [, count]) => sum + Number(count), 0),
          counts: Object.fromEntries(counts.map(([event, count]) => [event, Number(count)])),
          revenue: Object.fromEntries(
            this.#revenue.sums(name, until).map(([currency, sum]) => [currency, fromMicroUnits(sum)]),
          ),
          ...(incomplete && { incomplete_before: this.#since }),
        },
      ];
    });
    return Object.fromEntries(figures) as Record<WindowName, WindowFigures>;
  }

  /** By event name, when its newest event was, microseconds. */
  lastAt(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#events.lastAt());
  }

  encode(): EncodedFeatures {
    return {
      plan: this.#plan.fingerprint,
      counters: this.#plan.countersFingerprint,
      reach: this.#reach,
      ...(this.#since !== undefined && { since: this.#since }),
      events: this.#events.encode(),
      revenue: this.#revenue.encode(),
      first: this.touches.first,
      last: this.touches.last,
    };
  }
}

/** When an event counts: nothing happens after it was received. */
const timeOf = ({ event_time: at, received_at: receivedAt }: EventRow): number => Math.min(at, receivedAt);
