/**
 * The one engine of an isolate, and the lock on it. Several QueryEngine objects may live in one isolate, and what they
 * share is its memory: so the instance belongs to the isolate, not to an object, and they take turns.
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
 */
import { DuckDbInstance } from "./duckdb-instance.ts";

/** Longer than any one read may take, and than a step should. */
const SILENT_MS = 15_000;
const LOOK_MS = 3;
/** A waiter that has not looked for this long is gone. */
const WAITER_SILENT_MS = 2_000;

export interface EngineLimits {
  /** Beyond it the heap does not grow; DuckDB reports that it is out of memory. */
  readonly heapBytes: number;
  readonly memoryLimitBytes: number;
  /** An instance whose heap grew past this is replaced after its statement, because wasm memory never shrinks. */
  readonly recycleBytes: number;
}

interface Waiter {
  seenAt: number;
}

/** The right to use the instance, until `release`. */
export interface Hold {
  readonly instance: DuckDbInstance;
  /** Milliseconds that starting the instance took; 0 where it was there. */
  readonly bootMs: number;
  /** A sign of life. @returns false once another has taken over: then leave the instance alone. */
  alive(): boolean;
}

export class EngineSlot {
  readonly #limits: EngineLimits;
  #instance: DuckDbInstance | null = null;
  #holder: { seenAt: number; readonly deadline: number } | null = null;
  readonly #waiters: Waiter[] = [];
  /** Instances started since the isolate began. */
  boots = 0;

  constructor(limits: EngineLimits) {
    this.#limits = limits;
  }

  /** Bytes of the current instance's heap. */
  get heapBytes(): number {
    return this.#instance?.heapBytes ?? 0;
  }

  get waiting(): number {
    return this.#waiters.length + (this.#holder ? 1 : 0);
  }

  /**
   * Waits for its turn, first come first served.
   * @param holdMs how long it may be held; after that another may take it away.
   * @returns null where the turn did not come within `waitMs`, or `given up` became true.
   */
  async take(waitMs: number, holdMs: number, givenUp: () => boolean): Promise<Hold | null> {
    const waiter: Waiter = { seenAt: Date.now() };
    this.#waiters.push(waiter);
    const until = Date.now() + waitMs;
    try {
      while (!this.#mayEnter(waiter)) {
        if (Date.now() >= until || givenUp()) return null;
        await scheduler.wait(LOOK_MS);
        waiter.seenAt = Date.now();
      }
    } finally {
      const at = this.#waiters.indexOf(waiter);
      if (at >= 0) this.#waiters.splice(at, 1);
    }
    const holder = { seenAt: Date.now(), deadline: Date.now() + holdMs };
    this.#holder = holder;
    const startedAt = Date.now();
    let bootMs = 0;
    if (!this.#instance) {
      let booted: DuckDbInstance;
      try {
        booted = await DuckDbInstance.boot(this.#limits);
      } catch (error) {
        if (this.#holder === holder) this.#holder = null;
        throw error;
      }
      this.boots++;
      bootMs = Date.now() - startedAt;
      // Another may have given this one up while it started.
      if (this.#holder === holder) this.#instance = booted;
      else return null;
    }
    return {
      instance: this.#instance,
      bootMs,
      alive: () => {
        holder.seenAt = Date.now();
        return this.#holder === holder;
      },
    };
  }

  /** Throws the instance away. Who holds it sees at its next step that it does so no longer. */
  reset(): void {
    this.#holder = null;
    this.#instance = null;
  }

  /** Ends a hold; what is broken or has grown too large is thrown away. */
  release(hold: Hold): void {
    if (!hold.alive()) return;
    this.#holder = null;
    const { broken, heapBytes } = hold.instance;
    if (broken || heapBytes > this.#limits.recycleBytes) this.#instance = null;
  }

  #mayEnter(waiter: Waiter): boolean {
    const now = Date.now();
    while (this.#waiters[0] && this.#waiters[0] !== waiter && now - this.#waiters[0].seenAt > WAITER_SILENT_MS) {
      this.#waiters.shift();
    }
    // It may itself have been taken for gone.
    if (!this.#waiters.includes(waiter)) this.#waiters.push(waiter);
    if (this.#waiters[0] !== waiter) return false;
    const holder = this.#holder;
    if (!holder) return true;
    if (now - holder.seenAt <= SILENT_MS && now <= holder.deadline) return false;
    this.#holder = null;
    this.#instance = null;
    return true;
  }
}
