/**
 * One tile, merged from the shards' parts. Pure: no sockets, no storage. As with the minutes (live-board.ts): of two states of a
 * shard's start the one with the higher lastSeq stays, within one incarnation of the shard.
 */
import { LIVE } from "../../r2-layout/limits.ts";
import type { TilePart, TilePoint, TileUpdate } from "../tile-rollup/api.ts";
import type { TileDefinition } from "../tile-rollup/definition.ts";
import { isFinalStart, mergeTileParts, tileWindow } from "../tile-rollup/merge.ts";
import { OTHER } from "../tile-rollup/tile-state.ts";

interface Known {
  readonly lastSeq: number;
  readonly part: TilePart;
}

interface Shard {
  incarnation: number;
  completeUntil: number;
}

export type ShardState = Pick<TileUpdate, "shard" | "lastSeq" | "incarnation" | "completeUntil">;

export class TileBoard {
  readonly definition: TileDefinition;
  readonly shards: number;
  readonly #shards = new Map<number, Shard>();
  readonly #starts = new Map<number, Map<number, Known>>();

  constructor(definition: TileDefinition, shards: number) {
    this.definition = definition;
    this.shards = shards;
  }

  /** The shard is no longer what the board was told of: it may have less. */
  isOutdatedBy({ shard, incarnation }: ShardState): boolean {
    const known = this.#shards.get(shard);
    return known !== undefined && incarnation > known.incarnation;
  }

  /** @returns starts that may look different now. */
  apply({ shard, lastSeq, incarnation, completeUntil }: ShardState, parts: readonly TilePart[]): Set<number> {
    const changed = new Set<number>();
    const known = this.#shards.get(shard) ?? { incarnation, completeUntil: 0 };
    if (incarnation < known.incarnation) return changed;
    const before = this.#completeUntil();
    this.#shards.set(shard, { incarnation, completeUntil: Math.max(known.completeUntil, completeUntil) });
    for (const part of parts) {
      const states = this.#starts.get(part.start) ?? new Map<number, Known>();
      this.#starts.set(part.start, states);
      // A funnel's minute also changes when users leave its hour, which no segment brings: of one place the later one counts.
      if ((states.get(shard)?.lastSeq ?? -1) > lastSeq) continue;
      states.set(shard, { lastSeq, part });
      changed.add(part.start);
    }
    const after = this.#completeUntil();
    const { grainMinutes } = this.definition;
    for (const start of this.#starts.keys()) {
      if (isFinalStart(grainMinutes, start, after) && !isFinalStart(grainMinutes, start, before)) changed.add(start);
    }
    return changed;
  }

  /** Drops what has left the window. */
  prune(now: number): void {
    const { from } = tileWindow(this.definition, now);
    for (const start of this.#starts.keys()) if (start < from) this.#starts.delete(start);
  }

  starts(): number[] {
    return [...this.#starts.keys()];
  }

  /** At most `LIVE.tileValues` of a start, the largest; of a funnel its steps. */
  points(start: number): readonly TilePoint[] {
    const states = this.#starts.get(start);
    if (!states) return [];
    const shards = Array.from({ length: this.shards }, (_, shard) => {
      const part = states.get(shard)?.part;
      return { completeUntil: this.#shards.get(shard)?.completeUntil ?? 0, parts: part ? [part] : [] };
    });
    return largest(this.definition, mergeTileParts(this.definition, shards));
  }

  #completeUntil(): number {
    let least = Number.POSITIVE_INFINITY;
    for (let shard = 0; shard < this.shards; shard++) {
      least = Math.min(least, this.#shards.get(shard)?.completeUntil ?? 0);
    }
    return least;
  }
}

/** What adds up goes on doing so: what is not shown is shown as one. @param points largest first */
function largest({ measure, by }: TileDefinition, points: readonly TilePoint[]): readonly TilePoint[] {
  if (points.length <= LIVE.tileValues) return points;
  if (measure !== "count" && measure !== "sum") return points.slice(0, LIVE.tileValues);
  const named = points.filter(({ key }) => Object.values(key).some((value) => value !== OTHER));
  const shown = named.slice(0, LIVE.tileValues - 1);
  const hidden = points.filter((point) => !shown.includes(point));
  const value = hidden.reduce((sum, point) => sum + (point.value ?? 0), 0);
  const key = Object.fromEntries(by.map((field) => [field, OTHER]));
  // In millionths, as they were added up: no digit of a sum of doubles is made up.
  return [...shown, { ...points[0]!, key, value: Math.round(value * 1e6) / 1e6, approximate: true }];
}
