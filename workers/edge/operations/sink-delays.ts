/** How far each sink is behind, over all shards, and what the shards' dedup windows take. Pure. */
import type { Ledger } from "../../../durable-objects/event-log/ledger.ts";
import { SINKS } from "../../../durable-objects/sink-cursor/api.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { LOG } from "../../../r2-layout/limits.ts";
import { LAG_OBJECTIVE_S } from "../../objectives.ts";
import type { ObjectPressure, SinkDelay } from "../../operations-json.ts";

/** Of SQLite, for each id of the window, with all its runs and filters. */
const DISK_BYTES_PER_ID = 18.4;
/** What the platform gives an object. */
const OBJECT_BYTES = 10e9;

export function sinkDelays({ shards }: Ledger): SinkDelay[] {
  return SINKS.map((sink) => {
    const slowest = shards.reduce<Ledger["shards"][number] | null>(
      (worst, shard) => (shard.sinks[sink].lag_seconds > (worst?.sinks[sink].lag_seconds ?? 0) ? shard : worst),
      null,
    );
    return {
      sink,
      lag_seconds: slowest?.sinks[sink].lag_seconds ?? 0,
      objective_seconds: LAG_OBJECTIVE_S[sink],
      shard: slowest?.shard ?? null,
      in_flight: shards.reduce((sum, { sinks }) => sum + sinks[sink].in_flight, 0),
      holes: shards.reduce((sum, { sinks }) => sum + sinks[sink].holes, 0),
    };
  });
}

export function objectPressure({ shards }: Ledger): ObjectPressure[] {
  return shards.flatMap(({ shard, ids, id_memory_bytes }): ObjectPressure[] => {
    const object = `EventLog ${shardName(shard)}`;
    return [
      { object, what: "dedup_memory", bytes: id_memory_bytes, limit_bytes: LOG.idMemoryBytes },
      { object, what: "dedup_disk", bytes: Math.round(ids * DISK_BYTES_PER_ID), limit_bytes: OBJECT_BYTES },
    ];
  });
}
