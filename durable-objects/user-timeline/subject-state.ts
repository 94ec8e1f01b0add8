/**
 * What is known of a subject beyond its events: cumulative, bounded, and a function of the set of events (not of their
 * order, nor of how the log was cut into flushes). It outlives the events, which expire.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { EMAIL_INDEX, TIMELINE } from "../../r2-layout/limits.ts";
import { ActiveDays } from "./active-days.ts";
import type { Profile, Subject } from "./api.ts";
import type { EncodedCounts } from "./bounded-counts.ts";
import { BoundedCounts } from "./bounded-counts.ts";
import { emailOf } from "./email-trait.ts";
import type { FeaturePlan } from "./feature-plan.ts";
import { NO_PLAN } from "./feature-plan.ts";
import type { EncodedDevices } from "./known-devices.ts";
import { KnownDevices } from "./known-devices.ts";
import type { EncodedUsers } from "./known-users.ts";
import { KnownUsers } from "./known-users.ts";
import type { EncodedLastValues } from "./last-values.ts";
import { LastValues } from "./last-values.ts";
import { fromMicroUnits, toMicroUnits } from "./money.ts";
import type { EncodedFeatures } from "./online-features.ts";
import { OnlineFeatures } from "./online-features.ts";
import type { OnlineProfile } from "./profile-api.ts";

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
  /** Absent: 0. */
  readonly rules?: number | undefined;
  readonly ahead?: readonly (readonly [shard: number, seq: number])[] | undefined;
  readonly uncorrected?: true | undefined;
  /** Absent: 0. */
  readonly revision?: number | undefined;
  /** Addresses (e-mail) under which the index has been told of this subject; absent: none. */
  readonly emails?: readonly string[] | undefined;
  /** Of a user. Absent: of before there were any. */
  readonly features?: EncodedFeatures | undefined;
}

export class SubjectState {
  readonly subject: Subject;
  readonly users: KnownUsers;
  /** Last applied seq of each shard. */
  readonly #seqs: Map<number, number>;
  /** By shard the greatest seq of an amended event that stands above the last applied one: its append may still come. */
  readonly #ahead: Map<number, number>;
  readonly #counts: BoundedCounts;
  readonly #revenue: BoundedCounts;
  readonly #values: LastValues;
  readonly #devices: KnownDevices;
  readonly #days: ActiveDays;
  #events: number;
  #firstSeen: number | null;
  #lastSeen: number | null;
  #rules: number;
  #uncorrected: boolean;
  /** Rises with each change of the events. */
  #revision: number;
  readonly #emails: Set<string>;
  readonly #plan: FeaturePlan;
  /** Null for a device. */
  #features: OnlineFeatures | null;

  /** @param plan which online features are kept */
  constructor(subject: Subject, encoded?: EncodedState, plan: FeaturePlan = NO_PLAN) {
    this.subject = subject;
    this.#plan = plan;
    const features = encoded === undefined ? undefined : (encoded.features ?? null);
    this.#features = subject.kind === "user" ? new OnlineFeatures(plan, features) : null;
    this.users = new KnownUsers(encoded?.users);
    this.#seqs = new Map(encoded?.seqs);
    this.#ahead = new Map(encoded?.ahead);
    this.#counts = new BoundedCounts(TIMELINE.eventNames, encoded?.counts);
    this.#revenue = new BoundedCounts(TIMELINE.currencies, encoded?.revenue);
    this.#values = new LastValues(encoded?.values, plan.properties);
    this.#devices = new KnownDevices(encoded?.devices);
    this.#days = ActiveDays.decode(encoded?.days ?? null);
    this.#events = encoded?.events ?? 0;
    this.#firstSeen = encoded?.firstSeen ?? null;
    this.#lastSeen = encoded?.lastSeen ?? null;
    this.#rules = encoded?.rules ?? 0;
    this.#uncorrected = encoded?.uncorrected ?? false;
    this.#revision = encoded?.revision ?? 0;
    this.#emails = new Set(encoded?.emails);
  }

  /** All that were folded in, kept or not. */
  get events(): number {
    return this.#events;
  }

  /** Of the events: what devices are told is as of one (known-users.ts). */
  get revision(): number {
    return this.#revision;
  }

  /** Events came, went or changed. */
  revised(): void {
    this.#revision++;
  }

  /** The newest rule version that it has met. */
  get rules(): number {
    return this.#rules;
  }

  /** @throws RangeError where this timeline knows a newer rule. */
  refuseOlder(rules: number): void {
    if (rules >= this.#rules) return;
    throw new RangeError(`rules: this timeline knows version ${this.#rules}, the caller ${rules}`);
  }

  /** @returns whether the version is a newer one. */
  knowRules(version: number): boolean {
    const newer = version > this.#rules;
    if (newer) this.#rules = version;
    return newer;
  }

  /** @returns whether that was not known yet. */
  markUncorrected(): boolean {
    const before = this.#uncorrected;
    this.#uncorrected = true;
    return !before;
  }

  isApplied(shard: number, seq: number): boolean {
    return seq <= (this.#seqs.get(shard) ?? 0);
  }

  /** Everything up to this seq of the shard has been folded in. */
  reached(shard: number, seq: number): void {
    this.#seqs.set(shard, Math.max(seq, this.#seqs.get(shard) ?? 0));
    if (this.#ahead.size > 0 && this.isApplied(shard, this.#ahead.get(shard) ?? 0)) this.#ahead.delete(shard);
  }

  /** An amendment has put an event of this place here, where its append may still come. */
  putAhead(shard: number, seq: number): void {
    if (!this.isApplied(shard, seq)) this.#ahead.set(shard, Math.max(seq, this.#ahead.get(shard) ?? 0));
  }

  /** Whether an event of this place may be here already, although its append has not come. */
  mayBeAhead(shard: number, seq: number): boolean {
    return this.#ahead.size > 0 && seq <= (this.#ahead.get(shard) ?? 0);
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
    this.#features?.fold(event);
    this.#days.add(at);
    const device = event.anonymous_id;
    if (!device || this.subject.kind === "device") return null;
    return this.#devices.fold(device, event, nowMs) ? device : null;
  }

  /** Takes back what can be taken back exactly: the sums. */
  subtract(event: EventRow): void {
    this.#events--;
    this.#counts.subtract(event.event_name, 1n);
    if (typeof event.revenue === "number") this.#revenue.subtract(event.currency ?? "", toMicroUnits(event.revenue));
    this.#features?.subtract(event);
  }

  /** The online features are of another plan than is configured. */
  get hasStaleFeatures(): boolean {
    return this.#features?.isStale ?? false;
  }

  /**
   * Begins the online features anew: with those of events that are no longer kept. What is kept is to be folded in after it,
   * by `foldFeatures`.
   */
  beginFeatures(past: SubjectState): void {
    const before = this.#features;
    if (!before || !past.#features) return;
    this.#features = new OnlineFeatures(this.#plan, past.#features.encode());
    this.#features.touches.join(before.touches);
  }

  /** Only after `beginFeatures`. A value that was met before changes nothing. */
  foldFeatures(event: EventRow): void {
    this.#features?.fold(event);
    this.#values.fold(event);
  }

  /** This is of events that are no longer kept, which cannot be folded in anew. @param upTo as `PastEvents.upTo`, microseconds */
  settlePastFeatures(upTo: number | null): void {
    const before = this.#features;
    if (!before?.isStale) return;
    this.#features = new OnlineFeatures(this.#plan, before.encode());
    if (before.lostSums && upTo !== null) this.#features.lacksBefore(upTo);
  }

  /** @returns the event's e-mail address if the index is to be told of it now: it is new here. */
  emailToIndex(event: EventRow): string | null {
    const email = emailOf(event);
    if (!email || this.#emails.has(email) || this.#emails.size === EMAIL_INDEX.addressesPerSubject) return null;
    this.#emails.add(email);
    return email;
  }

  /** When this user was last seen on a device, microseconds; null where it is not known there. */
  lastSeenOn(device: string): number | null {
    return this.#devices.lastSeen(device);
  }

  /** This subject with the figures of other events: what follows from events is theirs, all else stays as it is here. */
  withFigures(of: SubjectState): SubjectState {
    const { subject, seqs, users, rules, ahead, uncorrected, revision, emails } = this.encode();
    const own = { subject, seqs, users, rules, ahead, uncorrected, revision, emails };
    return new SubjectState(subject, { ...of.encode(), ...own }, this.#plan);
  }

  /** The same subject, before it was folded anew. */
  keepPointers(before: SubjectState): void {
    this.#devices.keepPointers(before.#devices);
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
      ...(this.#uncorrected && { uncorrected: true }),
    };
  }

  /** @param now microseconds */
  online(now: number): OnlineProfile {
    const features = this.#features ?? new OnlineFeatures(this.#plan);
    return {
      ...this.profile(),
      as_of: now,
      last_at: features.lastAt(),
      active_days_30d: this.#days.countUntil(now, 30),
      windows: features.windows(now),
      first_touch: features.touches.first,
      last_touch: features.touches.last,
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
      ...(this.#rules > 0 && { rules: this.#rules }),
      ...(this.#ahead.size > 0 && { ahead: [...this.#ahead] }),
      ...(this.#uncorrected && { uncorrected: true }),
      ...(this.#revision > 0 && { revision: this.#revision }),
      ...(this.#emails.size > 0 && { emails: [...this.#emails] }),
      ...(this.#features && { features: this.#features.encode() }),
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
