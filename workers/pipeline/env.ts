/** The pipeline's bindings, by what can be asked of them. */
import type { ContractHealthApi } from "../../durable-objects/contract-health/api.ts";
import type { ContractRegistryApi } from "../../durable-objects/contract-registry/api.ts";
import type { EmailIndexApi } from "../../durable-objects/email-index/api.ts";
import type {
  EventLogApi,
  EventLogAuditApi,
  EventLogErasureApi,
  EventLogPlacesApi,
  EventLogRulesApi,
  EventLogStandingApi,
} from "../../durable-objects/event-log/api.ts";
import type { LakeCatalogApi, LakeHistoryApi, LakeStagingApi } from "../../durable-objects/lake-catalog/api.ts";
import type { LakeErasureApi } from "../../durable-objects/lake-catalog/erasure-api.ts";
import type { LakeIcebergApi } from "../../durable-objects/lake-catalog/iceberg-api.ts";
import type { MinuteRebuildApi, MinuteRollupApi } from "../../durable-objects/minute-rollup/api.ts";
import type { RollupErasureApi } from "../../durable-objects/minute-rollup/erasure-api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { PiiAuditApi } from "../../durable-objects/pii-audit/api.ts";
import type { PiiKeyApi } from "../../durable-objects/pii-key/api.ts";
import type { ReplayDeskApi } from "../../durable-objects/replay-desk/api.ts";
import type { BuildsApi, GenerationsApi, HolesApi, SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import type { TileRegistryApi, TileRollupApi } from "../../durable-objects/tile-rollup/api.ts";
import type {
  TimelineAmendApi,
  TimelineCompareApi,
  TimelineWindowApi,
  UserTimelineApi,
} from "../../durable-objects/user-timeline/api.ts";
import type { TimelineErasureApi } from "../../durable-objects/user-timeline/erasure-api.ts";
import type { ContractHealthDeps } from "../../queues/contract-health/evaluate-hours.ts";
import type { HistoryVariables } from "../../queues/maintenance/history-settings.ts";
import type { PiiAuditDeps } from "../../queues/pii-audit/audit-log.ts";
import { countOf, parseShards } from "../../r2-layout/shards.ts";
import { type SubjectHasher, subjectHasher } from "../../r2-layout/subjects.ts";
import { askLake } from "./ask-lake.ts";

export interface PipelineEnv extends HistoryVariables {
  /** As at the edge: `1`, or `1,2` after a split (r2-layout/shards.ts). */
  readonly SHARDS: string;
  /** As at the edge: messages from before a split are divided by it. */
  readonly SPREAD_IDENTITIES?: string;
  /** Any long random text: names of UserTimelines are keyed with it. */
  readonly IDENTITY_KEY: string;
  /** Signs receipts of erasures: Ed25519, PKCS #8, base64. Without it they stay open at their end. */
  readonly RECEIPT_KEY?: string;
  readonly BUCKET: R2Bucket;
  /** The bucket's name, by which Iceberg's metadata names its files; `eventpile` when absent. */
  readonly BUCKET_NAME?: string;
  readonly EVENT_LOG: ObjectNamespace<
    EventLogApi & EventLogRulesApi & EventLogPlacesApi & EventLogAuditApi & EventLogStandingApi & EventLogErasureApi
  >;
  readonly SINK_CURSOR: ObjectNamespace<SinkCursorApi & HolesApi & GenerationsApi & BuildsApi>;
  readonly LAKE_CATALOG: ObjectNamespace<
    LakeCatalogApi & LakeHistoryApi & LakeStagingApi & LakeIcebergApi & LakeErasureApi & HolesApi
  >;
  readonly EMAIL_INDEX: ObjectNamespace<EmailIndexApi>;
  readonly USER_TIMELINE: ObjectNamespace<
    UserTimelineApi & TimelineAmendApi & TimelineWindowApi & TimelineCompareApi & TimelineErasureApi
  >;
  readonly MINUTE_ROLLUP: ObjectNamespace<MinuteRollupApi & MinuteRebuildApi & RollupErasureApi>;
  readonly CONTRACT_REGISTRY: ObjectNamespace<Pick<ContractRegistryApi, "enforced" | "watched">>;
  readonly CONTRACT_HEALTH: ObjectNamespace<ContractHealthApi>;
  readonly PII_AUDIT: ObjectNamespace<PiiAuditApi>;
  readonly PII_KEY: ObjectNamespace<Pick<PiiKeyApi, "peek" | "destroy">>;
  readonly REPLAY_DESK: ObjectNamespace<ReplayDeskApi>;
  readonly TILE_ROLLUP: ObjectNamespace<TileRollupApi>;
  readonly TILE_REGISTRY: ObjectNamespace<TileRegistryApi>;
  readonly MAINTENANCE: Queue;
  readonly QUERY: Pick<Fetcher, "fetch">;
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

let hasherOf: { readonly key: string; readonly hash: SubjectHasher } | null = null;

/** One for the isolate: it remembers what it has hashed. @throws as `identityKey` */
export function hasher(env: Pick<PipelineEnv, "IDENTITY_KEY">): SubjectHasher {
  const key = identityKey(env);
  if (hasherOf?.key !== key) hasherOf = { key, hash: subjectHasher(key) };
  return hasherOf.hash;
}

/** `s3://<bucket>` */
export const bucketUri = ({ BUCKET_NAME }: Pick<PipelineEnv, "BUCKET_NAME">): string =>
  `s3://${BUCKET_NAME ?? "eventpile"}`;

/** What the search for undeclared PII needs. */
export const piiAudit = (env: PipelineEnv): PiiAuditDeps => ({
  bucket: env.BUCKET,
  logs: env.EVENT_LOG,
  registry: env.CONTRACT_REGISTRY,
  audits: env.PII_AUDIT,
  shards: shardCount(env),
});

/** What the hourly look at contracts' expectations needs. */
export const contractHealth = (env: PipelineEnv): ContractHealthDeps => ({
  logs: env.EVENT_LOG,
  catalog: env.LAKE_CATALOG,
  registry: env.CONTRACT_REGISTRY,
  health: env.CONTRACT_HEALTH,
  ask: askLake(env.QUERY),
  shards: shardCount(env),
});

/** What cuts and retention need besides the lake. */
export const history = (env: PipelineEnv) => ({
  logs: env.EVENT_LOG,
  rollups: env.MINUTE_ROLLUP,
  shards: shardCount(env),
  epoch: parseShards(env.SHARDS).length - 1,
  variables: env,
});
