/**
 * Tells the LiveHub what changed, right after each batch: the object does it itself, not the sink, because it alone knows what the hub
 * has been told. A publish is whole states and therefore safe to repeat; one that is lost is made good:
 *
 *     publish fails               its minutes stay marked, and go with the next batch or tick (at least one a minute)
 *     hub does not answer         the same, after ten seconds
 *     object evicted              what the hub knows is forgotten with the marks: the next publish tells the whole window
 *     batch while one is sending  its minutes are gathered, and sent when that one has ended: one at a time, no backlog
 *     rows were swapped           the whole window is told under a new incarnation (ShardUpdate); one that is under way and told the old
 *                                 is void for the hub, whichever comes first
 */
import { MINUTE_MS } from "../../r2-layout/limits.ts";
import type { LiveHubApi, ShardUpdate } from "../live-hub/api.ts";
import { within } from "../within.ts";
import { isFinal } from "./grains.ts";
import { liveWindow } from "./live-window.ts";
import type { RollupStore } from "./rollup-store.ts";
import { shardMinute } from "./shard-minute.ts";

/** A hub that does not answer counts as lost: it must not keep later publishes waiting. */
const PUBLISH_TIMEOUT_MS = 10_000;

export class LivePublisher {
  readonly #hub: () => Pick<LiveHubApi, "publish">;
  readonly #store: Pick<RollupStore, "position" | "minutes">;
  readonly #shards: number;
  /** Null: all of them. A minute ahead of the window waits here until the clock has come to it. */
  #unpublished: Set<number> | null = null;
  #toldUntil = 0;
  #sending = false;
  #again = false;

  constructor(
    hub: () => Pick<LiveHubApi, "publish">,
    store: Pick<RollupStore, "position" | "minutes">,
    shards: number,
  ) {
    this.#hub = hub;
    this.#store = store;
    this.#shards = shards;
  }

  /** The next publish is the whole window. */
  tellAll(): void {
    this.#unpublished = null;
  }

  /** @param changed starts of minutes that a batch has changed; none for a tick */
  async publish(shard: number, changed: readonly number[], clock: () => number): Promise<void> {
    for (const minute of changed) this.#unpublished?.add(minute);
    this.#again = true;
    if (this.#sending) return;
    this.#sending = true;
    try {
      while (this.#again) {
        this.#again = false;
        await this.#send(shard, clock());
      }
    } catch (error) {
      console.warn(JSON.stringify({ at: "live_publish", shard, error: String(error) }));
    } finally {
      this.#sending = false;
    }
  }

  async #send(shard: number, now: number): Promise<void> {
    const { from, to } = liveWindow(now);
    const waiting = this.#unpublished;
    const { lastSeq, completeUntil, incarnation } = this.#store.position();
    const minutes = this.#store.minutes(from, to, waiting ?? undefined).map(shardMinute);
    if (minutes.length === 0 && waiting && !this.#ripened(completeUntil)) return;
    this.#unpublished = new Set([...(waiting ?? [])].filter((minute) => minute >= to));
    try {
      const update: ShardUpdate = { shard, shards: this.#shards, lastSeq, incarnation, completeUntil, minutes };
      await within(PUBLISH_TIMEOUT_MS, this.#hub().publish(update));
      this.#toldUntil = completeUntil;
    } catch (error) {
      const since = this.#unpublished as ReadonlySet<number> | null;
      this.#unpublished = waiting && since && new Set([...waiting, ...since]);
      throw error;
    }
  }

  /** Whether a minute has become final, here or for want of this shard, since the hub was told. */
  #ripened(completeUntil: number): boolean {
    const newest = Math.floor(completeUntil / MINUTE_MS) * MINUTE_MS;
    return [newest, newest - MINUTE_MS, newest - 2 * MINUTE_MS].some(
      (start) => isFinal("minute", start, completeUntil) && !isFinal("minute", start, this.#toldUntil),
    );
  }
}
