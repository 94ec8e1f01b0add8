/**
 * The wall's minutes in the hub that makes them: a board of what the shards said, and the feed of what sockets were told.
 *
 *     publish           changes the board; the minutes that may look different wait for the next flush
 *     no board          (evicted, a shard rebuilt or added) every MinuteRollup is asked; publishes that come meanwhile wait for it, then
 *                       add what is newer. The next flush tells only what differs from what was told
 */
import { createHash } from "node:crypto";
import { MINUTE_MS } from "../../r2-layout/limits.ts";
import { liveWindow } from "../minute-rollup/live-window.ts";
import type { LiveMinute, ShardUpdate } from "./api.ts";
import { Feed } from "./feed.ts";
import { changeFrames, type Frame } from "./frames.ts";
import type { LiveBoard } from "./live-board.ts";
import type { SentFrames } from "./sent-frames.ts";
import { MINUTES } from "./topics.ts";

export class MinuteTopic {
  readonly feed: Feed;
  readonly #sent: SentFrames;
  readonly #ask: (shards: number) => Promise<LiveBoard>;
  #board: LiveBoard | null = null;
  #restoring: Promise<LiveBoard> | null = null;
  /** Minutes to look at in the next flush. */
  readonly #changed = new Set<number>();
  #isWhole = false;

  /** @param ask for a board of what that many shards have now */
  constructor(sent: SentFrames, ask: (shards: number) => Promise<LiveBoard>) {
    this.feed = new Feed(sent.base, MINUTE_MS);
    this.#sent = sent;
    this.#ask = ask;
  }

  /** It has nothing, and nobody is waiting for it. */
  get isIdle(): boolean {
    return this.#board === null && this.#restoring === null;
  }

  get hasChanged(): boolean {
    return this.#board !== null && this.#changed.size > 0;
  }

  /** Whether the feed has all that the board had when it was restored: after the first flush. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** @param isWatched whether a board that is no longer right is worth another one */
  async apply(update: ShardUpdate, isWatched: () => boolean): Promise<void> {
    let board = await this.restored();
    // Once: what was asked for after this publish came is at least as new. Shards that are rebuilt together share one restoring.
    if (board.isOutdatedBy(update)) {
      if (this.#board === board) this.#board = null;
      if (!isWatched()) return;
      board = await this.restored();
    }
    for (const minute of board.apply(update)) this.#changed.add(minute);
  }

  /** There are more shards than it knows: it asks anew. */
  forget(): void {
    this.#board = null;
    this.#restoring = null;
  }

  async restored(): Promise<LiveBoard> {
    if (this.#board) return this.#board;
    const restoring = this.#restoring ?? this.#ask(this.#sent.shards);
    this.#restoring = restoring;
    try {
      const board = await restoring;
      if (this.#restoring !== restoring) return this.#board ?? this.restored();
      this.#board = board;
      this.#restoring = null;
      // Whoever hibernated may have missed some of it. Not sent yet: what woke the hub comes along in the same frames.
      for (const minute of [...board.starts(Date.now()), ...this.#sent.starts()]) this.#changed.add(minute);
      return board;
    } catch (error) {
      if (this.#restoring === restoring) this.#restoring = null;
      throw error;
    }
  }

  /** Numbers what looks different from what was told. */
  flush(now: number): Frame[] {
    const board = this.#board;
    if (!board) return [];
    board.prune(now);
    this.feed.prune(now);
    const { from } = liveWindow(now);
    const changed = [...this.#changed].filter((start) => start >= from).sort((one, other) => one - other);
    this.#changed.clear();
    this.#isWhole = true;
    const frames: Frame[] = [];
    for (const start of changed) {
      const known = board.minute(start);
      const minute = known ?? board.minuteOrEmpty(start);
      const body = JSON.stringify(minute);
      const { seq, isNew } = this.#sent.tell(start, signature(minute, body));
      const item = { id: String(start), start, seq, body, gone: known === null };
      this.feed.put(item);
      if (isNew) frames.push(...changeFrames(MINUTES, [item], now));
    }
    return frames;
  }
}

/** What a socket was told, in short. A correction may move a minute's events to another page and leave their number as it was. */
function signature({ events, version, state }: LiveMinute, body: string): string {
  return `${events} ${version} ${state} ${createHash("sha256").update(body).digest("base64").slice(0, 12)}`;
}
