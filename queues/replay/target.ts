/**
 * What a replay asks of a sink. The driver (queues/replay) reads the log, or beyond its retention the lake, and hands
 * steps to a target; the target knows how its store is filled, or built anew beside the live one and swapped in.
 *
 * Every call can be cut off anywhere and made again.
 */
import type { SinkName } from "../../durable-objects/sink-cursor/api.ts";
import type { EventRow, QuarantineRow } from "../../r2-layout/event-columns.ts";

export interface ReplayJob {
  readonly id: string;
  /** Shards 0 .. shards - 1 are covered: the same ones in every call, although there may be more by then. */
  readonly shards: number;
  /** Milliseconds, half open; null: without end. Rollups take it for event_time, on hours; lake and sessions for receipt. */
  readonly from: number | null;
  readonly to: number | null;
  /** Or this part of one shard's log, both inclusive. */
  readonly range: { readonly shard: number; readonly from: number; readonly to: number } | null;
}

/** A part of one shard's log that is still to be read: exclusive, inclusive. */
export interface ReplayRead {
  readonly shard: number;
  readonly after: number;
  readonly to: number;
  /** Steps of this shard that the target has for this job. */
  readonly steps: number;
  /** Only events in this range of event_time, milliseconds. */
  readonly window?: { readonly from: number; readonly to: number };
}

/** Rows that passed through the rules in force. */
export interface ReplayStep {
  readonly shard: number;
  /** Dense from 1 for each job, sink and shard. */
  readonly step: number;
  /** Segments from + 1 .. to; the rows may be some of theirs. */
  readonly from: number;
  readonly to: number;
  readonly rules: number;
  readonly events: readonly EventRow[];
  readonly quarantine: readonly QuarantineRow[];
}

export interface ReplayComparison {
  readonly identical: boolean;
  /** Events in the range, in the live store and in the one built anew. */
  readonly before: number;
  readonly after: number;
  /** What differs, for people: small and bounded. */
  readonly differences: readonly string[];
}

/** The calls of this invocation are used up: the same call goes on in another one. Nothing has failed. */
export type More = "more";

export interface ReplayTarget {
  readonly sink: SinkName;
  /** Events in one step where that is to be short, or costs a call each; absent: `REPLAY.stepEvents`. One segment may hold more. */
  readonly maxEvents?: number;
  /** `fill`: applies what the live store lacks of a step. @returns events that were missing. */
  fill(job: ReplayJob, step: ReplayStep): Promise<number | More>;
  /**
   * `rebuild`: what is still to be read, beginning the build where there is none. Asked again once all of it was added:
   * an empty answer says that the build has met the live store.
   */
  plan(job: ReplayJob): Promise<readonly ReplayRead[]>;
  // biome-ignore lint/suspicious/noConfusingVoidType: a target that always ends its step says nothing.
  add(job: ReplayJob, step: ReplayStep): Promise<void | More>;
  compare(job: ReplayJob): Promise<ReplayComparison>;
  /** The build becomes what readers see, in whole; the old is kept. */
  // biome-ignore lint/suspicious/noConfusingVoidType: as `add`.
  swap(job: ReplayJob): Promise<void | More>;
  /** The old becomes what readers see again. @throws after `confirm`. */
  // biome-ignore lint/suspicious/noConfusingVoidType: as `add`.
  revert(job: ReplayJob): Promise<void | More>;
  /** The old is let go. @returns "more" where it takes further calls. */
  confirm(job: ReplayJob): Promise<"done" | "more">;
  /** The build is let go, before its swap, or after one that was made and not noted: then as `revert`. */
  discard(job: ReplayJob): Promise<"done" | "more">;
  /**
   * Ends what is left of the job, whatever of it refuses to be confirmed or taken back, so that others can have the store:
   * readers go on with what they see. @returns what that is
   */
  abandon(job: ReplayJob): Promise<"built" | "before" | More>;
}
