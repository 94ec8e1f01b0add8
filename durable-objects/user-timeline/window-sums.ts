/**
 * Sums by name over the last hour, day and 30 days, in buckets of a minute, a quarter of an hour and six hours: a window
 * is the buckets from the one in which it begins until now, so it is exact from the start that an answer names.
 *
 * What is kept must not depend on the order of the log, nor on when it was read. So a bucket is let go by the newest
 * received_at among the events, which the collector's clock gives and which only rises; and an event counts at its
 * event_time, or when it was received if its sender says that it happens later. A name stays in the table although its last
 * bucket has gone: which names have a sum of their own is then a fixed order of all there ever were (bounded-counts.ts).
 */
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import { compareNames, OTHER } from "./bounded-counts.ts";

export const WINDOWS = ["1h", "24h", "30d"] as const;
export type WindowName = (typeof WINDOWS)[number];

/** Microseconds. */
interface Grain {
  readonly bucket: number;
  readonly window: number;
}

const grain = (bucketMs: number, windowMs: number): Grain => ({
  bucket: bucketMs * MICROS_PER_MS,
  window: windowMs * MICROS_PER_MS,
});

const GRAINS = {
  "1h": grain(MINUTE_MS, HOUR_MS),
  "24h": grain(15 * MINUTE_MS, DAY_MS),
  "30d": grain(6 * HOUR_MS, 30 * DAY_MS),
} as const satisfies Record<WindowName, Grain>;

/** Where a window that ends now begins, microseconds: at most one bucket more than its length ago. */
export function windowStart(name: WindowName, now: number): number {
  const { bucket, window } = GRAINS[name];
  return Math.floor((now - window) / bucket) * bucket;
}

/** The table's place of a name that has no sum of its own. */
const REST = -1;

/** A sum beyond what JSON keeps exactly is a text. */
type EncodedSum = number | string;

export interface EncodedSums {
  /** With the time of the newest event of each, microseconds. */
  readonly names: readonly (readonly [name: string, lastAt: number])[];
  /** By window: the bucket's number, then places in `names` and sums in turns. */
  readonly buckets: Readonly<Record<WindowName, readonly (readonly EncodedSum[])[]>>;
}

type Sums = Map<string, bigint>;

export class WindowSums {
  readonly #capacity: number;
  readonly #chosen: ReadonlySet<string> | null;
  readonly #names: Map<string, number>;
  readonly #buckets: Readonly<Record<WindowName, Map<number, Sums>>>;

  /** @param chosen the names that have a sum of their own; null: the shortest, as many as the capacity. */
  constructor(capacity: number, chosen: readonly string[] | null, encoded?: EncodedSums) {
    this.#capacity = capacity;
    this.#chosen = chosen && new Set(chosen);
    this.#names = new Map(encoded?.names);
    const tables = WINDOWS.map((name) => [name, bucketsOf(encoded?.buckets[name] ?? [], encoded?.names ?? [])]);
    this.#buckets = Object.fromEntries(tables) as Record<WindowName, Map<number, Sums>>;
  }

  /** @param at microseconds. @param reach the newest received_at, this event's included: `reached` was told of it. */
  add(name: string, amount: bigint, at: number, reach: number): void {
    const known = this.#place(name, at);
    for (const window of WINDOWS) {
      const number = Math.floor(at / GRAINS[window].bucket);
      if (number < oldest(window, reach)) continue;
      const buckets = this.#buckets[window];
      let sums = buckets.get(number);
      if (!sums) {
        sums = new Map();
        buckets.set(number, sums);
      }
      sums.set(known, (sums.get(known) ?? 0n) + amount);
    }
  }

  /** Takes back what `add` added, where it is still kept. When a name was last seen stays as it is. */
  subtract(name: string, amount: bigint, at: number): void {
    const known = this.#names.has(name) ? name : OTHER;
    for (const window of WINDOWS) {
      const number = Math.floor(at / GRAINS[window].bucket);
      const sums = this.#buckets[window].get(number);
      if (!sums) continue;
      const rest = (sums.get(known) ?? 0n) - amount;
      if (rest === 0n) sums.delete(known);
      else sums.set(known, rest);
      if (sums.size === 0) this.#buckets[window].delete(number);
    }
  }

  /** Lets go of buckets that no window can reach any more. */
  reached(before: number, reach: number): void {
    for (const window of WINDOWS) {
      const end = oldest(window, reach);
      if (before > 0 && end === oldest(window, before)) continue;
      for (const number of this.#buckets[window].keys()) {
        if (number < end) this.#buckets[window].delete(number);
      }
    }
  }

  /** Of the window that ends now. Largest first, what has no sum of its own last. */
  sums(window: WindowName, now: number): [name: string, sum: bigint][] {
    const from = windowStart(window, now) / GRAINS[window].bucket;
    const all: Sums = new Map();
    for (const [number, sums] of this.#buckets[window]) {
      if (number < from) continue;
      for (const [name, sum] of sums) all.set(name, (all.get(name) ?? 0n) + sum);
    }
    const isRest = (name: string) => Number(name === OTHER);
    return [...all].sort(([a, x], [b, y]) => isRest(a) - isRest(b) || (y > x ? 1 : y < x ? -1 : compareNames(a, b)));
  }

  /** By name, when its newest event was, microseconds. */
  lastAt(): [name: string, at: number][] {
    return [...this.#names].sort(([a], [b]) => compareNames(a, b));
  }

  encode(): EncodedSums {
    const names = this.lastAt();
    const places = new Map(names.map(([name], place) => [name, place]));
    const encoded = WINDOWS.map((window) => {
      const buckets = [...this.#buckets[window]].sort(([a], [b]) => a - b);
      return [
        window,
        buckets.map(([number, sums]) => [
          number,
          ...[...sums].flatMap(([name, sum]) => [places.get(name) ?? REST, encodeSum(sum)]),
        ]),
      ];
    });
    return { names, buckets: Object.fromEntries(encoded) as EncodedSums["buckets"] };
  }

  /** @returns the name under which it is summed */
  #place(name: string, at: number): string {
    const lastAt = this.#names.get(name);
    if (lastAt !== undefined) {
      if (at > lastAt) this.#names.set(name, at);
      return name;
    }
    if (name === OTHER || (this.#chosen && !this.#chosen.has(name))) return OTHER;
    this.#names.set(name, at);
    if (this.#names.size <= this.#capacity) return name;
    const last = [...this.#names.keys()].reduce((a, b) => (compareNames(a, b) > 0 ? a : b));
    this.#names.delete(last);
    this.#moveToRest(last);
    return last === name ? OTHER : name;
  }

  #moveToRest(name: string): void {
    for (const window of WINDOWS) {
      for (const sums of this.#buckets[window].values()) {
        const sum = sums.get(name);
        if (sum === undefined) continue;
        sums.delete(name);
        sums.set(OTHER, (sums.get(OTHER) ?? 0n) + sum);
      }
    }
  }
}

/** The oldest bucket that a window may begin with, for whoever asks no earlier than when the newest event was received. */
function oldest(window: WindowName, reach: number): number {
  return windowStart(window, reach) / GRAINS[window].bucket;
}

const encodeSum = (sum: bigint): EncodedSum => {
  const number = Number(sum);
  return Number.isSafeInteger(number) ? number : String(sum);
};

function bucketsOf(rows: readonly (readonly EncodedSum[])[], names: EncodedSums["names"]): Map<number, Sums> {
  const buckets = new Map<number, Sums>();
  for (const [number, ...rest] of rows) {
    const sums: Sums = new Map();
    for (let i = 0; i < rest.length; i += 2) {
      const place = rest[i] as number;
      sums.set(place === REST ? OTHER : names[place]![0], BigInt(rest[i + 1]!));
    }
    buckets.set(number as number, sums);
  }
  return buckets;
}
