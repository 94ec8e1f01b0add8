/**
 * Start-time fair queueing of tokens by the engine's time that they use: each token has a clock of its own that runs while
 * its statements do, and the token whose clock is furthest behind comes next. A token that was away does not save up:
 * its clock is set to that of what began last. Pure.
 */
export class FairQueue {
  /** The start of what began last, milliseconds of nobody's clock but this queue's. */
  #virtualMs = 0;
  /** Of tokens whose clocks are ahead of that. */
  readonly #clocks = new Map<string, number>();

  /** Where a statement of the token would begin. */
  startOf(token: string): number {
    return Math.max(this.#virtualMs, this.#clocks.get(token) ?? 0);
  }

  /** @returns where it begins. */
  begin(token: string): number {
    const start = this.startOf(token);
    this.#virtualMs = start;
    for (const [other, clock] of this.#clocks) if (clock <= start) this.#clocks.delete(other);
    return start;
  }

  /** The token has used so much. */
  charge(token: string, usedMs: number): void {
    this.#clocks.set(token, this.startOf(token) + Math.max(1, usedMs));
  }
}
