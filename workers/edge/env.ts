/** The edge's bindings, as wrangler.toml declares them, by what is asked of them. */
import type { ContractHealthApi } from "../../durable-objects/contract-health/api.ts";
import type { ContractRegistryApi } from "../../durable-objects/contract-registry/api.ts";
import type { DashboardsApi } from "../../durable-objects/dashboards/api.ts";
import type { EmailIndexApi } from "../../durable-objects/email-index/api.ts";
import type {
  EventLogApi,
  EventLogAuditApi,
  EventLogPlacesApi,
  EventLogRedriveApi,
  EventLogRulesApi,
} from "../../durable-objects/event-log/api.ts";
import type { LakeCatalogApi, LakeHistoryApi } from "../../durable-objects/lake-catalog/api.ts";
import type { LakeIcebergApi } from "../../durable-objects/lake-catalog/iceberg-api.ts";
import type { MinuteRebuildApi, MinuteRollupApi } from "../../durable-objects/minute-rollup/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { PiiAuditApi } from "../../durable-objects/pii-audit/api.ts";
import type { PiiKeyApi } from "../../durable-objects/pii-key/api.ts";
import type { ReplayDeskApi } from "../../durable-objects/replay-desk/api.ts";
import type { BuildsApi, SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import type { TileRegistryApi, TileRollupApi } from "../../durable-objects/tile-rollup/api.ts";
import type { UserTimelineApi } from "../../durable-objects/user-timeline/api.ts";
import type { TimelineErasureApi } from "../../durable-objects/user-timeline/erasure-api.ts";
import type { ProfileStoreApi } from "../../durable-objects/user-timeline/profile-api.ts";
import { countOf, parseShards } from "../../r2-layout/shards.ts";
import type { MessageQueue } from "./event-sender.ts";
import type { CredentialSettings } from "./iceberg-credentials.ts";
import type { MeteredQueue } from "./operations/queue-backlogs.ts";

export interface Fetches {
  fetch(request: Request): Promise<Response>;
}

export interface Env extends CredentialSettings {
  /** The numbers of shards that there were and are: `1`, or `1,2` after a split (r2-layout/shards.ts). */
  readonly SHARDS: string;
  /** JSON list of identities (anonymous or user ids) too hot for one shard; none when absent. */
  readonly SPREAD_IDENTITIES?: string;
  readonly WRITE_KEYS: string;
  readonly TOKENS: string;
  /** JSON list of columns that only the scope `pii` sees (../sight.ts); none when absent. */
  readonly MASKED_COLUMNS?: string;
  /** "on": who looks at whom, and who runs what, is written down (audit/audit-trail.ts). */
  readonly AUDIT?: string;
  /** Whom Cloudflare Access signs in (access-people.ts); nobody when absent. */
  readonly ACCESS?: string;
  readonly IDENTITY_KEY: string;
  /** JSON list of keys of users' own tokens, the newest first (user-tokens.ts); none when absent. */
  readonly USER_TOKEN_KEYS?: string;
  /** "1" in the local run only. */
  readonly EVENTPILE_LOCAL?: string;
  readonly ASSETS: Fetches;
  readonly QUERY: Fetches;
  /** For the quarantine: what was parked, and the segments that a hole names; and Iceberg's metadata. */
  readonly BUCKET: R2Bucket;
  readonly EVENT_LOG: ObjectNamespace<
    EventLogApi & EventLogPlacesApi & EventLogRedriveApi & EventLogAuditApi & Pick<EventLogRulesApi, "rules">
  >;
  readonly SINK_CURSOR: ObjectNamespace<SinkCursorApi & BuildsApi>;
  readonly LAKE_CATALOG: ObjectNamespace<LakeCatalogApi & LakeHistoryApi & LakeIcebergApi>;
  readonly EMAIL_INDEX: ObjectNamespace<Pick<EmailIndexApi, "find">>;
  readonly USER_TIMELINE: ObjectNamespace<UserTimelineApi & ProfileStoreApi & Pick<TimelineErasureApi, "named">>;
  readonly MINUTE_ROLLUP: ObjectNamespace<MinuteRollupApi & MinuteRebuildApi>;
  readonly CONTRACT_REGISTRY: ObjectNamespace<ContractRegistryApi>;
  readonly PII_AUDIT: ObjectNamespace<Pick<PiiAuditApi, "report">>;
  readonly CONTRACT_HEALTH: ObjectNamespace<ContractHealthApi>;
  readonly PII_KEY: ObjectNamespace<Pick<PiiKeyApi, "secret" | "peek">>;
  readonly DASHBOARDS: ObjectNamespace<DashboardsApi>;
  readonly LIVE_HUB: ObjectNamespace<Fetches>;
  readonly REPLAY_DESK: ObjectNamespace<ReplayDeskApi>;
  readonly TILE_ROLLUP: ObjectNamespace<TileRollupApi>;
  readonly TILE_REGISTRY: ObjectNamespace<TileRegistryApi>;
  /** EVENTS_0 to EVENTS_<SHARDS - 1>. */
  readonly [events: `EVENTS_${number}`]: MessageQueue & MeteredQueue;
}

/** @throws RangeError where SHARDS is no count or a shard has no queue. */
export function eventQueues(env: Env): (MessageQueue & MeteredQueue)[] {
  return Array.from({ length: countOf(parseShards(env.SHARDS)) }, (_, shard) => {
    const queue = env[`EVENTS_${shard}`];
    if (queue === undefined) throw new RangeError(`shard ${shard} has no queue: bind EVENTS_${shard}`);
    return queue;
  });
}
