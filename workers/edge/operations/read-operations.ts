/** Whether the pipeline is well, in figures: one reading for GET /v1/operations and for /metrics. */
import { CONTRACT_HEALTH_NAME, type ContractHealthApi } from "../../../durable-objects/contract-health/api.ts";
import { type LedgerDeps, readLedger } from "../../../durable-objects/event-log/ledger.ts";
import type { CatalogStatus, LakeCatalogApi, LakeHistoryApi } from "../../../durable-objects/lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../../../durable-objects/lake-catalog/api.ts";
import type { LakeIcebergApi, PublishedTable } from "../../../durable-objects/lake-catalog/iceberg-api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { PII_AUDIT_NAME, type PiiAuditApi } from "../../../durable-objects/pii-audit/api.ts";
import { REPLAY_DESK_NAME, type ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import { DAY_MS, PII } from "../../../r2-layout/limits.ts";
import { ICEBERG_OBJECTIVE_S } from "../../objectives.ts";
import type { LakeSize, OperationsJson } from "../../operations-json.ts";
import { contractsJson } from "../contracts/health-json.ts";
import { readErasures } from "../erasures/erasures-overview.ts";
import { piiJson } from "../privacy/pii-json.ts";
import { costToday } from "./cost-today.ts";
import { type MeteredQueue, queueBacklogs } from "./queue-backlogs.ts";
import { objectPressure, sinkDelays } from "./sink-delays.ts";

export interface OperationsDeps extends Omit<LedgerDeps, "now" | "catalog"> {
  readonly catalog: ObjectNamespace<
    Pick<LakeCatalogApi, "status"> & Pick<LakeHistoryApi, "commitsSince"> & Pick<LakeIcebergApi, "icebergTables">
  >;
  readonly audits: ObjectNamespace<Pick<PiiAuditApi, "report">>;
  readonly health: ObjectNamespace<Pick<ContractHealthApi, "overview">>;
  readonly desks: ObjectNamespace<Pick<ReplayDeskApi, "overview" | "mark">>;
  /** One for each shard. */
  readonly queues: readonly MeteredQueue[];
  /** Milliseconds. */
  readonly now: () => number;
}

export interface Operations {
  readonly json: OperationsJson;
  readonly lake: CatalogStatus;
  readonly iceberg: readonly PublishedTable[];
}

/** @throws whatever an object threw: half of the figures would look like all of them. Queues may keep silent. */
export async function readOperations(deps: OperationsDeps): Promise<Operations> {
  const nowMs = deps.now();
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  const [ledger, queues, lake, commits, iceberg, pii, health, erasures] = await Promise.all([
    readLedger({ ...deps, now: deps.now }),
    queueBacklogs(deps.queues, nowMs),
    catalog.status(),
    catalog.commitsSince(nowMs - (nowMs % DAY_MS)),
    catalog.icebergTables(),
    deps.audits.getByName(PII_AUDIT_NAME).report(PII.reportDays),
    deps.health.getByName(CONTRACT_HEALTH_NAME).overview(),
    readErasures(deps.desks.getByName(REPLAY_DESK_NAME), nowMs),
  ]);
  const { rows, files, bytes, snapshot } = lake;
  const size: LakeSize = {
    rows: rows.events,
    files,
    bytes,
    snapshot,
    commits_today: commits,
    iceberg_behind_seconds: Math.max(0, ...iceberg.map((table) => behindSeconds(table, nowMs))),
    iceberg_objective_seconds: ICEBERG_OBJECTIVE_S,
  };
  const json: OperationsJson = {
    at: new Date(nowMs).toISOString(),
    ledger,
    sinks: sinkDelays(ledger),
    queues,
    objects: objectPressure(ledger),
    lake: size,
    cost_today: costToday(ledger.today, { commits, rows: rows.events + rows.quarantine, bytes }),
    pii: piiJson(pii),
    contracts: contractsJson(health),
    erasures,
  };
  return { json, lake, iceberg };
}

const behindSeconds = ({ unpublishedSince }: PublishedTable, nowMs: number): number =>
  unpublishedSince === null ? 0 : (nowMs - unpublishedSince) / 1_000;
