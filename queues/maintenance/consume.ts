/** Consumer of the `maintenance` queue: every job can be cut off anywhere and run again. */
import type { EventLogApi } from "../../durable-objects/event-log/api.ts";
import { LAKE_CATALOG_NAME, type LakeCatalogApi, type LakeHistoryApi } from "../../durable-objects/lake-catalog/api.ts";
import type { LakeIcebergApi } from "../../durable-objects/lake-catalog/iceberg-api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { parseDataFileKey, parseIcebergKey, parseSegmentKey, shardName } from "../../r2-layout/keys.ts";
import { ICEBERG, LAKE } from "../../r2-layout/limits.ts";
import { type ContractHealthDeps, evaluateHours } from "../contract-health/evaluate-hours.ts";
import { checkErasures, type ErasureCheckDeps } from "../erasure/check.ts";
import { letGoStaleLists, type StaleListsDeps } from "../erasure/stale-lists.ts";
import { auditPii, type PiiAuditDeps } from "../pii-audit/audit-log.ts";
import { type CompactDeps, compactDays } from "./compact.ts";
import { type HistoryJobDeps, runHistoryJob } from "./history-jobs.ts";
import { type MaintenanceMessage, parseMaintenanceMessage } from "./messages.ts";
import { publishIceberg } from "./publish-iceberg.ts";
import { type SweptStore, sweep } from "./sweep.ts";

export interface MaintenanceDeps {
  readonly history: HistoryJobDeps["history"];
  readonly bucket: SweptStore & CompactDeps["bucket"];
  readonly logs: ObjectNamespace<Pick<EventLogApi, "unnamed">>;
  readonly catalog: ObjectNamespace<
    Pick<LakeCatalogApi, "unnamed" | "forget" | "staleUploads"> &
      CompactDeps["catalog"] &
      LakeIcebergApi &
      LakeHistoryApi
  >;
  /** How Iceberg's metadata names the bucket: `s3://<name>`. */
  readonly bucketUri: string;
  readonly parquet: WebAssembly.Module;
  readonly pii: PiiAuditDeps;
  readonly health: ContractHealthDeps;
  /** For an invocation: its stores are asked for as it begins. */
  readonly erasures: () => ErasureCheckDeps & StaleListsDeps;
  /** Back onto the maintenance queue: what one invocation did not finish. */
  readonly queue: { send(message: MaintenanceMessage): Promise<unknown> };
  /** Milliseconds. */
  readonly now?: () => number;
}

/** One outcome a message. What fails is retried by the queue; the cron comes again in any case. */
export async function maintain(batch: MessageBatch<unknown>, deps: MaintenanceDeps): Promise<void> {
  for (const message of batch.messages) {
    const job = parseMaintenanceMessage(message.body);
    if (!job) {
      console.warn(JSON.stringify({ at: "maintenance", reason: "malformed_message" }));
      message.ack();
      continue;
    }
    try {
      const rest = await runJob(job, deps);
      if (rest) await deps.queue.send(rest);
      message.ack();
    } catch (error) {
      console.error(JSON.stringify({ at: "maintenance", job, error: String(error) }));
      message.retry();
    }
  }
}

/** Does one job. @returns the job that carries on where this one's bound was met, or null. */
export async function runJob(job: MaintenanceMessage, deps: MaintenanceDeps): Promise<MaintenanceMessage | null> {
  const now = deps.now ?? Date.now;
  switch (job.kind) {
    case "sweep-log": {
      const { cursor, ...swept } = await sweep(
        deps.bucket,
        `log/dt=${job.day}/`,
        (keys) => unnamedSegments(keys, deps.logs),
        now(),
        job.cursor,
      );
      console.log(JSON.stringify({ at: "maintenance", kind: job.kind, day: job.day, ...swept }));
      return cursor === null ? null : { kind: job.kind, day: job.day, cursor };
    }
    case "sweep-lake": {
      const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
      const forgotten = job.cursor === undefined ? await catalog.forget() : 0;
      if (job.cursor === undefined) await abortUploads(deps.bucket, catalog);
      const { cursor, ...swept } = await sweep(
        deps.bucket,
        "lake/",
        async (keys) => [
          ...(await catalog.unnamed(keys.filter((key) => parseDataFileKey(key) !== null))),
          ...(await catalog.icebergUnnamed(keys.filter((key) => parseIcebergKey(key) !== null))),
        ],
        now(),
        job.cursor,
      );
      console.log(JSON.stringify({ at: "maintenance", kind: job.kind, forgotten, ...swept }));
      return cursor === null ? null : { kind: job.kind, cursor };
    }
    case "publish-iceberg": {
      const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
      const published = await publishIceberg({ ...deps, catalog }, now() + ICEBERG.publishMs, job.now === true).catch(
        (error: unknown) => {
          // Not retried: the next minute's message goes on, and two publishers would only overtake each other.
          console.error(JSON.stringify({ at: "maintenance", job, error: String(error) }));
          return { steps: 0, isCutOff: false };
        },
      );
      if (published.steps > 0) console.log(JSON.stringify({ at: "maintenance", kind: job.kind, ...published }));
      return published.isCutOff ? { kind: job.kind } : null;
    }
    case "cuts":
    case "expire":
      return runHistoryJob(job, deps);
    case "pii-audit": {
      const part = await auditPii(deps.pii, now(), job.part ?? null, job.now);
      return part && { kind: job.kind, part };
    }
    case "contract-health": {
      const rest = await evaluateHours(deps.health, now(), job);
      return rest && { kind: job.kind, ...rest };
    }
    case "erasure-lists": {
      const { after, ...gone } = await letGoStaleLists(deps.erasures(), now(), job.after ?? null);
      if (gone.deleted > 0) console.log(JSON.stringify({ at: "maintenance", kind: job.kind, ...gone }));
      return after === null ? null : { kind: job.kind, after };
    }
    case "erasure-check": {
      const asked = job.more ? "more" : job.now ? "now" : "hourly";
      return (await checkErasures(deps.erasures(), now, asked)) ? { kind: job.kind, more: true } : null;
    }
    case "compact": {
      const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
      return (await compactDays({ ...deps, catalog }, now() + LAKE.compactMs, job.aboveFiles)) === "more" ? job : null;
    }
  }
}

/** Of Workers that were killed. What R2 does not know any more has been completed, or aborted. */
async function abortUploads(
  bucket: CompactDeps["bucket"],
  catalog: Pick<LakeCatalogApi, "staleUploads" | "uploadEnded">,
): Promise<void> {
  for (const { key, uploadId } of await catalog.staleUploads()) {
    try {
      // Awaited for the local run, whose bindings answer later.
      await (await bucket.resumeMultipartUpload(key, uploadId)).abort();
    } catch (error) {
      console.warn(JSON.stringify({ at: "maintenance", kind: "abort-upload", key, error: String(error) }));
    }
    await catalog.uploadEnded(key);
  }
}

/** Each shard's log is asked for the keys that bear its number. */
async function unnamedSegments(keys: readonly string[], logs: MaintenanceDeps["logs"]): Promise<string[]> {
  const byShard = Map.groupBy(keys, (key) => parseSegmentKey(key)?.shard);
  const unnamed: string[] = [];
  for (const [shard, ofShard] of byShard) {
    if (shard !== undefined) unnamed.push(...(await logs.getByName(shardName(shard)).unnamed(ofShard)));
  }
  return unnamed;
}
