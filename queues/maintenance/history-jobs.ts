/** The maintenance queue's jobs of the lake's history: cuts and retention. */
import { LAKE_CATALOG_NAME, type LakeHistoryApi } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { CUT } from "../../r2-layout/limits.ts";
import type { CompactDeps } from "./compact.ts";
import { expireFiles } from "./expire.ts";
import { type HistoryDeps, workOnCuts } from "./freeze-cut.ts";
import { cutSettings, type HistoryVariables, retentionSettings } from "./history-settings.ts";
import type { MaintenanceMessage } from "./messages.ts";

export interface HistoryJobDeps extends Omit<CompactDeps, "catalog"> {
  readonly catalog: ObjectNamespace<CompactDeps["catalog"] & LakeHistoryApi>;
  readonly queue: { send(message: MaintenanceMessage): Promise<unknown> };
  /** Variables are read by the jobs that they are for: a mistake in one stops no other. */
  readonly history: HistoryDeps & { readonly variables: HistoryVariables };
}

export type HistoryJob = Extract<MaintenanceMessage, { kind: "cuts" | "expire" }>;

/** @returns the job again where its time was up, or null. */
export async function runHistoryJob(job: HistoryJob, deps: HistoryJobDeps): Promise<HistoryJob | null> {
  const now = deps.now ?? Date.now;
  const { history } = deps;
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  const untilMs = now() + CUT.workMs;
  if (job.kind === "cuts") {
    const settings = cutSettings(history.variables);
    const { steps, more } = await workOnCuts({ ...deps, catalog, settings }, untilMs);
    // Whatever step it was, a cut may have come, or names other files now: engines of others are told at once.
    if (steps > 0) await deps.queue.send({ kind: "publish-iceberg", now: true });
    return more ? job : null;
  }
  const retention = retentionSettings(history.variables);
  const { more, ...expired } = await expireFiles({ catalog, retention, now }, untilMs);
  if (Object.values(expired).some((count) => count > 0)) {
    console.log(JSON.stringify({ at: "maintenance", kind: job.kind, ...expired }));
  }
  return more ? job : null;
}
