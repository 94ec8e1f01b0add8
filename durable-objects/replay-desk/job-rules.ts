/**
 * What may happen to a job, and which jobs keep each other waiting. Pure.
 *
 *     fill         running ──────────────────────────────────────────────> done
 *     rebuild      running (build, compare) ─> waiting_for_swap* ─> running (swap) ─> waiting_for_confirmation ─> confirming | reverting ─> done
 *     correction   preview ─> running (from its rule on: no way back) ────> done
 *     erasure      preview ─> running (from its rule on: no way back, never set aside) ─> done
 *     settlement   running ──────────────────────────────────────────────> done
 *     audit        running ──────────────────────────────────────────────> done
 *
 *     * only where the swap is to be asked for. Before a swap or a rule any job can be cancelled: cancelling ─> cancelled.
 *       A job that failed can be resumed where it stood, or cancelled where it could have been before. One that failed
 *       between the swaps of two sinks, when nobody can cancel it any more, can be reverted. One with a rule that failed, or
 *       does not move, can be set aside, so that it holds up no other: abandoning ─> abandoned. Its rule stays in force. So can
 *       a replay that cannot be confirmed, reverted or cancelled: what readers see stays, the rest is let go.
 *
 *     A replay that comes to a segment that nobody can read fails, for it would build less than there was. Where the store has
 *     lost its rows that is better than nothing: `leave_out` has it go on without such segments, and its swap is asked for.
 */
import type { SinkName } from "../sink-cursor/api.ts";
import type { Job, JobAction, JobState } from "./api.ts";

/** States in which a job has something to do. */
const WORKING: readonly JobState[] = ["running", "confirming", "reverting", "cancelling", "abandoning"];
const ENDED: readonly JobState[] = ["done", "cancelled", "abandoned"];

export const isWorking = (state: JobState): boolean => WORKING.includes(state);
export const hasEnded = (state: JobState): boolean => ENDED.includes(state);

/** Phases that the machine knows; a driver has further ones of its own. */
export const PHASE = {
  /** A rebuild lets its build go and begins anew: a rule was raised. */
  restart: "restart",
  build: "build",
  /** From here on a rebuild is not cancelled: some sinks may have swapped. */
  swap: "swap",
} as const;

/** What the machine looks at. */
export type JobFacts = Pick<Job, "kind" | "state" | "phase"> & {
  readonly id: string;
  /** Of a fill or a rebuild. */
  readonly sinks: readonly SinkName[];
  /** It has a rule version. */
  readonly ruled: boolean;
  readonly holds: boolean;
  /** The state in which it failed. */
  readonly failedIn: JobState | null;
  readonly unreadable: Job["unreadable"];
  /** A rule was given out after its swap. */
  readonly overruled: boolean;
  /** Its newest rule is not in every log yet. */
  readonly raising: boolean;
  /** A later rule than its own was given out. */
  readonly outruled: boolean;
  /** It waits for something, or its last slice has failed. */
  readonly halts: boolean;
};

export type Next =
  | { readonly ok: true; readonly state: JobState; readonly phase?: string; readonly outcome?: string | null }
  | { readonly ok: false; readonly detail: string };

const to = (state: JobState, phase?: string): Next => ({ ok: true, state, ...(phase !== undefined && { phase }) });
const refused = (detail: string): Next => ({ ok: false, detail });

export function afterAction(job: JobFacts, action: JobAction): Next {
  switch (action) {
    case "confirm":
      if (hasPreview(job.kind) && job.state === "preview") return to("running");
      if (job.state === "waiting_for_confirmation" || job.state === "confirming") return to("confirming");
      return refused(`there is nothing to confirm: the job is ${job.state}`);
    case "swap":
      if (job.kind === "rebuild" && job.state === "waiting_for_swap") return to("running", PHASE.swap);
      if (job.phase === PHASE.swap && job.state === "running") return to("running");
      return refused(`there is nothing to swap: the job is ${job.state}`);
    case "revert":
      if (job.overruled) return refused("a rule was raised since the swap, so the old rows would come back without it");
      if (job.state === "waiting_for_confirmation" || job.state === "reverting") return to("reverting");
      if (hasFailedInSwap(job)) return to("reverting");
      return refused(`there is nothing to revert: the job is ${job.state}`);
    case "resume":
      return afterResume(job);
    case "leave_out":
      return afterLeaveOut(job);
    case "abandon":
      return afterAbandon(job);
    case "cancel":
      return afterCancel(job);
  }
}

/** Whether an action would be accepted and change something. */
export function isOffered(job: JobFacts, action: JobAction): boolean {
  const next = afterAction(job, action);
  return next.ok && (next.state !== job.state || (next.phase !== undefined && next.phase !== job.phase));
}

/** Whose turn it is to have rules. */
export interface Turn {
  readonly id: string;
  readonly ruled: boolean;
  /** Sinks that it waits for; null while it does not stand aside. */
  readonly aside: readonly SinkName[] | null;
}

/** It is counted first, and begins when somebody has confirmed it. */
export const hasPreview = (kind: Job["kind"]): boolean => kind === "correction" || kind === "erasure";

/** Some of its sinks may have swapped, and another one refuses to. */
const hasFailedInSwap = (job: JobFacts): boolean =>
  job.kind === "rebuild" && job.state === "failed" && job.failedIn === "running" && job.phase === PHASE.swap;

function afterResume(job: JobFacts): Next {
  if (job.state === "failed") return to(job.failedIn ?? "running");
  if (job.state !== "abandoned" || isReplay(job)) return refused(`it has not failed: it is ${job.state}`);
  return job.outruled
    ? refused(`a later rule is in force, and this one was not carried through before it: ${RULE_STAYS}`)
    : { ok: true, state: "running", outcome: null };
}

function afterLeaveOut(job: JobFacts): Next {
  if (job.unreadable === "left_out" && job.state === "running") return to("running");
  if (job.unreadable !== "met" || job.state !== "failed" || job.failedIn !== "running") {
    return refused("it has not failed because of a segment that cannot be read");
  }
  return to("running");
}

const RULE_STAYS =
  "its rule stays in force: a rebuild of a sink that it has not come to brings that store into the rule's state";

/** States that lead a replay out of its build. */
const LEAVING: readonly (JobState | null)[] = ["confirming", "reverting", "cancelling"];

const isReplay = ({ kind }: JobFacts): boolean => kind === "fill" || kind === "rebuild";

function afterAbandon(job: JobFacts): Next {
  // It has left something behind, that may be in the way of others.
  if (job.state === "abandoned" && isReplay(job) && job.failedIn === "abandoning") return to("abandoning");
  if (job.state === "abandoning" || job.state === "abandoned") return to(job.state);
  if (isReplay(job)) {
    const leaving = job.state === "failed" ? job.failedIn : job.state;
    if (!LEAVING.includes(leaving)) return refused("cancel it, or revert it where it has swapped");
    if (job.state !== "failed" && !job.halts) return refused(`it moves: it is ${job.state}`);
    return { ok: true, state: "abandoning", outcome: `abandoned while ${leaving}` };
  }
  if (!job.ruled) return refused("it has no rule in the log: cancel it");
  if (job.kind === "erasure")
    return refused("somebody has asked to be forgotten: it is open until it is done, resume it");
  if (job.raising)
    return refused("its rule is not in every shard's log yet, and no later one may be before it: resume it");
  if (job.state !== "failed" && !(job.state === "running" && job.halts)) return refused(`it moves: it is ${job.state}`);
  return { ok: true, state: "abandoning", outcome: RULE_STAYS };
}

function afterCancel(job: JobFacts): Next {
  if (job.state === "preview") return { ok: true, state: "cancelled", outcome: "cancelled" };
  if (job.state === "cancelling" || job.state === "cancelled") return to(job.state);
  if (job.state === "waiting_for_confirmation") return refused("it has swapped: confirm or revert it");
  if (job.ruled && job.kind === "erasure")
    return refused("its rule is in the log, and what is erased does not come back");
  if (job.ruled) return refused("its rule is in the log: another correction may undo it");
  if (hasFailedInSwap(job)) return refused("some of its sinks may have swapped: revert it");
  if (job.phase === PHASE.swap && job.state !== "waiting_for_swap")
    return refused("it is swapping: revert it afterwards");
  if (job.state === "running" || job.state === "waiting_for_swap" || job.state === "failed") return to("cancelling");
  return refused(`it is ${job.state}`);
}

/**
 * Whether a job has to wait before it may be leased, and for whom. While a job with rules changes the stores, nobody else
 * does; while it waits for its turn, only what leads out of a build goes on. While it waits for sinks, replays of these go on,
 * too: a store that lost its rows gets them back by nothing else. Not those of the lake, which waits for no replay: built anew
 * under the rule, it would no longer tell which rows the rule has changed.
 */
export function blockedBy(job: JobFacts, turn: Turn | null): string | null {
  if (turn === null || turn.id === job.id || !isReplay(job)) return null;
  const leavesBuild = job.state !== "running" || job.phase === PHASE.restart || job.phase === PHASE.swap;
  if (leavesBuild && (!turn.ruled || turn.aside !== null)) return null;
  const isLetIn = turn.aside?.some((sink) => job.sinks.includes(sink)) && !job.sinks.includes("lake");
  return isLetIn ? null : turn.id;
}

/**
 * What a job must become so that a rule can be raised: a build that has not swapped was made of rows without the rule, and
 * an old that is kept must not come back without it.
 */
export function makeWay(job: JobFacts): { readonly state: JobState; readonly phase?: string } | null {
  if (!job.holds || job.kind !== "rebuild") return null;
  if (job.state === "waiting_for_confirmation") return { state: "confirming" };
  if (hasFailedInSwap(job)) return { state: "reverting" };
  if (job.state === "failed" && job.failedIn !== "running") return { state: job.failedIn ?? "running" };
  const beforeSwap = job.state === "waiting_for_swap" || (job.phase !== PHASE.swap && job.phase !== PHASE.restart);
  if (["running", "waiting_for_swap", "failed"].includes(job.state) && beforeSwap) {
    return { state: "running", phase: PHASE.restart };
  }
  return job.state === "failed" ? { state: "running" } : null;
}

/** A settlement has time: it lets a rebuild come to its swap, and people decide. */
export function settlementWaits(
  job: JobFacts & { readonly updatedAt: number },
  nowMs: number,
  waitMs: number,
): boolean {
  if (job.kind !== "rebuild" || !job.holds) return false;
  return job.state === "running" || nowMs - job.updatedAt < waitMs;
}
