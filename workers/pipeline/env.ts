/** The pipeline's bindings, by what can be asked of them. */
import type { EventLogApi } from "../../durable-objects/event-log/api.ts";
import type { LakeCatalogApi } from "../../durable-objects/lake-catalog/api.ts";
import type { MinuteRollupApi } from "../../durable-objects/minute-rollup/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import type { UserTimelineApi } from "../../durable-objects/user-timeline/api.ts";

export interface PipelineEnv {
  /** Number of log shards. */
  readonly SHARDS: string;
  /** Any long random text: names of UserTimelines are keyed with it. */
  readonly IDENTITY_KEY: string;
  readonly BUCKET: R2Bucket;
  readonly EVENT_LOG: ObjectNamespace<EventLogApi>;
  readonly SINK_CURSOR: ObjectNamespace<SinkCursorApi>;
  readonly LAKE_CATALOG: ObjectNamespace<LakeCatalogApi>;
  readonly USER_TIMELINE: ObjectNamespace<UserTimelineApi>;
  readonly MINUTE_ROLLUP: ObjectNamespace<MinuteRollupApi>;
  readonly MAINTENANCE: Queue;
}

/** @throws RangeError where SHARDS is no count: better no pipeline than one that forgets a shard. */
export function shardCount(env: Pick<PipelineEnv, "SHARDS">): number {
  const shards = Number(env.SHARDS);
  if (!Number.isSafeInteger(shards) || shards < 1) throw new RangeError(`SHARDS is ${env.SHARDS}`);
  return shards;
}

/** @throws RangeError where it is not set: better no timelines yet than some under names that nobody will ask for. */
export function identityKey({ IDENTITY_KEY }: Pick<PipelineEnv, "IDENTITY_KEY">): string {
  if (!IDENTITY_KEY) throw new RangeError("IDENTITY_KEY is not set");
  return IDENTITY_KEY;
}
