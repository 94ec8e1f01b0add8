/**
 * The order of a queue's messages, in memory: what is visible, first in first out, and what becomes visible later.
 * The bodies and the truth stay in SQLite; this is read from it when the object starts.
 */
export interface Waiting {
  readonly id: number;
  /** Deliveries that failed so far. */
  readonly attempts: number;
  /** Milliseconds. */
  readonly visibleAt: number;
}

export class Backlog {
  #ready: Waiting[] = [];
  /** A binary heap, the next to become visible first. */
  readonly #delayed: Waiting[] = [];

  get ready(): number {
    return this.#ready.length;
  }

  get delayed(): number {
    return this.#delayed.length;
  }

  /** Since when the first of the visible messages waits, or null. */
  get readySince(): number | null {
    return this.#ready[0]?.visibleAt ?? null;
  }

  /** When the next hidden message becomes visible, or null. */
  get nextVisibleAt(): number | null {
    return this.#delayed[0]?.visibleAt ?? null;
  }

  add(message: Waiting, now: number): void {
    if (message.visibleAt <= now) this.#ready.push(message);
    else this.#push(message);
  }

  /** Makes visible whose time has come. */
  ripen(now: number): void {
    while (this.#delayed.length > 0 && this.#delayed[0]!.visibleAt <= now) this.#ready.push(this.#pop());
  }

  /** Takes at most `count` visible messages, from `offset` on (less where fewer would be left to take). */
  take(count: number, offset: number): Waiting[] {
    const start = Math.max(0, Math.min(offset, this.#ready.length - count));
    return this.#ready.splice(start, count);
  }

  #push(message: Waiting): void {
    const heap = this.#delayed;
    let at = heap.push(message) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.visibleAt <= message.visibleAt) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = message;
  }

  #pop(): Waiting {
    const heap = this.#delayed;
    const first = heap[0]!;
    const last = heap.pop()!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.visibleAt < heap[child]!.visibleAt) child++;
      if (heap[child]!.visibleAt >= last.visibleAt) break;
      heap[at] = heap[child]!;
      at = child;
    }
    if (heap.length > 0) heap[at] = last;
    return first;
  }
}
