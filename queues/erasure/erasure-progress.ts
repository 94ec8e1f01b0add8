/** What an erasure remembers between slices: plain JSON in the job's row, without a name of anybody. */
import type { RuleProgress } from "../replay/rule-progress.ts";
import type { SubjectCounts } from "./erasure-objects.ts";
import { ERASURE_STORES, type ErasureStoreName } from "./erasure-store.ts";

/** `waiting` for stores that name what it deletes. */
export type StoreState = "waiting" | "erasing" | "verifying" | "confirmed";

export interface StoreProgress {
  readonly state: StoreState;
  /** The store's own. */
  readonly position: unknown;
  readonly unit: string | null;
  readonly found: number;
  readonly removed: number;
  /** Objects that took another's place, or left none. */
  readonly replaced: number;
  /** What the last verification found; null before one has ended. */
  readonly traces: number | null;
  readonly statement: string | null;
  /** Failures since it last moved. */
  readonly attempts: number;
  readonly error: string | null;
  /** Milliseconds; it is not asked again before. */
  readonly retryAt: number | null;
  readonly startedAt: number | null;
  readonly confirmedAt: number | null;
}

export interface ErasureProgress {
  readonly stage: "begin" | "rules" | "stores" | "finish";
  readonly rules: RuleProgress | null;
  readonly subjects: SubjectCounts | null;
  /** Milliseconds: the rules were in every log by then. */
  readonly raisedAt: number | null;
  readonly stores: Readonly<Record<ErasureStoreName, StoreProgress>>;
}

const WAITING: StoreProgress = {
  state: "waiting",
  position: null,
  unit: null,
  found: 0,
  removed: 0,
  replaced: 0,
  traces: null,
  statement: null,
  attempts: 0,
  error: null,
  retryAt: null,
  startedAt: null,
  confirmedAt: null,
};

export const beginErasure = (): ErasureProgress => ({
  stage: "begin",
  rules: null,
  subjects: null,
  raisedAt: null,
  stores: Object.fromEntries(ERASURE_STORES.map((name) => [name, WAITING])) as Record<ErasureStoreName, StoreProgress>,
});

/** Whom a store waits for: what deletes objects that nothing names comes after what names them. */
const AFTER: Readonly<Partial<Record<ErasureStoreName, readonly ErasureStoreName[]>>> = {
  iceberg: ["lake", "quarantine"],
  orphans: ["lake", "quarantine", "log", "iceberg"],
};

/** The first store that has something to do now. @returns null where all wait for a time or are confirmed */
export function nextStore(
  { stores }: Pick<ErasureProgress, "stores">,
  present: ReadonlySet<ErasureStoreName>,
  nowMs: number,
): ErasureStoreName | null {
  const isOpen = (name: ErasureStoreName) => present.has(name) && stores[name].state !== "confirmed";
  const ready = ERASURE_STORES.filter(
    (name) => isOpen(name) && (stores[name].retryAt ?? 0) <= nowMs && !(AFTER[name] ?? []).some(isOpen),
  );
  // Whoever has not failed first: a store that is down takes no time from the others.
  return ready.find((name) => stores[name].attempts === 0) ?? ready[0] ?? null;
}
