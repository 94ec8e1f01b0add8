/**
 * The audit (promise 2) looks once more for events of which there are two copies:
 *
 *     ids, copies    ids that two shards own (repeated-search.ts): the copy that the log took first stays
 *     republished    of all that was republished within the last `REPLAY.republishedMs`: copies that its settlement has
 *                    not seen (republished-search.ts): an original that was on its queue for longer than its replacement, or that
 *                    a device sent days later; one behind a segment that was a hole then
 *     rules          both retracted (rule-job.ts)
 */
import type { AuditSpec, Settled } from "../../durable-objects/replay-desk/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import type { RuleFilter } from "../../r2-layout/rule.ts";
import { placeKey } from "./copies.ts";
import { advanceCopies, retract } from "./copies-job.ts";
import { eachShard } from "./each-shard.ts";
import { mergeRanges } from "./hour-ranges.ts";
import { JobStore } from "./job-store.ts";
import { logHeads } from "./log-heads.ts";
import { joinedSeqs } from "./reads.ts";
import { beginRepeated, type RepeatedProgress, RepeatedSearch } from "./repeated-search.ts";
import { beginRepublished, type RepublishedProgress, RepublishedSearch } from "./republished-search.ts";
import type { RuleParts } from "./rule-parts.ts";
import type { Draft, RuleProgress } from "./rule-progress.ts";
import { type Saved, savedJob, savedMember } from "./saved.ts";
import { seqAt } from "./seq-at.ts";
import type { Advance, Slice, StageEnd } from "./slice.ts";
import { type Looks, NO_LOOKS } from "./stand-back.ts";

export interface AuditProgress extends RepeatedProgress {
  readonly looks: Looks;
  /** Null, or absent, until it begins. */
  readonly republished?: RepublishedProgress | null;
  readonly rules: RuleProgress | null;
}

export async function advanceAudit(slice: Slice, parts: RuleParts): Promise<Advance> {
  if (slice.job.state === "cancelling") return { kind: "state", state: "cancelled", outcome: "cancelled" };
  const { days } = slice.job.spec as AuditSpec;
  const begun = slice.progress as AuditProgress | null;
  const progress = savedJob<AuditProgress>(slice, begun ?? { ...beginRepeated(), looks: NO_LOOKS, rules: null });
  const store = new JobStore(parts.bucket, slice.job.id);
  const repeated = new RepeatedSearch(slice, parts, store, progress, days);
  return advanceCopies(slice, parts, progress, async () => {
    if (progress.now.stage !== "republished") return repeated.stage();
    return republishedStage(slice, parts, store, progress, days);
  });
}

async function republishedStage(
  slice: Slice,
  parts: RuleParts,
  store: JobStore,
  progress: Saved<AuditProgress>,
  days: readonly string[],
): Promise<StageEnd> {
  const { republished, drafts = [], settled = [] } = progress.now;
  if (!republished) {
    await progress.save({ republished: await beginRepublished(parts, await readsSince(parts, days)) });
    return "next";
  }
  if (republished.stage === "done") {
    const all: readonly Settled[] = [...settled, ...republished.settled];
    return retract(progress, [...drafts, ...republished.drafts], all, "no id in two shards");
  }
  const part = savedMember(progress as Saved<{ readonly republished: RepublishedProgress | null }>, "republished");
  return new RepublishedSearch(slice, parts, store, part, "republished/", () => placesOf(store, drafts)).stage();
}

/** The segments with republished events, from some days before these days on. */
async function readsSince({ logs, shards, epoch }: RuleParts, days: readonly string[]) {
  const heads = await logHeads({ logs, shards, epoch });
  const since = Math.min(...days.map((day) => Date.parse(day))) - REPLAY.republishedMs;
  const most = Math.max(1, Math.floor(REPLAY.republishedReads / shards));
  const reads = await eachShard(shards, async (shard) => {
    const log = logs.getByName(shardName(shard));
    const seqs: number[] = [];
    for (let after = (await seqAt(log, since)) - 1; after < heads[shard]!; ) {
      const found = await log.republishedAfter(after);
      if (found.length === 0) break;
      for (const { seq } of found) seqs.push(seq);
      after = seqs.at(-1)!;
    }
    const parts = joinedSeqs(seqs).map(({ after, to }) => ({ from: after, to }));
    return mergeRanges(parts, most).map(({ from, to }) => ({ shard, after: from, to }));
  });
  return reads.flat();
}

async function placesOf(store: JobStore, drafts: readonly Draft[]): Promise<ReadonlySet<string>> {
  const places = new Set<string>();
  for (const { object } of drafts) {
    for (const place of (await store.get<RuleFilter>(object!)).places ?? []) places.add(placeKey(place));
  }
  return places;
}
