/**
 * The stores of an erasure, one step at a time. A store that fails is asked again, later and later, and for ever: what a
 * person asked for does not lapse. Meanwhile the others go on. What failed, how often and why is in the job for all to see.
 */
import { ERASURE, REPLAY } from "../../r2-layout/limits.ts";
import type { JobStore } from "../replay/job-store.ts";
import type { Saved } from "../replay/saved.ts";
import { SliceOver } from "../replay/slice.ts";
import { REPLACED_PREFIX } from "./erasure-objects.ts";
import { type ErasureProgress, nextStore, type StoreProgress } from "./erasure-progress.ts";
import type { ErasureRun, ErasureStore, ErasureStoreName, StoreFindings } from "./erasure-store.ts";

export interface PurgeDeps {
  readonly stores: readonly ErasureStore[];
  readonly job: JobStore;
  readonly progress: Saved<ErasureProgress>;
}

/** Steps until the slice's time is over. @returns "done" where every store has confirmed, else when to come again. */
export async function purge(run: ErasureRun, deps: PurgeDeps): Promise<"done" | { readonly inMs: number }> {
  const byName = new Map(deps.stores.map((store) => [store.name, store]));
  const present = new Set(byName.keys());
  for (;;) {
    const name = nextStore(deps.progress.now, present, run.now());
    if (name === null) return allConfirmed(deps) ? "done" : { inMs: untilRetry(deps.progress.now, run.now()) };
    await step(byName.get(name)!, run, deps);
    if (run.now() >= run.untilMs) return allConfirmed(deps) ? "done" : { inMs: 0 };
  }
}

const allConfirmed = ({ stores, progress }: PurgeDeps): boolean =>
  stores.every(({ name }) => progress.now.stores[name].state === "confirmed");

function untilRetry({ stores }: ErasureProgress, nowMs: number): number {
  const times = Object.values(stores).flatMap(({ state, retryAt }) =>
    state !== "confirmed" && retryAt !== null ? [retryAt - nowMs] : [],
  );
  return Math.max(0, Math.min(...times, REPLAY.retryMaxMs));
}

async function step(store: ErasureStore, run: ErasureRun, deps: PurgeDeps): Promise<void> {
  const before = deps.progress.now.stores[store.name];
  const began = before.startedAt ?? run.now();
  let after: Partial<StoreProgress>;
  try {
    after = before.state === "verifying" ? await verify(store, run, before) : await erase(store, run, before, deps);
  } catch (error) {
    if (error instanceof SliceOver) throw error;
    after = failed(before, wordsWithoutNames(error, run), run.now());
    console.error(JSON.stringify({ at: "erasure", job: run.id, store: store.name, error: after.error }));
  }
  const { stores } = deps.progress.now;
  await deps.progress.save({ stores: { ...stores, [store.name]: { ...before, startedAt: began, ...after } } });
}

const MOVED = { attempts: 0, error: null, retryAt: null } as const;

async function erase(
  store: ErasureStore,
  run: ErasureRun,
  before: StoreProgress,
  deps: PurgeDeps,
): Promise<Partial<StoreProgress>> {
  const { done, position, found } = await store.erase(run, before.position);
  await keepReplaced(deps.job, store.name, found);
  return {
    // A store that verification sends back has moved only when it has verified: its failures count on.
    ...(before.traces === null && MOVED),
    state: done ? "verifying" : "erasing",
    position: done ? null : position,
    unit: found.unit,
    found: before.found + found.found,
    removed: before.removed + found.removed,
    replaced: before.replaced + found.replaced.length + (found.more ?? 0),
  };
}

async function verify(store: ErasureStore, run: ErasureRun, before: StoreProgress): Promise<Partial<StoreProgress>> {
  const { done, position, traces, statement } = await store.verify(run, before.position);
  if (!done) return { position };
  if (traces === 0) return { ...MOVED, state: "confirmed", position: null, traces, statement, confirmedAt: run.now() };
  const again = failed(before, `${traces} traces were left`, run.now());
  return { ...again, state: "erasing", position: null, traces, statement };
}

function failed({ attempts }: StoreProgress, error: string, nowMs: number): Partial<StoreProgress> {
  const waitMs = Math.min(REPLAY.retryMaxMs, REPLAY.retryMs * 2 ** Math.min(attempts, 16));
  return { attempts: attempts + 1, error: error.slice(0, REPLAY.errorChars), retryAt: nowMs + waitMs };
}

/** A page has a name of its own: a step that comes again after a cut finds less, and must not write over what was found first. */
async function keepReplaced(job: JobStore, store: ErasureStoreName, { replaced }: StoreFindings): Promise<void> {
  if (replaced.length === 0) return;
  await job.put(
    `${REPLACED_PREFIX}${store}/${crypto.randomUUID()}.json.gz`,
    replaced.slice(0, ERASURE.replacementsListed),
  );
}

/** What a store throws is shown and kept: nobody's name may be in it. */
function wordsWithoutNames(error: unknown, { subjects }: ErasureRun): string {
  const words = error instanceof Error ? error.message : String(error);
  return subjects.some(({ id }) => words.includes(id)) ? "failed; its words name an erased person" : words;
}
