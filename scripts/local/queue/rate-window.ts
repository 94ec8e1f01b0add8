/** Counts per second of the clock, refused beyond a limit. */
export class RateWindow {
  readonly #limit: number;
  #second = 0;
  #count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @returns false, taking nothing, where `count` more would exceed this second's limit. */
  take(count: number, nowMs: number): boolean {
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    if (this.#count + count > this.#limit) return false;
    this.#count += count;
    return true;
  }
}
