/**
 * What is known of a subject beyond its events: cumulative, bounded, and a function of the set of events (not of their
 * order, nor of how the log was cut into flushes). It outlives the events, which expire.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { TIMELINE } from "../../r2-layout/limits.ts";
import { ActiveDays } from "./active-days.ts";
import type { Profile, Subject } from "./api.ts";
import type { EncodedCounts } from "./bounded-counts.ts";
import { BoundedCounts } from "./bounded-counts.ts";
import type { EncodedDevices } from "./known-devices.ts";
import { KnownDevices } from "./known-devices.ts";
import type { EncodedUsers } from "./known-users.ts";
import { KnownUsers } from "./known-users.ts";
import type { EncodedLastValues } from "./last-values.ts";
import { LastValues } from "./last-values.ts";
import { fromMicroUnits, toMicroUnits } from "./money.ts";

/** As JSON in the head row. Fields are only ever added, with a default for rows that lack them. */
export interface EncodedState {
  readonly subject: Subject;
  readonly seqs: readonly (readonly [shard: number, seq: number])[];
  readonly events: number;
  readonly firstSeen: number | null;
  readonly lastSeen: number | null;
  readonly counts: EncodedCounts;
  readonly revenue: EncodedCounts;
  readonly values: EncodedLastValues;
  readonly devices: EncodedDevices;
  readonly users: EncodedUsers;
  readonly days: [first: number, bits: string] | null;
}

export class SubjectState {
  readonly subject: Subject;
  readonly users: KnownUsers;
  /** Last applied seq of each shard. */
  readonly #seqs: Map<number, number>;
  readonly #counts: BoundedCounts;
  readonly #revenue: BoundedCounts;
  readonly #values: LastValues;
  readonly #devices: KnownDevices;
  readonly #days: ActiveDays;
  #events: number;
  #firstSeen: number | null;
  #lastSeen: number | null;

  constructor(subject: Subject, encoded?: EncodedState) {
    this.subject = subject;
    this.users = new KnownUsers(encoded?.users);
    this.#seqs = new Map(encoded?.seqs);
    this.#counts = new BoundedCounts(TIMELINE.eventNames, encoded?.counts);
    this.#revenue = new BoundedCounts(TIMELINE.currencies, encoded?.revenue);
    this.#values = new LastValues(encoded?.values);
    this.#devices = new KnownDevices(encoded?.devices);
    this.#days = ActiveDays.decode(encoded?.days ?? null);
    this.#events = encoded?.events ?? 0;
    this.#firstSeen = encoded?.firstSeen ?? null;
    this.#lastSeen = encoded?.lastSeen ?? null;
  }

  isApplied(shard: number, seq: number): boolean {
    return seq <= (this.#seqs.get(shard) ?? 0);
  }

  /** Everything up to this seq of the shard has been folded in. */
  reached(shard: number, seq: number): void {
    this.#seqs.set(shard, Math.max(seq, this.#seqs.get(shard) ?? 0));
  }

  /** @returns the device of the event if its own object is to be pointed at this user now, else null */
  fold(event: EventRow, nowMs: number): string | null {
    const at = event.event_time;
    this.#events++;
    this.#firstSeen = Math.min(this.#firstSeen ?? at, at);
    this.#lastSeen = Math.max(this.#lastSeen ?? at, at);
    this.#counts.add(event.event_name, 1n);
    if (typeof event.revenue === "number") this.#revenue.add(event.currency ?? "", toMicroUnits(event.revenue));
    this.#values.fold(event);
    this.#days.add(at);
    const device = event.anonymous_id;
    if (!device || this.subject.kind === "device") return null;
    return this.#devices.fold(device, event, nowMs) ? device : null;
  }

  profile(): Profile {
    return {
      first_seen: this.#firstSeen,
      last_seen: this.#lastSeen,
      events: this.#events,
      counts: Object.fromEntries(this.#counts.entries().map(([name, count]) => [name, Number(count)])),
      revenue: Object.fromEntries(this.#revenue.entries().map(([name, sum]) => [name, fromMicroUnits(sum)])),
      last_values: Object.fromEntries(this.#values.entries()),
      devices: this.#devices.list(),
      active_days: this.#days.list(),
    };
  }

  encode(): EncodedState {
    return {
      subject: this.subject,
      seqs: [...this.#seqs],
      events: this.#events,
      firstSeen: this.#firstSeen,
      lastSeen: this.#lastSeen,
      counts: this.#counts.encode(),
      revenue: this.#revenue.encode(),
      values: this.#values.encode(),
      devices: this.#devices.encode(),
      users: this.users.encode(),
      days: this.#days.encode(),
    };
  }
}

export const EMPTY_PROFILE: Profile = {
  first_seen: null,
  last_seen: null,
  events: 0,
  counts: {},
  revenue: {},
  last_values: {},
  devices: [],
  active_days: [],
};
