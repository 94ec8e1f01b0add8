/**
 * Whether the lake has all that was received in an hour, so that it may be judged: what is still on its way would look like what never
 * came. A log has it where it is owed no message, and where it has gone on beyond the hour or nothing has come for so long that it is
 * idle; the lake has it where its cursor has passed the log's last segment of the hour.
 */
import type { EventLogStandingApi } from "../../durable-objects/event-log/api.ts";
import { LAKE_CATALOG_NAME, type LakeCatalogApi } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { HEALTH, HOUR_MS } from "../../r2-layout/limits.ts";
import { eachShard } from "../replay/each-shard.ts";

export interface SettledDeps {
  readonly logs: ObjectNamespace<Pick<EventLogStandingApi, "standing">>;
  readonly catalog: ObjectNamespace<Pick<LakeCatalogApi, "status">>;
  readonly shards: number;
}

/** @param hour its beginning, milliseconds. */
export async function isSettled({ logs, catalog, shards }: SettledDeps, hour: number, nowMs: number): Promise<boolean> {
  const end = hour + HOUR_MS;
  if (nowMs < end + HEALTH.settleMs) return false;
  const { cursors } = await catalog.getByName(LAKE_CATALOG_NAME).status();
  const isIdle = nowMs >= end + HEALTH.idleMs;
  const whole = await eachShard(shards, async (shard) => {
    const log = logs.getByName(shardName(shard));
    const { gaps, range } = await log.standing(hour, end);
    if (gaps > 0 || (range && (cursors[shard]?.cursor ?? 0) < range.to)) return false;
    return isIdle || (await log.standing(end, nowMs)).range !== null;
  });
  return whole.every(Boolean);
}
