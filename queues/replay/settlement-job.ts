/**
 * Settlement of republished events: a producer sent ids again to replace what it sent before. Other copies are searched for
 * (republished-search.ts) and retracted by rules with places (rule-job.ts).
 *
 * A copy that comes while it runs has a later segment. Republished, it is the next settlement's; an original that comes only
 * then is found by the audit, which looks for all that was republished of late once more.
 */
import type { SettlementSpec } from "../../durable-objects/replay-desk/api.ts";
import { advanceCopies, retract } from "./copies-job.ts";
import { JobStore } from "./job-store.ts";
import { beginRepublished, type RepublishedProgress, RepublishedSearch } from "./republished-search.ts";
import type { RuleParts } from "./rule-parts.ts";
import type { RuleProgress } from "./rule-progress.ts";
import { savedJob } from "./saved.ts";
import type { Advance, Slice } from "./slice.ts";
import { type Looks, NO_LOOKS } from "./stand-back.ts";

export interface SettlementProgress extends RepublishedProgress {
  readonly looks: Looks;
  readonly rules: RuleProgress | null;
}

export async function advanceSettlement(slice: Slice, parts: RuleParts): Promise<Advance> {
  if (slice.job.state === "cancelling") return { kind: "state", state: "cancelled", outcome: "cancelled" };
  const progress = savedJob(slice, (slice.progress as SettlementProgress | null) ?? (await begin(slice, parts)));
  const search = new RepublishedSearch(slice, parts, new JobStore(parts.bucket, slice.job.id), progress);
  return advanceCopies(slice, parts, progress, () => {
    const { stage, drafts, settled } = progress.now;
    return stage === "done" ? retract(progress, drafts, settled, "nothing to settle") : search.stage();
  });
}

async function begin(slice: Slice, parts: RuleParts): Promise<SettlementProgress> {
  const { reads } = slice.job.spec as SettlementSpec;
  const progress = { ...(await beginRepublished(parts, reads)), looks: NO_LOOKS, rules: null };
  await slice.save({ progress });
  return progress;
}
