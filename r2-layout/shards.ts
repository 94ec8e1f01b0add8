/**
 * The numbers of shards that there were, oldest first: `1,2` was one shard and is two. The index of the last is the epoch.
 * Each number is a multiple of the one before, so that a split sends some of shard k to k + N, k + 2N … and moves nothing
 * else: shard s came out of s modulo the number before it.
 *
 * To split while traffic runs, write the new number behind the old in SHARDS (`1,2`; later `1,2,4`) and
 *
 *     1. create the queues events-N … and bind them: producers of the edge, consumers of the pipeline
 *     2. deploy the objects, so that nobody asks what they do not know yet
 *     3. deploy the pipeline: its first commit to a parent ends the parent's time as the whole shard
 *     4. deploy the edge
 *
 * In between, and for as long as old messages are on the queues, every mixture works: who groups by an old number is told
 * the new one by the log (queues/fan-out/route.ts, durable-objects/event-log/lineage.ts). Numbers are never taken back, and
 * SPREAD_IDENTITIES stays as it is until the queues have no message from before the split.
 */

import { LOG } from "./limits.ts";

/** At least one number. */
export type ShardHistory = readonly number[];

/** @throws RangeError where the text is no such list. */
export function parseShards(text: string): ShardHistory {
  const shards = text.split(",").map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : Number.NaN));
  if (!isShardHistory(shards)) throw new RangeError(`SHARDS is ${text}`);
  return shards;
}

export const isShardHistory = (shards: unknown): shards is ShardHistory =>
  Array.isArray(shards) &&
  shards.length > 0 &&
  shards.every((count: unknown, i) => {
    if (typeof count !== "number" || !Number.isInteger(count) || count < 1 || count > LOG.shards) return false;
    const before = i === 0 ? null : (shards[i - 1] as number);
    return before === null || (count > before && count % before === 0);
  });

/** The number of shards now. */
export const countOf = (shards: ShardHistory): number => shards.at(-1)!;

export const epochOf = (shards: ShardHistory): number => shards.length - 1;

/** The longer of two histories. @throws Error where neither is the beginning of the other: a deployment is to be mended. */
export function newerOf(a: ShardHistory, b: ShardHistory): ShardHistory {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  if (short.some((count, i) => count !== long[i])) throw new Error(`shards ${a.join()} are not those of ${b.join()}`);
  return long;
}

/** The shard that this one came out of, null for one of the first. */
export function parentOf(shard: number, shards: ShardHistory): number | null {
  const born = shards.findIndex((count) => shard < count);
  return born < 1 ? null : shard % shards[born - 1]!;
}

/** Shards that came out of this one, directly. */
export function childrenOf(shard: number, shards: ShardHistory): number[] {
  return Array.from({ length: countOf(shards) }, (_, other) => other).filter(
    (other) => parentOf(other, shards) === shard,
  );
}
