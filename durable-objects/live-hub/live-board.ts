/**
 * The minutes on the screen, merged from the shards' states. Pure: no sockets, no storage.
 *
 * Updates may come twice and in any order: of two states of a shard's minute the one with the higher lastSeq stays. Users are
 * kept as one union for all shards, since a newer sketch of a shard holds its older one. What is kept of each shard is small
 * (counts and a short list), so that the hub fits in memory with 128 shards.
 *
 * All that holds within one incarnation of a shard. A new one may have less than the old, which cannot be taken out of a union: whoever
 * owns the board asks `isOutdatedBy` first, and makes a new board.
 */
import { LIVE } from "../../r2-layout/limits.ts";
import { DIMENSIONS, type Dimension, type MicroUnits } from "../minute-rollup/api.ts";
import { isFinal } from "../minute-rollup/grains.ts";
import { liveWindow } from "../minute-rollup/live-window.ts";
import { mergedVersion, toUnits } from "../minute-rollup/merge.ts";
import { largestFirst } from "../minute-rollup/shard-minute.ts";
import {
  decodeSketch,
  emptySketch,
  estimateUsers,
  mergeSketch,
  type UserSketch,
} from "../minute-rollup/user-sketch.ts";
import type { LiveMinute, ShardMinute, ShardUpdate } from "./api.ts";

interface ShardPart extends Omit<ShardMinute, "users" | "minute"> {
  readonly lastSeq: number;
}

interface BoardMinute {
  readonly users: UserSketch;
  readonly parts: Map<number, ShardPart>;
}

export class LiveBoard {
  readonly shards: number;
  readonly #completeUntil = new Map<number, number>();
  readonly #incarnations = new Map<number, number>();
  readonly #minutes = new Map<number, BoardMinute>();
  #revision = 0;

  constructor(shards: number) {
    this.shards = shards;
  }

  /** Rises with every change. */
  get revision(): number {
    return this.#revision;
  }

  /** The shard is no longer what the board was told of. */
  isOutdatedBy({ shard, incarnation }: ShardUpdate): boolean {
    const known = this.#incarnations.get(shard);
    return incarnation !== undefined && known !== undefined && incarnation > known;
  }

  /** @returns starts of the minutes that may look different now. */
  apply(update: ShardUpdate): Set<number> {
    const changed = new Set<number>();
    const known = this.#incarnations.get(update.shard);
    const { incarnation = known } = update;
    if (known !== undefined && incarnation! < known) return changed;
    if (incarnation !== undefined) this.#incarnations.set(update.shard, incarnation);
    for (const { minute, users, ...part } of update.minutes) {
      let merged = this.#minutes.get(minute);
      if (!merged) {
        merged = { users: emptySketch(), parts: new Map() };
        this.#minutes.set(minute, merged);
      }
      if ((merged.parts.get(update.shard)?.lastSeq ?? -1) >= update.lastSeq) continue;
      merged.parts.set(update.shard, { ...part, lastSeq: update.lastSeq });
      mergeSketch(merged.users, decodeSketch(users));
      changed.add(minute);
    }
    const before = this.completeUntil();
    this.#completeUntil.set(update.shard, Math.max(this.#completeUntil.get(update.shard) ?? 0, update.completeUntil));
    const after = this.completeUntil();
    for (const minute of this.#minutes.keys()) {
      if (isFinal("minute", minute, after) && !isFinal("minute", minute, before)) changed.add(minute);
    }
    if (changed.size > 0) this.#revision++;
    return changed;
  }

  /** Every shard's log was read until here (ms); 0 while a shard has not been heard of. */
  completeUntil(): number {
    let least = Number.POSITIVE_INFINITY;
    for (let shard = 0; shard < this.shards; shard++) least = Math.min(least, this.#completeUntil.get(shard) ?? 0);
    return least;
  }

  /** Drops what has left the window. */
  prune(now: number): void {
    const { from } = liveWindow(now);
    for (const minute of this.#minutes.keys()) if (minute < from) this.#minutes.delete(minute);
  }

  /** Starts of the minutes in the window, oldest first. */
  starts(now: number): number[] {
    const { from, to } = liveWindow(now);
    return [...this.#minutes.keys()]
      .filter((minute) => minute >= from && minute < to)
      .sort((one, other) => one - other);
  }

  minute(start: number): LiveMinute | null {
    return this.#minutes.has(start) ? this.minuteOrEmpty(start) : null;
  }

  minuteOrEmpty(start: number): LiveMinute {
    const merged = this.#minutes.get(start) ?? { users: emptySketch(), parts: new Map<number, ShardPart>() };
    const parts = [...merged.parts.values()];
    const top = {} as Record<Dimension, [string, number][]>;
    for (const dimension of DIMENSIONS) top[dimension] = mergeTop(parts.map((part) => part.top[dimension]));
    return {
      start: new Date(start).toISOString(),
      events: parts.reduce((sum, { events }) => sum + events, 0),
      users: estimateUsers(merged.users),
      revenue: mergeRevenue(parts),
      ...top,
      state: isFinal("minute", start, this.completeUntil()) ? "final" : "provisional",
      version: mergedVersion(parts.map(({ version }) => version)),
    };
  }
}

function mergeTop(lists: readonly ShardMinute["top"][Dimension][]): [string, number][] {
  const sums = new Map<string, number>();
  for (const list of lists) for (const [key, events] of list) sums.set(key, (sums.get(key) ?? 0) + events);
  return largestFirst([...sums]).slice(0, LIVE.topShown);
}

function mergeRevenue(parts: readonly ShardPart[]): Record<string, number> {
  const sums = new Map<string, MicroUnits>();
  for (const { revenue } of parts) {
    for (const [currency, micro] of revenue) sums.set(currency, (sums.get(currency) ?? 0n) + micro);
  }
  return Object.fromEntries([...sums].map(([currency, micro]) => [currency, toUnits(micro)]));
}
