/**
 * The days (UTC) on which a subject had events, a bit each: two years are 92 bytes. With it, a session of a year ago is
 * found in the lake by reading only the days that have something.
 */
import { DAY_US, dayOf } from "../../r2-layout/time.ts";

/** 2000-01-01, before which the edge lets no time pass, and 2100-01-01. */
const FIRST_DAY = 10_957;
const END_DAY = 47_482;

export class ActiveDays {
  #days = new Set<number>();

  add(us: number): void {
    const day = Math.floor(us / DAY_US);
    if (day >= FIRST_DAY && day < END_DAY) this.#days.add(day);
  }

  /** `YYYY-MM-DD`, oldest first. */
  list(): string[] {
    return [...this.#days].sort((a, b) => a - b).map((day) => dayOf(day * DAY_US));
  }

  /** Of the last so many days, today's included. @param now microseconds */
  countUntil(now: number, days: number): number {
    const today = Math.floor(now / DAY_US);
    let count = 0;
    for (const day of this.#days) if (day <= today && day > today - days) count++;
    return count;
  }

  /** First day and a bitmap from it on; null where there are no days. */
  encode(): [first: number, bits: string] | null {
    if (this.#days.size === 0) return null;
    const first = Math.min(...this.#days);
    const bits = new Uint8Array(((Math.max(...this.#days) - first) >> 3) + 1);
    for (const day of this.#days) bits[(day - first) >> 3]! |= 1 << ((day - first) & 7);
    return [first, Buffer.from(bits).toString("base64")];
  }

  static decode(encoded: [first: number, bits: string] | null): ActiveDays {
    const days = new ActiveDays();
    if (!encoded) return days;
    const [first, text] = encoded;
    const bits = Buffer.from(text, "base64");
    for (let at = 0; at < bits.length * 8; at++) {
      if (bits[at >> 3]! & (1 << (at & 7))) days.#days.add(first + at);
    }
    return days;
  }
}
