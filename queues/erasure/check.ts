/**
 * The daily look at what was erased before: for some of the erasures that are done, each store verifies once more, with fresh
 * reads and keyed hashes alone, for nobody knows the identifiers any more. It changes nothing. A trace is told loudly: an
 * erased person does not come back by itself, so either a store was restored from before, or one of them has a fault.
 *
 * A day's look is bounded in time (`ERASURE.checkMs`): one that has not come to its end goes on the day after where it stood. How
 * far it is, and what was found, is one small value of the desk. Two at once look twice; whoever saves last is believed.
 */
import type { ErasureSpec, Job, ReplayDeskApi } from "../../durable-objects/replay-desk/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { DAY_MS, ERASURE, REPLAY, SINK } from "../../r2-layout/limits.ts";
import { type Subject, type SubjectHash, subjectsOf } from "../../r2-layout/subjects.ts";
import { eachShard } from "../replay/each-shard.ts";
import type { RuleParts } from "../replay/rule-parts.ts";
import { type ErasureParts, ruleSubjects } from "./erasure-job.ts";
import type { ErasureProgress } from "./erasure-progress.ts";
import type { ErasureRun, ErasureStoreName } from "./erasure-store.ts";

/** The desk's value. */
export const ERASURE_CHECK = "erasure-check";

export interface StoreCheck {
  /** Erasures that it has looked for in this round. */
  readonly looked: number;
  readonly traces: number;
  /** Why it could not look, the last time; null where it could. */
  readonly error: string | null;
  /** Milliseconds. */
  readonly at: number;
}

export interface ErasureCheck {
  /** Milliseconds; `endedAt` null while it goes on. */
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly savedAt: number;
  /** Erasures of this round, and how many keyed hashes of each are looked for at most. */
  readonly jobs: readonly string[];
  readonly at: { readonly job: number; readonly store: number; readonly position: unknown };
  /** Milliseconds of work, and the day of it. */
  readonly spent: { readonly day: number; readonly ms: number };
  readonly stores: Readonly<Partial<Record<ErasureStoreName, StoreCheck>>>;
  /** Where something was found, until a later look at the same finds nothing. */
  readonly found: readonly {
    readonly job: string;
    readonly store: string;
    readonly traces: number;
    readonly at: number;
  }[];
}

export interface ErasureCheckDeps extends Pick<ErasureParts, "stores" | "hash" | "bucket"> {
  readonly desk: Pick<ReplayDeskApi, "overview" | "job" | "mark" | "setMark">;
  readonly logs: RuleParts["logs"];
}

/** A slice of it. @param asked "hourly" begins and resumes what is due, "more" goes on, "now" begins anew. @returns whether there is more */
export async function checkErasures(
  deps: ErasureCheckDeps,
  now: () => number,
  asked: "hourly" | "more" | "now",
): Promise<boolean> {
  const known = parsed(await deps.desk.mark(ERASURE_CHECK));
  const today = Math.floor(now() / DAY_MS);
  let check = dueCheck(known, asked, now());
  if (check === "none") return false;
  check ??= await begin(deps, known, now());
  const begun = now();
  const spentBefore = check.spent.day === today ? check.spent.ms : 0;
  while (check.endedAt === null) {
    check = await step(deps, check, now);
    const ms = spentBefore + now() - begun;
    check = { ...check, savedAt: now(), spent: { day: today, ms } };
    await deps.desk.setMark(ERASURE_CHECK, JSON.stringify(check));
    if (ms >= ERASURE.checkMs) return false;
    if (check.endedAt === null && now() - begun >= REPLAY.sliceMs) return true;
  }
  return false;
}

/** Null: a new one is due. "none": nothing is. */
function dueCheck(known: ErasureCheck | null, asked: string, nowMs: number): ErasureCheck | "none" | null {
  if (asked === "now" || known === null) return asked === "more" ? "none" : null;
  if (asked === "more") return known.endedAt === null ? known : "none";
  const today = Math.floor(nowMs / DAY_MS);
  if (known.endedAt !== null) return Math.floor(known.startedAt / DAY_MS) < today ? null : "none";
  const hasTime = known.spent.day < today || known.spent.ms < ERASURE.checkMs;
  // Somebody is at it.
  return hasTime && nowMs - known.savedAt > ERASURE.checkStallMs ? known : "none";
}

const parsed = (text: string | null): ErasureCheck | null => (text === null ? null : JSON.parse(text));

async function begin(deps: ErasureCheckDeps, known: ErasureCheck | null, nowMs: number): Promise<ErasureCheck> {
  const jobs = await sampled(deps.desk, known, nowMs);
  const begun: ErasureCheck = {
    ...{ startedAt: nowMs, endedAt: jobs.length === 0 ? nowMs : null, savedAt: nowMs, jobs },
    at: { job: 0, store: 0, position: null },
    spent: { day: Math.floor(nowMs / DAY_MS), ms: 0 },
    ...{ stores: {}, found: known?.found ?? [] },
  };
  await deps.desk.setMark(ERASURE_CHECK, JSON.stringify(begun));
  return begun;
}

/** Where something was found before; the newest; and others, each day others, so that all have their turn. */
async function sampled(
  desk: ErasureCheckDeps["desk"],
  known: ErasureCheck | null,
  nowMs: number,
): Promise<readonly string[]> {
  const { jobs } = await desk.overview(["erasure"], ERASURE.checkedAmong);
  const done = jobs.filter(({ state, spec }) => state === "done" && (spec as ErasureSpec).mode === "erase");
  const ids = done.map(({ id }) => id);
  // One place is the newest's: what is left of the window follows the day before's.
  const turn = Math.floor(nowMs / DAY_MS) * (ERASURE.checkedJobs - 1);
  const others = ids.map((_, i) => ids[(turn + i) % ids.length]!);
  const first = (known?.found ?? []).map(({ job }) => job).filter((id) => ids.includes(id));
  return [...new Set([...first, ...ids.slice(0, 1), ...others])].slice(0, ERASURE.checkedJobs);
}

/** One slice of one store's verification of one erasure. */
async function step(deps: ErasureCheckDeps, check: ErasureCheck, now: () => number): Promise<ErasureCheck> {
  const { at } = check;
  const id = check.jobs[at.job]!;
  const store = deps.stores[at.store]!;
  const before = check.stores[store.name] ?? { looked: 0, traces: 0, error: null, at: 0 };
  let after: StoreCheck;
  let found = check.found;
  try {
    const job = await deps.desk.job(id);
    if (job) {
      const { done, position, traces } = await store.verify(await runOf(deps, job, now), at.position);
      if (!done) return { ...check, at: { ...at, position } };
      found = found.filter((one) => one.job !== id || one.store !== store.name);
      if (traces > 0) {
        found = [...found, { job: id, store: store.name, traces, at: now() }];
        console.error(JSON.stringify({ at: "erasure-check", job: id, store: store.name, traces }));
      }
      after = { looked: before.looked + 1, traces: before.traces + traces, error: null, at: now() };
    } else after = before;
  } catch (error) {
    const words = (error instanceof Error ? error.message : String(error)).slice(0, REPLAY.errorChars);
    console.error(JSON.stringify({ at: "erasure-check", job: id, store: store.name, error: words }));
    after = { ...before, error: words, at: now() };
  }
  const isLastStore = at.store + 1 === deps.stores.length;
  const next = isLastStore ? { job: at.job + 1, store: 0 } : { job: at.job, store: at.store + 1 };
  const isOver = next.job === check.jobs.length;
  return {
    ...check,
    at: { ...next, position: null },
    stores: { ...check.stores, [store.name]: after },
    found: found.slice(-ERASURE.checkFoundKept),
    endedAt: isOver ? now() : null,
  };
}

/** As a store sees it in the erasure itself, less the identifiers. */
async function runOf(deps: ErasureCheckDeps, job: Job, now: () => number): Promise<ErasureRun> {
  const { rules, raisedAt } = job.progress as ErasureProgress;
  const { hash } = deps;
  const hashes = new Set(await sampledHashes(deps, rules!.versions));
  const version = rules!.versions.at(-1)!;
  const byShard = await eachShard(rules!.places.length, async (shard) => {
    const known = await deps.logs.getByName(shardName(shard)).rules();
    return [shard, known.rules.filter((rule) => rule.version <= version)] as const;
  });
  const subjects: readonly Subject[] = [];
  return {
    ...{ id: job.id, version, versions: rules!.versions, subjects, hashes, hash },
    matches: (row) => subjectsOf(row).some((subject) => hashes.has(hash(subject))),
    ...{ raisedAt: raisedAt!, rules: new Map(byShard), places: rules!.places },
    calls: { left: SINK.callsPerInvocation },
    untilMs: now() + REPLAY.sliceMs,
    now,
  };
}

/** Evenly out of all. */
async function sampledHashes({ bucket }: ErasureCheckDeps, versions: readonly number[]): Promise<SubjectHash[]> {
  const all: SubjectHash[] = [];
  for (const version of versions) all.push(...(await ruleSubjects(bucket, version)));
  const every = Math.max(1, Math.ceil(all.length / ERASURE.checkedSubjects));
  return all.filter((_, i) => i % every === 0);
}
