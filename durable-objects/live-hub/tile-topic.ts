/**
 * One tile in the hub that makes its frames. Its points are not remembered through an eviction, for there may be thousands:
 * the feed of a hub that woke up begins anew, with a snapshot for all who listen.
 */
import { MINUTE_MS } from "../../r2-layout/limits.ts";
import type { TilePart } from "../tile-rollup/api.ts";
import type { GonePoint } from "./api.ts";
import { Feed, type FeedItem } from "./feed.ts";
import { changeFrames, type Frame, snapshotFrame } from "./frames.ts";
import type { ShardState, TileBoard } from "./tile-board.ts";
import { type Topic, topicOf } from "./topics.ts";

export class TileTopic {
  readonly topic: Topic;
  /** When somebody listened last, milliseconds. */
  watchedAt: number;
  readonly #ask: () => Promise<TileBoard | null>;
  #board: TileBoard | null = null;
  #restoring: Promise<TileBoard | null> | null = null;
  readonly #changed = new Set<number>();
  #feed: Feed | null = null;

  /** @param ask for a board of what the shards have now; null: there is no such tile */
  constructor(tile: string, ask: () => Promise<TileBoard | null>, now: number) {
    this.topic = topicOf(tile);
    this.#ask = ask;
    this.watchedAt = now;
  }

  /** Null until the first flush. */
  get feed(): Feed | null {
    return this.#feed;
  }

  get hasChanged(): boolean {
    return this.#board !== null && (this.#changed.size > 0 || this.#feed === null);
  }

  /** @returns false where there is no such tile. */
  async apply(state: ShardState, parts: readonly TilePart[]): Promise<boolean> {
    let board = await this.restored();
    if (board?.isOutdatedBy(state)) {
      if (this.#board === board) this.#board = null;
      board = await this.restored();
    }
    for (const start of board?.apply(state, parts) ?? []) this.#changed.add(start);
    return board !== null;
  }

  restored(): Promise<TileBoard | null> {
    if (this.#board) return Promise.resolve(this.#board);
    this.#restoring ??= this.#restore();
    return this.#restoring;
  }

  /** What it has is no longer all: it asks anew. */
  forget(): void {
    this.#board = null;
  }

  async #restore(): Promise<TileBoard | null> {
    try {
      const board = await this.#ask();
      this.#board = board;
      // What was told and is no more is told, too.
      for (const start of [...(board?.starts() ?? []), ...(this.#feed?.all() ?? []).map((item) => item.start)]) {
        this.#changed.add(start);
      }
      return board;
    } finally {
      this.#restoring = null;
    }
  }

  /** Numbers what looks different from what was told. @param next gives a number that is higher than all before it */
  flush(now: number, next: () => number): Frame[] {
    const board = this.#board;
    if (!board) return [];
    board.prune(now);
    const changed = [...this.#changed];
    this.#changed.clear();
    if (this.#feed) {
      this.#feed.prune(now);
      return changeFrames(this.topic, this.#put(this.#feed, board, changed, next), now);
    }
    const since = next();
    this.#feed = new Feed(since, board.definition.grainMinutes * MINUTE_MS);
    this.#put(this.#feed, board, board.starts(), () => since);
    return [{ topic: this.topic, seq: since, text: snapshotFrame(this.topic, this.#feed, since, now) }];
  }

  /** @returns what differs, all with one number. */
  #put(feed: Feed, board: TileBoard, starts: readonly number[], next: () => number): FeedItem[] {
    const put: FeedItem[] = [];
    let seq: number | null = null;
    const tell = (id: string, start: number, body: string, gone: boolean): void => {
      seq ??= next();
      const item = { id, start, seq, body, gone };
      feed.put(item);
      put.push(item);
    };
    for (const start of starts) {
      const points = new Map(board.points(start).map((point) => [`${start} ${JSON.stringify(point.key)}`, point]));
      for (const [id, point] of points) {
        const body = JSON.stringify(point);
        if (feed.get(id)?.body !== body) tell(id, start, body, false);
      }
      for (const { id, body, gone } of feed.of(start)) {
        if (gone || points.has(id)) continue;
        tell(id, start, JSON.stringify({ ...(JSON.parse(body) as GonePoint), value: null, gone: true }), true);
      }
    }
    return put;
  }
}
