/**
 * The hubs below this one: each has sockets of its own and is told, as one listener, what anybody there listens to. With 5,000
 * sockets a hub, 64 of them and the root hold 325,000; a frame leaves the root once for each.
 *
 *     follow            a leaf asks for its topics: it is remembered (one row), and gets all that was told so far
 *     push              what was told since, one delivery at a time; what is told meanwhile goes with the next, each item once
 *     delivery lost     the next one begins at the same number
 *     leaf evicted      it finds that it knows less than `prev` and follows anew
 *     root evicted      the rows say who follows; deliveries go on from the number that was saved with the last flush
 *     last socket left  the leaf's answer says so and the row goes, unless the leaf has followed again since (`generation`)
 */
import { LIVE } from "../../r2-layout/limits.ts";
import type { ObjectNamespace } from "../namespace.ts";
import { within } from "../within.ts";
import type { Delivery, FeedPart, LeafHubApi } from "./api.ts";
import type { Source } from "./audience.ts";
import type { Topic } from "./topics.ts";

type LeafRow = { name: string; generation: number; sockets: number; topics: string };

interface Leaf {
  generation: number;
  sockets: number;
  topics: readonly Topic[];
  /** Up to here it has been told. */
  sentSeq: number;
  isSending: boolean;
  failures: number;
}

export class Leaves {
  readonly #sql: SqlStorage;
  readonly #hubs: ObjectNamespace<LeafHubApi>;
  readonly #source: () => Source;
  readonly #leaves = new Map<string, Leaf>();
  #watched: ReadonlySet<Topic> | null = null;
  #generation = 0;

  /** @param seq of the last flush: what was told before it was delivered, or is owed to who lacks it */
  constructor(sql: SqlStorage, hubs: ObjectNamespace<LeafHubApi>, source: () => Source, seq: number) {
    this.#sql = sql;
    this.#hubs = hubs;
    this.#source = source;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS leaves (name TEXT PRIMARY KEY, generation INTEGER NOT NULL, sockets INTEGER NOT NULL, topics TEXT NOT NULL)",
    );
    for (const { name, topics, ...row } of sql.exec<LeafRow>("SELECT * FROM leaves")) {
      const known = { ...row, topics: JSON.parse(topics) as Topic[], sentSeq: seq, isSending: false, failures: 0 };
      this.#leaves.set(name, known);
      this.#generation = Math.max(this.#generation, row.generation);
    }
  }

  /** Topics that any leaf listens to. */
  watched(): ReadonlySet<Topic> {
    this.#watched ??= new Set([...this.#leaves.values()].flatMap(({ topics }) => topics));
    return this.#watched;
  }

  /** @returns the registration's number. The leaf is given all up to `seq` by whoever calls this. */
  follow(name: string, topics: readonly Topic[], sockets: number, seq: number): number {
    const leaf: Leaf = {
      generation: ++this.#generation,
      sockets,
      topics,
      sentSeq: seq,
      isSending: false,
      failures: 0,
    };
    this.#leaves.set(name, leaf);
    this.#save(name, leaf);
    return leaf.generation;
  }

  /** Tells each leaf what it has not been told. */
  push(): void {
    for (const [name, leaf] of this.#leaves) if (!leaf.isSending) void this.#deliver(name, leaf);
  }

  /** Names of hubs with room, the fullest first, so that few are needed. @param full those that were found full */
  withRoom(full: readonly string[]): string[] {
    const names = Array.from({ length: LIVE.leaves }, (_, i) => leafName(i + 1)).filter((name) => !full.includes(name));
    const known = names.filter((name) => (this.#leaves.get(name)?.sockets ?? 0) > 0);
    const room = known.filter((name) => this.#leaves.get(name)!.sockets < LIVE.sockets);
    if (room.length > 0) return room.slice(0, LEAVES_NAMED);
    return names.filter((name) => !known.includes(name)).slice(0, 1);
  }

  async #deliver(name: string, leaf: Leaf): Promise<void> {
    leaf.isSending = true;
    try {
      while (this.#leaves.get(name) === leaf && leaf.sentSeq < this.#source().seq) {
        const delivery = this.#delivery(leaf);
        const wanted = await within(LIVE.relayTimeoutMs, this.#hubs.getByName(name).deliver(delivery));
        if (this.#leaves.get(name) !== leaf) return;
        leaf.sentSeq = delivery.seq;
        leaf.failures = 0;
        this.#settle(name, leaf, wanted);
      }
    } catch (error) {
      console.warn(JSON.stringify({ at: "live_deliver", leaf: name, error: String(error) }));
      // Again soon, should no frame follow; and with the next frame, should it stay away.
      if (++leaf.failures <= RETRIES) setTimeout(() => this.push(), LIVE.frameIntervalMs);
    } finally {
      leaf.isSending = false;
    }
  }

  #delivery({ generation, topics, sentSeq }: Leaf): Delivery {
    const source = this.#source();
    const now = Date.now();
    const feeds = topics.flatMap((topic): FeedPart[] => {
      const feed = source.feed(topic);
      if (!feed) return [];
      const items = feed.after(sentSeq, now) ?? feed.all();
      return items.length === 0 ? [] : [{ topic, since: feed.since, grainMs: feed.grainMs, items }];
    });
    return { generation, prev: sentSeq, seq: source.seq, feeds };
  }

  #settle(name: string, leaf: Leaf, wanted: { sockets: number; topics: readonly Topic[] }): void {
    if (wanted.sockets === 0) {
      this.#leaves.delete(name);
      this.#watched = null;
      this.#sql.exec("DELETE FROM leaves WHERE name = ?", name);
      return;
    }
    const topics = leaf.topics.filter((topic) => wanted.topics.includes(topic));
    const isSame = topics.length === leaf.topics.length && wanted.sockets === leaf.sockets;
    leaf.topics = topics;
    leaf.sockets = wanted.sockets;
    if (!isSame) this.#save(name, leaf);
  }

  #save(name: string, { generation, sockets, topics }: Leaf): void {
    this.#watched = null;
    this.#sql.exec(
      "INSERT OR REPLACE INTO leaves (name, generation, sockets, topics) VALUES (?, ?, ?, ?)",
      name,
      generation,
      sockets,
      JSON.stringify(topics),
    );
  }
}

const LEAVES_NAMED = 8;
const RETRIES = 10;

export const leafName = (index: number): string => `live:${index}`;
