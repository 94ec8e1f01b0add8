/**
 * Tells the LiveHub what a batch has changed of the tiles. What it tells is whole states, so telling twice is telling once, and one
 * that is lost is made good:
 *
 *     publish fails, or the hub is silent   its starts stay marked, and go with the next batch or tick
 *     object evicted, rows swapped or lost  the next publish tells the whole window of every tile
 *     batch while one is sending            its starts are gathered, and sent when that one has ended: one at a time, no backlog
 */
import { SECOND_MS, TILES } from "../../r2-layout/limits.ts";
import { within } from "../within.ts";
import type { TileUpdate } from "./api.ts";
import { levelMs, levelStart } from "./definition.ts";
import { isFinalStart } from "./merge.ts";
import type { ChangedStarts, TileStore } from "./tile-store.ts";

/** A hub that does not answer counts as lost. */
const PUBLISH_TIMEOUT_MS = 10 * SECOND_MS;

export interface TileAudience {
  publishTile(update: TileUpdate): Promise<void>;
}

export class TilePublisher {
  readonly #hub: () => TileAudience;
  readonly #store: Pick<TileStore, "position" | "tiles" | "published">;
  readonly #shards: number;
  /** Null: all of them. */
  #unpublished: Map<string, Set<number>> | null = null;
  #toldUntil = 0;
  /** Milliseconds: when funnels were told last. */
  #funnelsAt = 0;
  #sending = false;
  #again = false;

  constructor(hub: () => TileAudience, store: Pick<TileStore, "position" | "tiles" | "published">, shards: number) {
    this.#hub = hub;
    this.#store = store;
    this.#shards = shards;
  }

  /** The next publish is the whole window. */
  tellAll(): void {
    this.#unpublished = null;
  }

  async publish(shard: number, changed: ChangedStarts, clock: () => number): Promise<void> {
    if (this.#unpublished) addAll(this.#unpublished, changed);
    this.#again = true;
    if (this.#sending) return;
    this.#sending = true;
    try {
      while (this.#again) {
        this.#again = false;
        await this.#send(shard, clock());
      }
    } catch (error) {
      console.warn(JSON.stringify({ at: "tile_publish", shard, error: String(error) }));
    } finally {
      this.#sending = false;
    }
  }

  async #send(shard: number, now: number): Promise<void> {
    const waiting = this.#unpublished;
    const { lastSeq, completeUntil, incarnation } = this.#store.position();
    // Their hour moves on with the clock, whatever has come.
    const funnels = waiting === null || now - this.#funnelsAt >= TILES.funnelEveryMs;
    const tiles = this.#store
      .tiles()
      .filter(({ id, measure }) => (measure === "funnel" ? funnels : waiting === null || waiting.has(id)))
      .map((definition) => ({
        id: definition.id,
        parts: this.#store.published(definition, waiting?.get(definition.id) ?? null, now),
      }));
    if (tiles.length === 0 && !this.#ripened(completeUntil)) return;
    if (funnels) this.#funnelsAt = now;
    this.#unpublished = new Map();
    try {
      const update: TileUpdate = { shard, shards: this.#shards, lastSeq, incarnation, completeUntil, tiles };
      await within(PUBLISH_TIMEOUT_MS, this.#hub().publishTile(update));
      this.#toldUntil = completeUntil;
    } catch (error) {
      const since = this.#unpublished as Map<string, Set<number>> | null;
      if (waiting && since) addAll(since, waiting);
      else this.#unpublished = null;
      throw error;
    }
  }

  /** Whether a start of some tile has become final since the hub was told. */
  #ripened(completeUntil: number): boolean {
    return this.#store.tiles().some(({ grainMinutes }) => {
      const newest = levelStart(grainMinutes, completeUntil);
      return [newest, newest - levelMs(grainMinutes), newest - 2 * levelMs(grainMinutes)].some(
        (start) =>
          isFinalStart(grainMinutes, start, completeUntil) && !isFinalStart(grainMinutes, start, this.#toldUntil),
      );
    });
  }
}

function addAll(into: Map<string, Set<number>>, more: ChangedStarts): void {
  for (const [tile, starts] of more) into.set(tile, (into.get(tile) ?? new Set()).union(starts));
}
