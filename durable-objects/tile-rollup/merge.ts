/**
 * Parts of all shards -> points of a tile: counts and millionths add up, sketches unite. A point is final when it is final in
 * every shard, also in those that have nothing of it; its version rises with every late change in any shard. Pure: the edge merges
 * for GET /v1/rollups, the hub for its frames.
 */
import { MINUTE_MS, ROLLUP, TILES } from "../../r2-layout/limits.ts";
import { mergedVersion, toUnits } from "../minute-rollup/merge.ts";
import {
  decodeSketch,
  emptySketch,
  estimateUsers,
  mergeSketch,
  type UserSketch,
} from "../minute-rollup/user-sketch.ts";
import type { TilePart, TilePoint, TileValue } from "./api.ts";
import { levelMs, levelStart, type TileDefinition, type TileLevel } from "./definition.ts";
import { OTHER } from "./tile-state.ts";

export interface ShardParts {
  readonly completeUntil: number;
  readonly parts: readonly TilePart[];
}

interface Sum {
  readonly key: readonly string[];
  events: number;
  denominator: number;
  micro: bigint;
  users: UserSketch | null;
}

interface Start {
  readonly versions: number[];
  approximate: boolean;
  readonly sums: Map<string, Sum>;
}

/** @returns points by start, then largest value first; of a funnel by step. */
export function mergeTileParts(
  definition: TileDefinition,
  shards: readonly ShardParts[],
  level: TileLevel = definition.grainMinutes,
): TilePoint[] {
  const completeUntil = Math.min(...shards.map((shard) => shard.completeUntil));
  const starts = new Map<number, Start>();
  for (const { parts } of shards) for (const part of parts) addPart(starts, part);
  return [...starts]
    .sort(([one], [other]) => one - other)
    .flatMap(([start, { versions, approximate, sums }]) => {
      const version = mergedVersion(versions);
      const common = {
        start: new Date(start).toISOString(),
        state: isFinalStart(level, start, completeUntil) ? ("final" as const) : ("provisional" as const),
        version,
        ...(version > 1 && { corrected: true as const }),
      };
      const valued = [...sums.values()].map((sum) => ({ sum, value: valueOfSum(definition, sum) }));
      if (definition.measure !== "funnel")
        valued.sort((a, b) => (b.value ?? -1) - (a.value ?? -1) || byKey(a.sum, b.sum));
      return valued.map(({ sum, value }) => ({
        ...common,
        key: keyOf(definition, sum.key),
        value,
        ...((approximate || isEstimated(sum)) && { approximate: true as const }),
      }));
    });
}

/** A start is final as a minute of the wall is: a while after its end, once all that was committed by then is in. */
export const isFinalStart = (level: TileLevel, start: number, completeUntil: number): boolean =>
  completeUntil >= start + levelMs(level) + ROLLUP.finalAfterMs;

/** The starts that are live, ms, half open: the last ones at the tile's own grain, and one for clocks that run ahead. */
export function tileWindow({ grainMinutes }: TileDefinition, now: number): { from: number; to: number } {
  const current = levelStart(grainMinutes, now);
  const ahead = levelStart(grainMinutes, now + MINUTE_MS);
  return { from: current - (TILES.liveStarts - 1) * levelMs(grainMinutes), to: ahead + levelMs(grainMinutes) };
}

function addPart(starts: Map<number, Start>, { start, version, approximate, values }: TilePart): void {
  let merged = starts.get(start);
  if (!merged) {
    merged = { versions: [], approximate: false, sums: new Map() };
    starts.set(start, merged);
  }
  merged.versions.push(version);
  // One shard's `(other)` may hide some of any value, also of those that only another shard names.
  merged.approximate ||= approximate;
  for (const value of values) addTo(merged.sums, value);
}

function addTo(sums: Map<string, Sum>, { key, events, denominator = 0, micro = 0n, users }: TileValue): void {
  const id = JSON.stringify(key);
  let sum = sums.get(id);
  if (!sum) {
    sum = { key, events: 0, denominator: 0, micro: 0n, users: null };
    sums.set(id, sum);
  }
  sum.events += events;
  sum.denominator += denominator;
  sum.micro += micro;
  if (!users) return;
  sum.users ??= emptySketch();
  mergeSketch(sum.users, decodeSketch(users));
}

function valueOfSum({ measure }: TileDefinition, { events, denominator, micro, users }: Sum): number | null {
  switch (measure) {
    case "count":
    case "funnel":
      return events;
    case "sum":
      return toUnits(micro);
    case "distinct":
      return users ? estimateUsers(users) : 0;
    case "ratio":
      return denominator === 0 ? null : events / denominator;
  }
}

const isEstimated = ({ users }: Sum): boolean => users !== null && users.entries === null;

function keyOf({ measure, by }: TileDefinition, key: readonly string[]): Record<string, string> {
  if (measure === "funnel") return { step: key[0]! };
  return Object.fromEntries(by.map((field, i) => [field, key[i] ?? OTHER]));
}

const byKey = (one: Sum, other: Sum): number => (JSON.stringify(one.key) < JSON.stringify(other.key) ? -1 : 1);
