/**
 * What the sockets have been told of one topic: the newest state of each of its items (a minute, a tile's point), with the
 * number of the frame that told it. From that follow a snapshot, and what has changed since any number: a client that comes
 * back, a slow one and a hub further down the tree are all served by the same question. Pure.
 *
 * Every state is whole and has its number, so what an item was in between need not be kept.
 */
import { LIVE } from "../../r2-layout/limits.ts";

export interface FeedItem {
  /** Within its topic. */
  readonly id: string;
  /** Of the minute that it belongs to, milliseconds: it is forgotten once that has left the window. */
  readonly start: number;
  /** Of the frame that told this state. */
  readonly seq: number;
  /** JSON, encoded once for all who get it. */
  readonly body: string;
  /** It is no more: told to those who had it, left out of snapshots. */
  readonly gone: boolean;
}

export class Feed {
  /** Who has seen a number below this one may have seen what this feed does not know of. */
  readonly since: number;
  /** Of the starts of its items. */
  readonly grainMs: number;
  readonly #items = new Map<string, FeedItem>();
  #seq = 0;
  #snapshot: { readonly of: string; readonly bodies: readonly string[] } | null = null;
  #after: { readonly of: string; readonly items: readonly FeedItem[] } | null = null;

  constructor(since: number, grainMs: number) {
    this.since = since;
    this.grainMs = grainMs;
  }

  get(id: string): FeedItem | undefined {
    return this.#items.get(id);
  }

  /** Items of one start. */
  of(start: number): FeedItem[] {
    return this.all().filter((item) => item.start === start);
  }

  all(): FeedItem[] {
    return [...this.#items.values()];
  }

  put(item: FeedItem): void {
    this.#items.set(item.id, item);
    this.#seq = Math.max(this.#seq, item.seq);
    this.#snapshot = null;
    this.#after = null;
  }

  /** Forgets what has left the window. */
  prune(now: number): void {
    const from = this.#from(now);
    for (const [id, { start }] of this.#items) if (start < from) this.#items.delete(id);
  }

  /** Bodies of what there is, oldest first. The same list as long as it is the same. */
  snapshot(now: number): readonly string[] {
    const from = this.#from(now);
    if (this.#snapshot?.of !== `${from}`) {
      const items = this.all().filter(({ start, gone }) => start >= from && !gone);
      items.sort((one, other) => one.start - other.start);
      this.#snapshot = { of: `${from}`, bodies: items.map(({ body }) => body) };
    }
    return this.#snapshot.bodies;
  }

  /** What was told after a number, in the order of telling; null where that cannot be known. The same list as long as it is the same. */
  after(seq: number, now: number): readonly FeedItem[] | null {
    if (seq < this.since) return null;
    if (seq >= this.#seq) return [];
    const from = this.#from(now);
    if (this.#after?.of !== `${seq} ${from}`) {
      const items = this.all().filter((item) => item.seq > seq && item.start >= from);
      items.sort((one, other) => one.seq - other.seq);
      this.#after = { of: `${seq} ${from}`, items };
    }
    return this.#after.items;
  }

  #from(now: number): number {
    return Math.floor(now / this.grainMs) * this.grainMs - (LIVE.minutes - 1) * this.grainMs;
  }
}
