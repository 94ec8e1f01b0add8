/**
 * What others may ask of the ReplayDesk: one object, named `desk`, that keeps every replay, rebuild, correction,
 * settlement, audit and fill of custom rollups as a job. It does none of the work: it says whose turn it is, and remembers how far a job has come.
 */
import type { RuleChange, RuleFilter } from "../../r2-layout/rule.ts";
import type { SinkName } from "../sink-cursor/api.ts";

export const REPLAY_DESK_NAME = "desk";

/** A message on the queue `replays`: the job goes on. It carries no more, may be lost, doubled or late. */
export interface JobMessage {
  readonly job: string;
}

/** Applies what a sink lacks of a range. */
export interface FillSpec {
  readonly kind: "fill";
  readonly sinks: readonly SinkName[];
  /** Milliseconds, half open; null: without end. */
  readonly from: number | null;
  readonly to: number | null;
  /** Or this part of one shard's log, both inclusive. */
  readonly range: { readonly shard: number; readonly from: number; readonly to: number } | null;
  /** Events a second, at most. */
  readonly rate: number;
}

/** Builds a range anew beside the live store and swaps it in. */
export interface RebuildSpec extends Omit<FillSpec, "kind"> {
  readonly kind: "rebuild";
  readonly swap: "automatic" | "manual";
}

export type ReplaySpec = FillSpec | RebuildSpec;

export interface CorrectionSpec {
  readonly kind: "correction";
  readonly filter: RuleFilter;
  readonly change: RuleChange;
  readonly note: string | null;
  readonly rate: number;
}

/** Events that were sent again under a label, to replace those sent before: the older copies are retracted. */
export interface SettlementSpec {
  readonly kind: "settlement";
  /** Segments after..to of a shard's log that hold republished events. */
  readonly reads: readonly { readonly shard: number; readonly after: number; readonly to: number }[];
  readonly rate: number;
}

/** Looks for ids that two shards own, and retracts the copy that the log took later. */
export interface AuditSpec {
  readonly kind: "audit";
  /** `YYYY-MM-DD`, the log's clock. */
  readonly days: readonly string[];
  readonly rate: number;
}

/** Tells all shards of the list of custom rollups, and builds some of them anew, from the log and the lake. */
export interface TilesSpec {
  readonly kind: "tiles";
  /** Null: all there are. */
  readonly tiles: readonly string[] | null;
  /** Hours of event_time, milliseconds, half open; null: all of it, so far as it can be read. */
  readonly windows: readonly { readonly from: number; readonly to: number }[] | null;
  /** In shards from this one on. */
  readonly firstShard: number;
  readonly rate: number;
}

/** Erases people, or only keeps out what comes of them from now on. Whom: `jobs/<id>/`, in R2, until it has ended. */
export interface ErasureSpec {
  readonly kind: "erasure";
  readonly mode: "erase" | "suppress";
  /** That were asked for, without those that the closure adds. */
  readonly identifiers: number;
  readonly rate: number;
}

export type JobSpec = ReplaySpec | CorrectionSpec | SettlementSpec | AuditSpec | TilesSpec | ErasureSpec;
export type JobKind = JobSpec["kind"];

export type JobState =
  /** A correction or an erasure that was counted and is not yet wanted. */
  | "preview"
  | "running"
  /** Built, compared, and waiting for somebody to ask for the swap. */
  | "waiting_for_swap"
  /** Swapped; the old is kept. */
  | "waiting_for_confirmation"
  | "confirming"
  | "reverting"
  | "cancelling"
  | "done"
  | "cancelled"
  /** What it has half built is let go, then it gives back the rules' turn. */
  | "abandoning"
  /** Set aside. One with a rule leaves it in force, and may be resumed while no later rule is. */
  | "abandoned"
  /** Gave up after `REPLAY.attempts` without progress; may be resumed. */
  | "failed";

export const JOB_ACTIONS = ["confirm", "revert", "cancel", "swap", "resume", "leave_out", "abandon"] as const;
export type JobAction = (typeof JOB_ACTIONS)[number];

/** How much was read, for people. */
export interface JobMeter {
  readonly read: number;
  /** Null while it is not known. */
  readonly total: number | null;
  /** Events a second of the last slices, pauses included. */
  readonly rate: number;
}

export interface Job {
  readonly id: string;
  /** In the order of their making. */
  readonly n: number;
  readonly kind: JobKind;
  readonly state: JobState;
  /** The driver's step within the state: queues/replay says which there are. */
  readonly phase: string;
  readonly spec: JobSpec;
  /** The driver's, kind by kind; null before the first slice. */
  readonly progress: unknown;
  /** What a correction's or an erasure's preview found. */
  readonly preview: unknown;
  readonly meter: JobMeter;
  /** Who or what it waits for, in words; null while it moves. */
  readonly waitsFor: string | null;
  /** The last failure; null once it moves again. */
  readonly error: string | null;
  /** Failures since it last moved. */
  readonly attempts: number;
  /** A replay that came to a segment that nobody can read; whether it was told to go on without such ones. */
  readonly unreadable: "met" | "left_out" | null;
  /** What can be asked for, as it is now. */
  readonly actions: readonly JobAction[];
  /** How it ended, in a word. */
  readonly outcome: string | null;
  /** Milliseconds; null before. */
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly updatedAt: number;
  readonly endedAt: number | null;
}

export interface NewJob {
  readonly id: string;
  readonly spec: JobSpec;
  readonly preview?: unknown;
  /** The caller's idempotency key: the same one with the same `fingerprint` is one job. */
  readonly key?: string;
  readonly fingerprint?: string;
}

export type CreateAnswer =
  | { readonly kind: "created" | "known"; readonly job: Job }
  /** An open replay has the same sink. */
  | { readonly kind: "busy"; readonly job: Job }
  /** The key was used for another request. */
  | { readonly kind: "mismatch"; readonly job: Job }
  | { readonly kind: "too_many"; readonly open: number };

export type ActAnswer =
  | { readonly kind: "accepted"; readonly job: Job }
  | { readonly kind: "refused"; readonly detail: string; readonly job: Job }
  | { readonly kind: "unknown" };

export interface JobLease {
  /** Fencing token: rises with every lease; what an older one says is refused. */
  readonly token: number;
  readonly job: Job;
  /** The newest rule version that was given out. */
  readonly rules: number;
}

/** Absent members stay as they are. */
export interface JobChange {
  readonly phase?: string;
  readonly progress?: unknown;
  readonly meter?: JobMeter;
  readonly waitsFor?: string | null;
  /** Whether the stores hold a build of this job, or an old that it keeps. */
  readonly holds?: boolean;
  /** Its rules are in every store that others build: from now on others may have theirs. */
  readonly yields?: true;
  /** Counted once, with the change. */
  readonly settled?: readonly Settled[];
}

export type SaveAnswer =
  /** `state` may have been changed by somebody meanwhile: a slice ends where it is no longer the one it began in. */
  { readonly kind: "saved"; readonly state: JobState } | { readonly kind: "lost" };

/** How a slice ended. */
export type SliceEnd =
  /** There is more to do, after a pause. */
  | { readonly kind: "more"; readonly inMs: number }
  | {
      readonly kind: "failed";
      readonly error: string;
      readonly lasting: boolean;
      /** A segment of the log cannot be read. */
      readonly unreadable?: boolean;
    }
  /** Taken only where the job is still in the state `from`: somebody may have cancelled it. */
  | { readonly kind: "state"; readonly from: JobState; readonly state: JobState; readonly outcome?: string };

export interface Settled {
  /** The day on which the retracted copies were received, and their shard. */
  readonly day: string;
  readonly shard: number;
  /** `republished`: sent again to replace them. `repeated`: an audit found them in two shards. */
  readonly cause: "republished" | "repeated";
  readonly events: number;
}

export interface DeskOverview {
  /** Newest first. */
  readonly jobs: readonly Job[];
  /** Newest days first. */
  readonly settled: readonly Settled[];
  readonly rules: number;
  /** The `before` of the next page; absent where this is the last. */
  readonly next?: number;
}

export type RuleTurn =
  | { readonly version: number }
  /** `long`: a rebuild, or a person who is to decide about one; the desk calls whoever waits when it ends. Else look again soon. */
  | { readonly waitsFor: string; readonly takes?: "long" };

export interface ReplayDeskApi {
  create(job: NewJob): Promise<CreateAnswer>;
  act(id: string, action: JobAction): Promise<ActAnswer>;
  job(id: string): Promise<Job | null>;
  /** The job that a key has made. */
  known(key: string): Promise<{ readonly job: Job; readonly fingerprint: string } | null>;
  /** @param before only jobs made before the one of this number (`Job.n`) */
  overview(kinds?: readonly JobKind[], limit?: number, before?: number): Promise<DeskOverview>;
  /** Null while another has it, while it waits for other jobs, or where there is nothing to do. */
  lease(id: string, owner: string, ttlMs: number): Promise<JobLease | null>;
  save(id: string, token: number, change: JobChange): Promise<SaveAnswer>;
  release(id: string, token: number, end: SliceEnd): Promise<void>;
  /**
   * The next rule version for this job, once nothing else moves the stores: one job at a time has rules, and keeps the
   * turn until it ends. Safe to repeat: the same `key` gets the same version. "lost": another has the lease, or the job no
   * longer runs: cancelled before it had a rule, it gets none.
   */
  takeRule(id: string, token: number, key: string): Promise<RuleTurn | "lost">;
  /**
   * A job whose rules are raised waits for these sinks: fills and rebuilds of them may go on meanwhile, because one of them
   * may be what the sink needs. Null: it waits no longer, and they make way as for a new version. @returns for whom it still waits
   */
  standAside(
    id: string,
    token: number,
    sinks: readonly SinkName[] | null,
  ): Promise<{ waitsFor: string | null } | "lost">;
  /** Every shard has it: the next version may be given out. */
  ruleRaised(id: string, token: number, version: number): Promise<void>;
  /** Small values of the driver's own, such as how far the search for republished events has come. */
  mark(name: string): Promise<string | null>;
  setMark(name: string, value: string): Promise<void>;
  /**
   * Puts placeholders where a job's spec, preview, progress or error has one of these texts: names of people who are erased.
   * @param names placeholders by text @param isTrial says only how many jobs have any @returns how many
   */
  redact(names: ReadonlyMap<string, string>, isTrial: boolean): Promise<number>;
  /** The cron's poke: should an alarm have been given up, jobs go on from here. */
  poke(): Promise<void>;
}
