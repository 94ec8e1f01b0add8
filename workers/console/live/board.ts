/** All that the hub has told this page: the minutes, and the points of each tile. Its frames are whole states, so telling twice is telling once. */
import type { HubFrame, Refusal, TileFrame } from "../../../durable-objects/live-hub/api.ts";
import { tileTopic } from "./feed.ts";
import { applyFrame, type LiveState } from "./minutes.ts";
import { type Point, pointOf } from "./points.ts";

/** A tile's live window has sixty starts of its grain: what is older than the newest by more is let go. */
const STARTS_KEPT = 61;

/** Corrections that are remembered. */
const CORRECTED_KEPT = 5;

/** A value of a tile that changed after it was final. */
export interface Corrected {
  readonly tile: string;
  readonly start: number;
  readonly key: Point["key"];
  readonly before: number | null;
  readonly after: number | null;
  readonly version: number;
  /** This browser's clock. */
  readonly at: number;
}

export class LiveBoard {
  minutes: LiveState | null = null;
  /** Of tiles, newest first, as they arrived over this page's connection. */
  corrected: readonly Corrected[] = [];
  readonly #tiles = new Map<string, ReadonlyMap<string, Point>>();
  readonly #refused = new Map<string, Refusal>();

  apply(frame: HubFrame, now: number): void {
    switch (frame.type) {
      case "snapshot":
      case "minute":
        this.minutes = applyFrame(this.minutes, frame, now);
        return;
      case "tile_snapshot":
        this.#refused.delete(tileTopic(frame.tile));
        this.#tiles.set(frame.tile, new Map());
        this.#applyTile(frame, null);
        return;
      case "tile":
        this.#applyTile(frame, now);
        return;
      case "resumed":
        // What came in one go is not an arrival of this moment.
        if (this.minutes) this.minutes = { ...this.minutes, since: now, arrivals: [] };
        return;
      case "refused":
        this.#refused.set(frame.topic, frame.reason);
    }
  }

  /** Null until the hub has told it. */
  tile(definition: string): readonly Point[] | null {
    const points = this.#tiles.get(definition);
    return points ? [...points.values()] : null;
  }

  refusal(definition: string): Refusal | null {
    return this.#refused.get(tileTopic(definition)) ?? null;
  }

  /** @param at when what it corrects is told; null: a snapshot tells what is, not what has changed */
  #applyTile({ tile, points }: TileFrame, at: number | null): void {
    const known = new Map(this.#tiles.get(tile));
    const versions = new Map([...known.values()].map(({ start, version }) => [start, version]));
    const corrected: Corrected[] = [];
    for (const point of points) {
      const id = `${point.start} ${JSON.stringify(point.key)}`;
      const before = known.get(id)?.value ?? null;
      if ("gone" in point) known.delete(id);
      else known.set(id, pointOf(point));
      const { key, value, version } = point;
      const start = Date.parse(point.start);
      if (at === null || version <= (versions.get(start) ?? 1) || value === before) continue;
      corrected.push({ tile, start, key, before, after: value, version, at });
    }
    this.corrected = [...corrected.slice(0, CORRECTED_KEPT), ...this.corrected].slice(0, CORRECTED_KEPT);
    const starts = [...new Set([...known.values()].map(({ start }) => start))].sort((one, other) => one - other);
    const oldest = starts.at(-STARTS_KEPT) ?? Number.NEGATIVE_INFINITY;
    for (const [id, { start }] of known) if (start < oldest) known.delete(id);
    this.#tiles.set(tile, known);
  }
}
