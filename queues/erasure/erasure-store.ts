/**
 * What an erasure asks of each store. The rule job comes first (queues/replay/rule-job.ts): once it is through, what readers
 * of the lake, of timelines and of rollups are shown is right, and no line about the subjects enters the log any more. What is
 * left are traces: bytes that no reader is shown, or that no rule reaches. Each store takes out its own, then looks again.
 *
 * `erase` runs in slices until it is done, `verify` too, with fresh reads; where `verify` finds a trace, the store erases anew
 * from the beginning. A store throws where it cannot read what it has to: nothing is confirmed that nobody has looked at.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import type { RuleAt } from "../../r2-layout/rule.ts";
import type { Subject, SubjectHash, SubjectHasher } from "../../r2-layout/subjects.ts";
import type { CallBudget } from "../sink.ts";

/** In the order in which they are erased: what names objects comes before the objects that nothing names. */
export const ERASURE_STORES = [
  "lake",
  "quarantine",
  "log",
  "timelines",
  "emails",
  "rollups",
  "keys",
  "records",
  "iceberg",
  "orphans",
] as const;
export type ErasureStoreName = (typeof ERASURE_STORES)[number];

/** One slice of one erasure, as a store sees it. */
export interface ErasureRun {
  /** The erasure's job. */
  readonly id: string;
  /** Its newest rule; a set that is larger than one rule takes has several, and all are raised. */
  readonly version: number;
  readonly versions: readonly number[];
  /** In clear, with those that the closure added. Never stored, logged or put into an error by a store. */
  readonly subjects: readonly Subject[];
  readonly hashes: ReadonlySet<SubjectHash>;
  readonly hash: SubjectHasher;
  /** Whether an event names one of the subjects. For many rows. */
  matches(row: Pick<EventRow, "user_id" | "anonymous_id" | "properties">): boolean;
  /** Milliseconds: every shard had the rule by then. */
  readonly raisedAt: number;
  /** In force, by shard, up to `version`. */
  readonly rules: ReadonlyMap<number, readonly RuleAt[]>;
  /** By shard: the newest rule's own place. Lines above it hold none of the subjects. */
  readonly places: readonly number[];
  readonly calls: CallBudget;
  /** Milliseconds: a slice ends soon after; its first step always runs. */
  readonly untilMs: number;
  now(): number;
}

/** An object that took another's place. Hashes are SHA-256, hexadecimal. */
export interface Replacement {
  readonly old: string;
  readonly oldSha256: string;
  /** Null: the old one was deleted, nothing took its place. */
  readonly new: string | null;
  readonly newSha256: string | null;
  /** Written. */
  readonly bytes: number;
}

export interface StoreFindings {
  /** What it counts, in the plural: "files", "segments", "timelines". */
  readonly unit: string;
  readonly found: number;
  readonly removed: number;
  /** At most `ERASURE.replacementsListed` in a receipt; the desk counts the rest. */
  readonly replaced: readonly Replacement[];
  /** Of replacements that the store itself has not listed. */
  readonly more?: number;
}

export interface ErasureStep {
  readonly done: boolean;
  /** JSON of a few kilobytes at most, handed back next time; null at the beginning. Holds no identifier in clear. */
  readonly position: unknown;
  /** Of this slice alone: the desk adds them up. */
  readonly found: StoreFindings;
}

export interface VerifyStep {
  readonly done: boolean;
  readonly position: unknown;
  /** Since the verification began: the store carries its count in `position`. 0 once `done` is the confirmation. */
  readonly traces: number;
  /** One sentence: what was looked at, and how somebody else could look. Names nobody. */
  readonly statement: string;
}

export interface ErasureStore {
  readonly name: ErasureStoreName;
  /** Takes out what is left of the subjects. Safe to repeat after a cut anywhere; a bounded slice. */
  erase(run: ErasureRun, position: unknown): Promise<ErasureStep>;
  /** Looks for the subjects with fresh reads; also once a day for erasures of the past. Changes nothing. */
  verify(run: ErasureRun, position: unknown): Promise<VerifyStep>;
}

/** Nothing left to do, and nothing done in this slice. */
export const nothingFound = (unit: string): StoreFindings => ({ unit, found: 0, removed: 0, replaced: [] });
