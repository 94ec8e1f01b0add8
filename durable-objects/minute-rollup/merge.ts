/**
 * Parts of all shards -> points. Counts and money add up, sketches unite. A point is final when it is final in every shard, also in
 * those that have nothing of it. Its version is 1 and one more for every late change in any shard, so it rises
 * whenever a final value has changed.
 */
import type { Grain, MicroUnits, RollupParts, RollupPoint, RollupQuery } from "./api.ts";
import { isFinal } from "./grains.ts";
import { decodeSketch, emptySketch, estimateUsers, isEstimate, mergeSketch, type UserSketch } from "./user-sketch.ts";

/** Money for the outside: nearest double to the exact sum. */
export const toUnits = (micro: MicroUnits): number => Number(micro) / 1_000_000;

/** The version of what several shards hold of one start; a shard without it counts as 1. */
export function mergedVersion(versions: Iterable<number>): number {
  let merged = 1;
  for (const version of versions) merged += version - 1;
  return merged;
}

/** Milliseconds: what was committed before is in, in every shard. */
export const leastComplete = (shards: readonly Pick<RollupParts, "completeUntil">[]): number =>
  Math.min(...shards.map(({ completeUntil }) => completeUntil));

interface Growing {
  readonly versions: number[];
  approximate: boolean;
  readonly values: Map<string, GrowingValue>;
  users: UserSketch | null;
}

interface GrowingValue {
  readonly key: string | null;
  readonly currency: string | null;
  events: number;
  micro: MicroUnits;
}

/** @returns points by start, then largest value first. */
export function mergeParts(query: Pick<RollupQuery, "grain" | "by">, shards: readonly RollupParts[]): RollupPoint[] {
  const starts = new Map<number, Growing>();
  for (const { parts } of shards) {
    for (const part of parts) {
      let growing = starts.get(part.start);
      if (!growing) {
        growing = { versions: [], approximate: false, values: new Map(), users: null };
        starts.set(part.start, growing);
      }
      growing.versions.push(part.version);
      // One shard's `(other)` may hide some of any value, also of those that only another shard names.
      growing.approximate ||= part.approximate;
      for (const value of part.values) {
        const currency = "currency" in value ? value.currency : null;
        const id = `${currency?.length ?? 0}:${currency ?? ""}${value.key ?? ""}`;
        let known = growing.values.get(id);
        if (!known) {
          known = { key: value.key, currency, events: 0, micro: 0n };
          growing.values.set(id, known);
        }
        if ("events" in value) known.events += value.events;
        else known.micro += value.micro;
      }
      if (part.sketch) {
        growing.users ??= emptySketch();
        mergeSketch(growing.users, decodeSketch(part.sketch));
      }
    }
  }
  const completeUntil = leastComplete(shards);
  return [...starts]
    .sort(([one], [other]) => one - other)
    .flatMap(([start, growing]) => points(query, start, growing, completeUntil));
}

function points(
  { grain, by }: { grain: Grain; by?: string },
  startMs: number,
  growing: Growing,
  completeUntil: number,
): RollupPoint[] {
  const start = new Date(startMs).toISOString();
  const state = isFinal(grain, startMs, completeUntil) ? "final" : "provisional";
  const version = mergedVersion(growing.versions);
  const point = (key: Record<string, string>, value: number, approximate: boolean): RollupPoint => ({
    start,
    key,
    value,
    state,
    version,
    ...(version > 1 && { corrected: true }),
    ...(approximate && { approximate }),
  });
  if (growing.users) return [point({}, estimateUsers(growing.users), isEstimate(growing.users))];
  return [...growing.values.values()]
    .map(({ key, currency, events, micro }) =>
      point(
        { ...(currency !== null && { currency }), ...(by && key !== null && { [by]: key }) },
        currency === null ? events : toUnits(micro),
        growing.approximate,
      ),
    )
    .sort((one, other) => other.value - one.value);
}
