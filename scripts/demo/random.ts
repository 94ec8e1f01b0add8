/** Seeded randomness: the same seed, the same shop. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 <= x < 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** A whole number from `from` to `to`, both inclusive. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  /** Of an exponential distribution: the waits between independent arrivals. */
  wait(mean: number): number {
    return -Math.log(1 - this.next()) * mean;
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.next() * list.length)]!;
  }

  /** By weight. */
  weighted<T extends { readonly weight: number }>(list: readonly T[]): T {
    let at = this.next() * list.reduce((sum, { weight }) => sum + weight, 0);
    for (const item of list) {
      at -= item.weight;
      if (at < 0) return item;
    }
    return list.at(-1)!;
  }

  /** The first of a list far more often than its last. */
  popular<T>(list: readonly T[]): T {
    return list[Math.floor(this.next() ** 2.2 * list.length)]!;
  }

  hex(digits: number): string {
    let text = "";
    while (text.length < digits) text += this.int(0, 0xffff_ffff).toString(16).padStart(8, "0");
    return text.slice(0, digits);
  }
}
