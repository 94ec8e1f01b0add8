/** The pipeline's bindings, by what can be asked of them. */
import type {
  EventLogApi,
  EventLogAuditApi,
  EventLogPlacesApi,
  EventLogRulesApi,
  EventLogStandingApi,
} from "../../durable-objects/event-log/api.ts";
import type { LakeCatalogApi, LakeHistoryApi, LakeStagingApi } from "../../durable-objects/lake-catalog/api.ts";
import type { LakeIcebergApi } from "../../durable-objects/lake-catalog/iceberg-api.ts";
import type { MinuteRebuildApi, MinuteRollupApi } from "../../durable-objects/minute-rollup/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { ReplayDeskApi } from "../../durable-objects/replay-desk/api.ts";
import type { BuildsApi, GenerationsApi, HolesApi, SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import type {
  TimelineAmendApi,
  TimelineCompareApi,
  TimelineWindowApi,
  UserTimelineApi,
} from "../../durable-objects/user-timeline/api.ts";
import type { HistoryVariables } from "../../queues/maintenance/history-settings.ts";
import { countOf, parseShards } from "../../r2-layout/shards.ts";

export interface PipelineEnv extends HistoryVariables {
  /** As at the edge: `1`, or `1,2` after a split (r2-layout/shards.ts). */
  readonly SHARDS: string;
  /** As at the edge: messages from before a split are divided by it. */
  readonly SPREAD_IDENTITIES?: string;
  /** Any long random text: names of UserTimelines are keyed with it. */
  readonly IDENTITY_KEY: string;
  readonly BUCKET: R2Bucket;
  /** The bucket's name, by which Iceberg's metadata names its files; `eventpile` when absent. */
  readonly BUCKET_NAME?: string;
  readonly EVENT_LOG: ObjectNamespace<
    EventLogApi & EventLogRulesApi & EventLogPlacesApi & EventLogAuditApi & EventLogStandingApi
  >;
  readonly SINK_CURSOR: ObjectNamespace<SinkCursorApi & HolesApi & GenerationsApi & BuildsApi>;
  readonly LAKE_CATALOG: ObjectNamespace<LakeCatalogApi & LakeHistoryApi & LakeStagingApi & LakeIcebergApi & HolesApi>;
  readonly USER_TIMELINE: ObjectNamespace<UserTimelineApi & TimelineAmendApi & TimelineWindowApi & TimelineCompareApi>;
  readonly MINUTE_ROLLUP: ObjectNamespace<MinuteRollupApi & MinuteRebuildApi>;
  readonly REPLAY_DESK: ObjectNamespace<ReplayDeskApi>;
  readonly MAINTENANCE: Queue;
}

/** @throws RangeError where SHARDS is no count: better no pipeline than one that forgets a shard. */
export function shardCount(env: Pick<PipelineEnv, "SHARDS">): number {
  return countOf(parseShards(env.SHARDS));
}

/** @throws RangeError where it is not set: better no timelines yet than some under names that nobody will ask for. */
export function identityKey({ IDENTITY_KEY }: Pick<PipelineEnv, "IDENTITY_KEY">): string {
  if (!IDENTITY_KEY) throw new RangeError("IDENTITY_KEY is not set");
  return IDENTITY_KEY;
}

/** `s3://<bucket>` */
export const bucketUri = ({ BUCKET_NAME }: Pick<PipelineEnv, "BUCKET_NAME">): string =>
  `s3://${BUCKET_NAME ?? "eventpile"}`;

/** What cuts and retention need besides the lake. */
export const history = (env: PipelineEnv) => ({
  logs: env.EVENT_LOG,
  rollups: env.MINUTE_ROLLUP,
  shards: shardCount(env),
  epoch: parseShards(env.SHARDS).length - 1,
  variables: env,
});
