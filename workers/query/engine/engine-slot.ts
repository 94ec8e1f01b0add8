/**
 * The one engine of an isolate, and the lock on it. Several QueryEngine objects may live in one isolate, and what they
 * share is its memory: so the instance belongs to the isolate, not to an object, and they take turns, fairly by token
 * (gate/fair-queue.ts).
 *
 * An object's promises die with it. A holder that was evicted, or whose client went and took the request along, never
 * comes back to unlock; a waiter that awaited the holder's promise would wait for ever. So nobody awaits another: a
 * waiter looks at the clock by its own timer. The holder leaves a sign of life at every step; a waiter that finds none
 * for `SILENT_MS`, or finds the deadline passed, throws the instance away (its C stack is parked for good in
 * whatever the holder did) and starts a new one.
 *
 *     holder  take ── step ── step ── (gone)
 *     waiter      look   look   look ……… look: silent for too long -> discard, take, boot
 *     holder again, if it only slept: its next step sees that it is no longer the holder, and ends.
 *
 * A heavy statement holds the engine for seconds, and cannot be put aside: but it pauses between its steps, its C stack
 * parked. In such a pause it lends the instance to light ones that wait, one after the other: they run as guests, on a
 * connection and a C stack of their own, and have to be over before the holder goes on, for what they share is not made
 * for two at once. What the holder has left in the engine's queue is done first (DuckDbInstance.finishOthers), also in steps
 * between which it may pause, on one more stack.
 *
 *     holder  step ── its queue ── door open ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ closed ── step
 *     light                        look: enter ── step ── release
 *
 * Whoever lends is still there by its own timer. A guest that falls silent leaves frames on the C stack that may wake up:
 * then the instance is thrown away with the holder's statement, too. A guest that ends other than by an answer or an
 * error of DuckDB's has left its connection in the middle of something: the instance takes no more guests.
 */
import { SQL } from "../../../r2-layout/limits.ts";
import { FairQueue } from "../gate/fair-queue.ts";
import type { Turn } from "./clock.ts";

/** Longer than any one read may take, and than a step should. */
const SILENT_MS = 15_000;
/** How often who is next looks, and how often others do. */
const LOOK_MS = 3;
const LOOK_LATER_MS = 15;
/** A waiter that has not looked for this long is gone. */
const WAITER_SILENT_MS = 2_000;
/** A holder works so long between two pauses, or as long as the last one was: guests have half of its time at most. */
const WORK_MS = 20;
/** A door stays open so long in all, and so long for the first guest to see it. */
const DOOR_MS = 200;
const DOOR_UNSEEN_MS = 30;

/** What the slot needs to know of an engine. */
export interface SlotInstance {
  readonly heapBytes: number;
  readonly broken: boolean;
  /** Makes it a guest's, until the function that it returns is called; null where it cannot be. */
  lend(): (() => void) | null;
  /** Does what the holder has begun and guests would have to end. @returns false where guests cannot come now. */
  finishOthers(turn: Turn): Promise<boolean>;
}

export interface SlotParts<I extends SlotInstance> {
  readonly boot: () => Promise<I>;
  /** An instance whose heap grew past this is replaced after its statement, because wasm memory never shrinks. */
  readonly recycleBytes: number;
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<unknown>;
}

export interface Ask {
  /** Whose turn it is to be. */
  readonly token: string;
  /** Whether it may run in a pause of another. */
  readonly light: boolean;
  readonly waitMs: number;
  /** How long it may be held; after that another may take it away. */
  readonly holdMs: number;
  readonly givenUp: () => boolean;
}

interface Waiter extends Ask {
  seenAt: number;
  /** Another token's waiter has its place. */
  dropped: boolean;
}

interface Holder {
  readonly token: string;
  readonly since: number;
  readonly start: number;
  seenAt: number;
  deadline: number;
  /** Milliseconds that it was lent to guests; when the last pause ended, and how long that one was. */
  lentMs: number;
  pausedAt: number;
  pauseMs: number;
}

/** The right to use the instance, until `release`. */
export interface Hold<I extends SlotInstance = SlotInstance> {
  readonly instance: I;
  /** Milliseconds that starting the instance took; 0 where it was there. */
  readonly bootMs: number;
  /** It runs in a pause of another, who waits for it. */
  readonly isGuest: boolean;
  /** Milliseconds of it that others had. */
  readonly lentMs: number;
  /** A sign of life. @returns false once another has taken over: then leave the instance alone. */
  alive(): boolean;
  /**
   * To be called between steps, and waited for: others may have the instance meanwhile.
   * @param turn what calls it, for the steps that have to be done before; it may come to pause again.
   */
  pause(turn: Turn): Promise<void> | undefined;
}

export class EngineSlot<I extends SlotInstance> {
  readonly #parts: SlotParts<I>;
  readonly #queue = new FairQueue();
  #instance: I | null = null;
  #holder: Holder | null = null;
  #guest: Holder | null = null;
  #isDoorOpen = false;
  /** Set once a guest has left its connection in the middle of something. */
  #takesGuests = true;
  readonly #waiters: Waiter[] = [];
  /** Instances started since the isolate began. */
  boots = 0;
  /** Statements that ran in a pause of another. */
  guests = 0;

  constructor(parts: SlotParts<I>) {
    this.#parts = parts;
  }

  /** Bytes of the current instance's heap. */
  get heapBytes(): number {
    return this.#instance?.heapBytes ?? 0;
  }

  get waiting(): number {
    return this.#waiters.length + (this.#holder ? 1 : 0) + (this.#guest ? 1 : 0);
  }

  /**
   * Waits for its turn: tokens by the engine's time that they have used, a token's own statements in their order. Where
   * too many wait, the newest of the token that has most of them goes.
   * @returns null where the turn did not come within `waitMs`, or there was no room to wait, or `givenUp` became true.
   */
  async take(ask: Ask): Promise<Hold<I> | null> {
    const { now, wait } = this.#parts;
    const waiter: Waiter = { ...ask, seenAt: now(), dropped: false };
    if (!this.#makeRoom(ask.token)) return null;
    this.#waiters.push(waiter);
    const until = now() + ask.waitMs;
    try {
      for (;;) {
        const entered = this.#enter(waiter);
        if (entered === "guest") return this.#asGuest(ask);
        if (entered === "holder") break;
        if (now() >= until || waiter.dropped || ask.givenUp()) return null;
        await wait(this.#isNext(waiter) ? LOOK_MS : LOOK_LATER_MS);
        waiter.seenAt = now();
      }
    } finally {
      const at = this.#waiters.indexOf(waiter);
      if (at >= 0) this.#waiters.splice(at, 1);
    }
    return this.#asHolder(ask);
  }

  /** Throws the instance away. Who holds it sees at its next step that it does so no longer. */
  reset(): void {
    this.#holder = null;
    this.#guest = null;
    this.#isDoorOpen = false;
    this.#discard();
  }

  /** Ends a hold; what is broken or has grown too large is thrown away. */
  release(hold: Hold<I>): void {
    if (!hold.alive()) return;
    const { now } = this.#parts;
    if (hold.isGuest) {
      const guest = this.#guest!;
      this.#guest = null;
      this.#queue.charge(guest.token, now() - guest.since);
      return;
    }
    const holder = this.#holder!;
    this.#holder = null;
    this.#queue.charge(holder.token, this.#used(holder));
    const { broken, heapBytes } = hold.instance;
    if (broken || !this.#takesGuests || heapBytes > this.#parts.recycleBytes) this.#discard();
  }

  /** A guest's statement was cut off: its connection is of no use any more. */
  spoil(hold: Hold<I>): void {
    if (hold.isGuest && hold.alive()) this.#takesGuests = false;
  }

  async #asHolder({ token, holdMs }: Ask): Promise<Hold<I> | null> {
    const { boot, now } = this.#parts;
    const since = now();
    const start = this.#queue.begin(token);
    const deadline = since + holdMs;
    const holder = { token, since, start, seenAt: since, deadline, lentMs: 0, pausedAt: since, pauseMs: 0 };
    this.#holder = holder;
    let bootMs = 0;
    if (!this.#instance) {
      let booted: I;
      try {
        booted = await boot();
      } catch (error) {
        if (this.#holder === holder) this.#holder = null;
        throw error;
      }
      this.boots++;
      bootMs = now() - since;
      // Another may have given this one up while it started.
      if (this.#holder === holder) this.#instance = booted;
      else return null;
    }
    const alive = () => {
      holder.seenAt = now();
      return this.#holder === holder;
    };
    const pause = (turn: Turn) => {
      const takeBack = this.#isPauseDue(holder) ? this.#instance?.lend() : null;
      return takeBack ? this.#lend(holder, turn, takeBack) : undefined;
    };
    const instance = this.#instance;
    return {
      instance,
      bootMs,
      isGuest: false,
      get lentMs() {
        return holder.lentMs;
      },
      alive,
      pause,
    };
  }

  #asGuest({ holdMs }: Ask): Hold<I> {
    const { now } = this.#parts;
    const since = now();
    const guest = this.#guest!;
    this.guests++;
    guest.seenAt = since;
    guest.deadline = since + holdMs;
    const alive = () => {
      guest.seenAt = now();
      return this.#guest === guest;
    };
    return { instance: this.#instance!, bootMs: 0, isGuest: true, lentMs: 0, alive, pause: () => undefined };
  }

  async #lend(holder: Holder, turn: Turn, takeBack: () => void): Promise<void> {
    try {
      const isReady = await this.#instance!.finishOthers(turn);
      holder.pausedAt = this.#parts.now();
      if (isReady && this.#holder === holder) await this.#openDoor(holder);
    } finally {
      takeBack();
    }
  }

  /** The holder waits, with a sign of life, until the last guest is gone. */
  async #openDoor(holder: Holder): Promise<void> {
    const { now, wait } = this.#parts;
    const before = this.guests;
    this.#isDoorOpen = true;
    // The clock stood still while the holder worked: what passed is its own, not the guests'.
    await wait(0);
    const openedAt = now();
    for (;;) {
      await wait(LOOK_MS);
      holder.seenAt = now();
      // Thrown away by another: this one's next step sees it.
      if (this.#holder !== holder) return;
      if (this.#guest) {
        if (holder.seenAt - this.#guest.seenAt <= SILENT_MS && holder.seenAt <= this.#guest.deadline) continue;
        this.reset();
        return;
      }
      const openMs = holder.seenAt - openedAt;
      const isUnseen = this.guests === before && openMs >= DOOR_UNSEEN_MS;
      if (isUnseen || openMs >= DOOR_MS || !this.#takesGuests || !this.#nextGuest(holder)) break;
    }
    this.#isDoorOpen = false;
    holder.pauseMs = holder.seenAt - openedAt;
    holder.pausedAt = holder.seenAt;
    holder.lentMs += holder.pauseMs;
    holder.deadline += holder.pauseMs;
  }

  #isPauseDue(holder: Holder): boolean {
    if (this.#waiters.length === 0 || !this.#takesGuests || this.#holder !== holder) return false;
    const worked = this.#parts.now() - holder.pausedAt;
    return worked >= Math.max(WORK_MS, holder.pauseMs) && this.#nextGuest(holder) !== null;
  }

  #used(holder: Holder): number {
    return this.#parts.now() - holder.since - holder.lentMs;
  }

  /** The light one whose token is furthest behind, where it is behind the holder's. */
  #nextGuest(holder: Holder): Waiter | null {
    const next = this.#first((waiter) => waiter.light);
    // What the holder has used so far will be charged when it is done.
    return next && this.#queue.startOf(next.token) < holder.start + this.#used(holder) ? next : null;
  }

  #isNext(waiter: Waiter): boolean {
    return this.#first(() => true) === waiter || (waiter.light && this.#first(({ light }) => light) === waiter);
  }

  #first(fits: (waiter: Waiter) => boolean): Waiter | null {
    let first: Waiter | null = null;
    let start = Number.POSITIVE_INFINITY;
    for (const waiter of this.#waiters) {
      if (!fits(waiter)) continue;
      const own = this.#queue.startOf(waiter.token);
      if (own < start) [first, start] = [waiter, own];
    }
    return first;
  }

  #enter(waiter: Waiter): "holder" | "guest" | null {
    const now = this.#parts.now();
    this.#forgetGone(waiter, now);
    if (waiter.dropped) return null;
    const holder = this.#holder;
    if (holder && now - holder.seenAt <= SILENT_MS && now <= holder.deadline) {
      if (!this.#isDoorOpen || this.#guest || !this.#takesGuests || this.#nextGuest(holder) !== waiter) return null;
      const start = this.#queue.startOf(waiter.token);
      const { token } = waiter;
      this.#guest = { token, since: now, start, seenAt: now, deadline: now, lentMs: 0, pausedAt: now, pauseMs: 0 };
      return "guest";
    }
    if (this.#first(() => true) !== waiter) return null;
    if (holder) this.reset();
    return "holder";
  }

  #forgetGone(waiter: Waiter, now: number): void {
    for (let i = this.#waiters.length - 1; i >= 0; i--) {
      const other = this.#waiters[i]!;
      if (other !== waiter && now - other.seenAt > WAITER_SILENT_MS) this.#waiters.splice(i, 1);
    }
    // It may itself have been taken for gone.
    if (!waiter.dropped && !this.#waiters.includes(waiter)) this.#waiters.push(waiter);
  }

  /** @returns whether one more of the token may wait. */
  #makeRoom(token: string): boolean {
    if (this.waiting < SQL.waiting) return true;
    const counts = new Map<string, number>();
    for (const waiter of this.#waiters) counts.set(waiter.token, (counts.get(waiter.token) ?? 0) + 1);
    const [most, count] = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a), ["", 0]);
    if (count <= (counts.get(token) ?? 0) + 1) return false;
    const victim = this.#waiters.findLastIndex((waiter) => waiter.token === most);
    this.#waiters[victim]!.dropped = true;
    this.#waiters.splice(victim, 1);
    return true;
  }

  #discard(): void {
    this.#instance = null;
    this.#takesGuests = true;
  }
}
