/**
 * The topics of a hub that has only sockets: copies of the root's feeds, with the root's numbers, so that a client may come back
 * to any hub and say what it saw last at another.
 *
 *     follow       asks the root for all topics that anybody here listens to, and for those that somebody wants: the root's answer is
 *                  whole, as of its seq
 *     deliver      what was told since. One that comes twice changes nothing; one that begins after what is known here means that one
 *                  was missed: the leaf follows anew
 *     one by one   a delivery that overtakes the answer to `follow` waits for it
 *     silence      a root that has lost its storage knows of no leaf: one that hears nothing for a minute follows anew
 *     evicted      the row says up to where the sockets were told; what changed since is told when the leaf has followed anew
 */
import { LIVE } from "../../r2-layout/limits.ts";
import { within } from "../within.ts";
import type { Delivery, FeedPart, Refusal, RootHubApi } from "./api.ts";
import type { Source } from "./audience.ts";
import { Feed } from "./feed.ts";
import { changeFrames, type Frame, snapshotFrame } from "./frames.ts";
import type { Topic } from "./topics.ts";

export interface LeafParts {
  /** Its own. */
  readonly name: string;
  root(): RootHubApi;
  /** Up to here its sockets were told, kept through evictions; 0: nothing yet. */
  readonly told: { seq: number };
  watched(): ReadonlySet<Topic>;
  sockets(): number;
  tell(frames: readonly Frame[], seq: number): void;
}

export class LeafTopics implements Source {
  readonly #parts: LeafParts;
  readonly #feeds = new Map<Topic, Feed>();
  /** When each topic was last asked for: whoever asked is about to listen to it. Milliseconds. */
  readonly #opened = new Map<Topic, number>();
  #isFollowing = false;
  #heardAt = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(parts: LeafParts) {
    this.#parts = parts;
  }

  get seq(): number {
    return this.#parts.told.seq;
  }

  feed(topic: Topic): Feed | null {
    return this.#feeds.get(topic) ?? null;
  }

  open(topics: readonly Topic[], atLeast: number): Promise<ReadonlyMap<Topic, Refusal>> {
    for (const topic of topics) this.#opened.set(topic, Date.now());
    return this.#inTurn(async () => {
      const isHere = this.#isFollowing && topics.every((topic) => this.#feeds.has(topic));
      if (isHere && this.seq >= atLeast) return new Map();
      try {
        return await this.#follow(topics);
      } catch (error) {
        console.error(JSON.stringify({ at: "live_follow", leaf: this.#parts.name, error: String(error) }));
        // Rather nothing than something older than what the client has seen at another hub.
        const missing = topics.filter((topic) => !this.#feeds.has(topic) || this.seq < atLeast);
        return new Map(missing.map((topic) => [topic, "upstream_unavailable"]));
      }
    });
  }

  /** To be called now and then: whether the root still knows of this hub shows in that it says something. @throws what the root threw */
  async listen(): Promise<void> {
    await this.#inTurn(async () => {
      if (Date.now() - this.#heardAt >= LIVE.silenceMs) await this.#follow([]);
    });
  }

  async deliver({ prev, seq, feeds }: Delivery): Promise<{ sockets: number; topics: readonly Topic[] }> {
    return this.#inTurn(async () => {
      const { sockets } = this.#parts;
      this.#heardAt = Date.now();
      if (sockets() === 0) {
        // The root forgets this leaf: whoever comes next makes it follow again.
        this.#isFollowing = false;
        this.#feeds.clear();
        this.#opened.clear();
        return { sockets: 0, topics: [] };
      }
      if (!this.#isFollowing || prev > this.seq) await this.#follow([]);
      else this.#take(feeds, seq);
      return { sockets: sockets(), topics: [...this.#wanted()] };
    });
  }

  /** What is listened to, or will be in a moment. */
  #wanted(): Set<Topic> {
    const until = Date.now() - LIVE.tileKeptMs;
    for (const [topic, at] of this.#opened) if (at < until) this.#opened.delete(topic);
    return new Set([...this.#parts.watched(), ...this.#opened.keys()]);
  }

  async #follow(more: readonly Topic[]): Promise<ReadonlyMap<Topic, Refusal>> {
    const topics = [...this.#wanted().union(new Set(more))];
    const { name, root, sockets } = this.#parts;
    const { seq, feeds, refused } = await within(LIVE.relayTimeoutMs, root().follow(name, topics, sockets()));
    this.#isFollowing = true;
    this.#heardAt = Date.now();
    for (const [topic] of refused) this.#opened.delete(topic);
    this.#take(feeds, seq);
    return new Map(refused.filter(([topic]) => more.includes(topic)));
  }

  /** Tells what is new of it. */
  #take(parts: readonly FeedPart[], seq: number): void {
    const { told, tell } = this.#parts;
    const now = Date.now();
    const before = told.seq;
    // An older state of what is known.
    if (seq < before) return;
    const frames: Frame[] = [];
    for (const part of parts) frames.push(...this.#takePart(part, before, seq, now));
    for (const feed of this.#feeds.values()) feed.prune(now);
    if (seq === before && frames.length === 0) return;
    told.seq = seq;
    tell(
      frames.sort((one, other) => one.seq - other.seq),
      seq,
    );
  }

  #takePart({ topic, since, grainMs, items }: FeedPart, before: number, seq: number, now: number): Frame[] {
    let feed = this.#feeds.get(topic);
    if (feed?.since !== since) {
      feed = new Feed(since, grainMs);
      this.#feeds.set(topic, feed);
    }
    for (const item of items) feed.put(item);
    // Nobody who listens knows anything of a feed that began after what was told here.
    const changed = feed.after(before, now);
    return changed ? changeFrames(topic, changed, now) : [{ topic, seq, text: snapshotFrame(topic, feed, seq, now) }];
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(work);
    this.#tail = done.catch(() => {});
    return done;
  }
}
