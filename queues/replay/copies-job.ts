/** What settlement and audit have in common: a search for copies of events, then rules that retract those which go. */
import type { Settled } from "../../durable-objects/replay-desk/api.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import { type EventCopy, retractions, withOrigins } from "./copies.ts";
import type { JobStore } from "./job-store.ts";
import { RuleJob } from "./rule-job.ts";
import type { RuleParts } from "./rule-parts.ts";
import { beginRules, type Draft, type RuleProgress } from "./rule-progress.ts";
import { type Saved, savedMember } from "./saved.ts";
import { type Advance, advanceStages, type Slice, type StageEnd } from "./slice.ts";
import type { RowSource } from "./source.ts";

export interface CopiesProgress {
  readonly stage: string;
  /** Null until the search has ended and has found something. */
  readonly rules: RuleProgress | null;
}

/** @param search a stage of it; the last one ends with `retract`. */
export function advanceCopies(
  slice: Slice,
  parts: RuleParts,
  progress: Saved<CopiesProgress>,
  search: () => Promise<StageEnd>,
): Promise<Advance> {
  return advanceStages(slice, () =>
    progress.now.rules === null
      ? search()
      : new RuleJob(slice, parts, savedMember<"rules", RuleProgress>(progress, "rules")).advance(),
  );
}

/** The search is over. @param nothing the outcome where it found none */
export async function retract(
  progress: Saved<CopiesProgress>,
  drafts: readonly Draft[],
  settled: readonly Settled[],
  nothing: string,
): Promise<StageEnd> {
  if (drafts.length === 0) return { kind: "state", state: "done", outcome: nothing };
  await progress.save({ stage: "rules", rules: beginRules(drafts, settled) });
  return "next";
}

/** Lists of copies are kept under names that follow from what was read: made again, one is written again. */
export async function storedCopies(store: JobStore, prefix: string): Promise<EventCopy[]> {
  const copies: EventCopy[] = [];
  for (const name of await store.names(prefix, null)) {
    for (const copy of await store.get<readonly EventCopy[]>(name)) copies.push(copy);
  }
  return copies;
}

/** Rules, in R2, that retract these copies. @param name apart from those of other drafts of the job */
export async function draftRetractions(
  store: JobStore,
  source: Pick<RowSource, "holes">,
  gone: readonly EventCopy[],
  name: string,
): Promise<Draft[]> {
  const places = await withOrigins(gone, (shard) => source.holes("lake", shard));
  const drafts: Draft[] = [];
  for (const [n, filter] of retractions(places, REPLAY.placesPerRule).entries()) {
    const draft = { key: `${name}${n}`, object: `drafts/${name}${n}.json.gz` };
    await store.put(draft.object, filter);
    drafts.push(draft);
  }
  return drafts;
}
