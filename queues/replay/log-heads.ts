/**
 * A job that has to see every shard asks every log, and each says of how many splits it knows. A Worker of before a split
 * that is still about (r2-layout/shards.ts has the order of a deploy) would pass over the new shards: it lets a newer
 * one go on.
 *
 *     the log says nothing of a split            who joins it later has no event yet: whatever it takes comes after this
 *     the log knows a later one than this Worker refused, and asked again until a newer Worker is asked
 */
import type { EventLogApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { eachShard } from "./each-shard.ts";

export interface KnownShards {
  readonly logs: ObjectNamespace<Pick<EventLogApi, "status">>;
  readonly shards: number;
  /** Splits that this Worker knows of. */
  readonly epoch: number;
}

/** The newest seq of each shard. @throws Error where there was a split that this Worker does not know of: time cures it. */
export function logHeads({ logs, shards, epoch }: KnownShards): Promise<number[]> {
  return eachShard(shards, async (shard) => {
    const { head, epoch: known } = await logs.getByName(shardName(shard)).status();
    if (known > epoch) {
      throw new Error(`shards were split: the log of shard ${shard} knows of ${known}, this Worker of ${epoch}`);
    }
    return head;
  });
}
