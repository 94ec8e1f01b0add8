/** Which driver moves which kind of job, and when it stands back for live traffic. */
import type { EventLogApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { hasPreview, PHASE } from "../../durable-objects/replay-desk/job-rules.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import { advanceErasure } from "../erasure/erasure-job.ts";
import { advanceTiles } from "../rollups/tiles-job.ts";
import { advanceAudit } from "./audit-job.ts";
import { advanceFill } from "./fill-job.ts";
import type { ReplayProgress } from "./progress.ts";
import { advanceRebuild } from "./rebuild-job.ts";
import { RuleJob } from "./rule-job.ts";
import type { RuleParts } from "./rule-parts.ts";
import { beginRules, type RuleProgress } from "./rule-progress.ts";
import { savedJob } from "./saved.ts";
import { advanceSettlement } from "./settlement-job.ts";
import type { Advance, Slice } from "./slice.ts";
import { type Looks, NO_LOOKS, readTraffic, standBack } from "./stand-back.ts";

export function advanceJob(slice: Slice, parts: RuleParts): Promise<Advance> {
  switch (slice.job.kind) {
    case "fill":
      return advanceFill(slice, parts);
    case "rebuild":
      return advanceRebuild(slice, parts);
    case "correction":
      return advanceCorrection(slice, parts);
    case "settlement":
      return advanceSettlement(slice, parts);
    case "audit":
      return advanceAudit(slice, parts);
    case "tiles":
      return advanceTiles(slice, parts.tiles);
    case "erasure":
      return advanceErasure(slice, parts, parts.erasure());
  }
}

async function advanceCorrection(slice: Slice, parts: RuleParts): Promise<Advance> {
  if (slice.job.state === "cancelling") return { kind: "state", state: "cancelled", outcome: "cancelled" };
  const progress = (slice.progress as RuleProgress | null) ?? beginRules([{ key: "rule", object: null }]);
  return new RuleJob(slice, parts, savedJob(slice, progress)).advance();
}

/**
 * Null: go on. A correction or an erasure is what somebody waits for, and ending a build holds nobody up; whatever else reads stands
 * back while live sinks are short of what it would take.
 */
export async function holdJob(
  slice: Pick<Slice, "job" | "progress" | "now" | "save" | "isQuiet">,
  logs: ObjectNamespace<Pick<EventLogApi, "status" | "tally">>,
  shards: number,
): Promise<string | null> {
  const { job, progress } = slice;
  if (progress === null || hasPreview(job.kind) || job.state !== "running") return null;
  if (job.phase === PHASE.swap || job.phase === PHASE.restart) return null;
  const known = progress as Partial<ReplayProgress> & { readonly looks?: Looks; readonly stage?: string };
  if (known.stage === "rules") return null;
  if (job.kind === "rebuild" && isChasing(known)) {
    slice.isQuiet = true;
    return null;
  }
  const before = known.looks ?? NO_LOOKS;
  const { lags, committedAt } = await readTraffic(logs, shards, slice.now());
  slice.isQuiet = slice.now() - committedAt > REPLAY.quietMs;
  const { why, looks } = standBack(before, lags, slice.now());
  // A look that finds nothing, after one that found nothing, need not be remembered.
  if (why !== null || before.since !== null) await slice.save({ progress: { ...known, looks } });
  return why;
}

/**
 * A build that reads what came live while it was built, and again what came while it read that: each round is shorter than
 * the one before where the job is quicker than live traffic. It must be, or it never meets the live store: so after some
 * rounds it no longer makes room, and what is left to read is little.
 */
const isChasing = ({ sinks = {} }: Partial<ReplayProgress>): boolean =>
  Object.values(sinks).some(({ stage, rounds }) => stage === "read" && rounds > REPLAY.roomRounds);
