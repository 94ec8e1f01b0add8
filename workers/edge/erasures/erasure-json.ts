/** An erasure as the API shows it, with what each store has come to. Pure. */
import type { ErasureSpec, Job } from "../../../durable-objects/replay-desk/api.ts";
import { hasEnded } from "../../../durable-objects/replay-desk/job-rules.ts";
import type { SubjectCounts } from "../../../queues/erasure/erasure-objects.ts";
import type { ErasureProgress } from "../../../queues/erasure/erasure-progress.ts";
import { ERASURE_STORES } from "../../../queues/erasure/erasure-store.ts";
import { ERASURE } from "../../../r2-layout/limits.ts";
import type { ErasureJson, ErasureStoreJson } from "../../erasure-json.ts";

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

export function erasureJson(job: Job, nowMs: number): ErasureJson {
  const { mode, identifiers } = job.spec as ErasureSpec;
  const progress = job.progress as ErasureProgress | null;
  const stores = progress === null ? [] : storesJson(progress, mode);
  const dueAt = job.startedAt === null ? null : job.startedAt + ERASURE.overdueMs;
  const overdue = dueAt !== null && !hasEnded(job.state) && nowMs > dueAt;
  return {
    id: job.id,
    mode,
    state: job.state,
    stage: job.state === "running" ? (progress?.stage ?? "begin") : job.state,
    rules_stage: progress?.stage === "rules" ? (progress.rules?.stage ?? null) : null,
    identifiers,
    preview: job.preview as SubjectCounts | null,
    subjects: progress?.subjects ?? null,
    rule_versions: progress?.rules?.versions ?? [],
    kept_out_since: iso(progress?.raisedAt ?? null),
    stores,
    due_at: iso(dueAt),
    overdue,
    why: hasEnded(job.state) ? null : whyOpen(job, stores),
    actions: job.actions,
    attempts: job.attempts,
    error: job.error,
    outcome: job.outcome,
    receipt: job.state === "done" ? `/v1/erasures/${job.id}/receipt` : null,
    requested_at: iso(job.createdAt)!,
    confirmed_at: iso(job.startedAt),
    ended_at: iso(job.endedAt),
  };
}

function storesJson({ stage, stores }: ErasureProgress, mode: ErasureSpec["mode"]): ErasureStoreJson[] {
  // A suppression takes nothing out of any.
  if (mode === "suppress") return [];
  return ERASURE_STORES.filter((name) => stage !== "finish" || stores[name].state === "confirmed").map((name) => {
    const store = stores[name];
    return {
      store: name,
      state: store.state,
      unit: store.unit,
      found: store.found,
      removed: store.removed,
      replaced: store.replaced,
      traces: store.traces,
      statement: store.statement,
      attempts: store.attempts,
      error: store.error,
      retry_at: iso(store.retryAt),
      started_at: iso(store.startedAt),
      confirmed_at: iso(store.confirmedAt),
    };
  });
}

/** Who or what it waits for, for people. */
function whyOpen(job: Job, stores: readonly ErasureStoreJson[]): string | null {
  if (job.state === "preview") return "it waits for its confirmation";
  if (job.error !== null) return job.error;
  if (job.waitsFor !== null) return job.waitsFor;
  const failing = stores.filter(({ error }) => error !== null);
  if (failing.length > 0) return failing.map(({ store, error }) => `${store}: ${error}`).join("; ");
  const at = stores.find(({ state }) => state === "erasing" || state === "verifying");
  return at ? `${at.store} is ${at.state}` : null;
}
