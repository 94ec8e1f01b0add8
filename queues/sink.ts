/**
 * A sink is a consumer group with a cursor: it is handed the log in order, a step at a time, and answers where its
 * cursor is then. Live traffic, catching up and replay are this one path (queues/drain.ts walks it).
 */

import type { ObjectNamespace } from "../durable-objects/namespace.ts";
import type {
  AppliedCounts,
  HolesApi,
  Lease,
  Moved,
  SinkCursorApi,
  SinkName,
} from "../durable-objects/sink-cursor/api.ts";
import type { EventRow, QuarantineRow } from "../r2-layout/event-columns.ts";
import { shardName } from "../r2-layout/keys.ts";
import { SINK } from "../r2-layout/limits.ts";

/**
 * Calls that one invocation may still make to objects: the platform allows 10,000 subrequests. Whoever starts the
 * invocation makes one (`SINK.callsPerInvocation`) and hands it to every step; an effect takes from it what it uses.
 */
export interface CallBudget {
  left: number;
}

/** Segments from + 1 .. to of one shard, decoded, in log order. Rows carry their log_seq. */
export interface SinkStep {
  readonly shard: number;
  readonly token: number;
  readonly from: number;
  readonly to: number;
  /** Everything the log committed before this time (ms, the log's clock) stands at or below `to`. */
  readonly completeUntil: number;
  readonly events: readonly EventRow[];
  readonly quarantine: readonly QuarantineRow[];
  readonly applied: AppliedCounts;
  /** As `LogStep.former`; absent: none. */
  readonly former?: readonly EventRow[];
  /** As `LogStep.leftOut`; absent: none. */
  readonly leftOut?: number;
  /** The lease's: which build of the store is live. */
  readonly generation?: number;
  /** The rule version that the rows passed through; absent: 0. A store that knows a newer one refuses the step. */
  readonly rules?: number;
  /** Shared by all steps of one invocation. Absent: the whole allowance is this step's. */
  readonly calls?: CallBudget;
}

export type HoleKeeper = Pick<HolesApi, "failed" | "decide" | "close">;

export interface Sink {
  readonly name: SinkName;
  /** Events in one step where an effect costs a call each: less than `SINK.stepEvents`. One segment may hold more. */
  readonly maxEvents?: number;
  /** Null while somebody else holds the shard. */
  lease(shard: number, owner: string): Promise<Lease | null>;
  /**
   * Makes the effect durable, then moves the cursor. Applying a step twice is applying it once. `moved: false` ends
   * this drain: somebody else has the shard, or the step needs another invocation to end.
   *
   * @throws what time cures at any moment. A refusal (refusal.ts) only before anything of what is refused took effect:
   * after some attempts that becomes a hole, whose events come back as a segment of their own and would then count twice.
   * Where some of a step took effect it throws EventsRefused, which names the rest.
   */
  apply(step: SinkStep): Promise<Moved>;
  /** Does of `apply` what comes before any effect, and throws what it would: so that one bad event can be told from its neighbours. */
  trial?(step: SinkStep): Promise<void>;
  /**
   * Whether the store has this segment, all of it but what was left out before, though the cursor is below: asked before any
   * of it is given up, for where the store has it there is no hole. From then on it takes nothing from leases with older
   * tokens. Absent: the cursor moves with the effect, or what is there can be told when it comes back.
   */
  has?(shard: number, seq: number, token: number): Promise<boolean>;
  /** Who keeps the holes of a shard, beside its cursor. Absent: what is refused is tried for ever. */
  holes?(shard: number): HoleKeeper;
  /** Nothing new up to this time: for sinks whose results ripen with time. */
  tick?(shard: number, cursor: number, completeUntil: number): Promise<void>;
  release(shard: number, token: number): Promise<void>;
}

/**
 * A sink whose cursor is a SinkCursor object: the effect first, then the cursor. An effect that answers "unfinished"
 * leaves the cursor where it is; the log wakes the sink again, and the step comes a second time.
 */
export function sinkWithCursor(
  name: SinkName,
  cursors: ObjectNamespace<SinkCursorApi>,
  // biome-ignore lint/suspicious/noConfusingVoidType: an effect that always ends its step says nothing.
  effect: (step: SinkStep) => Promise<void | "unfinished">,
  tick?: Sink["tick"],
  maxEvents?: number,
): Sink {
  const cursor = (shard: number) => cursors.getByName(`${name}:${shardName(shard)}`);
  return {
    name,
    lease: (shard, owner) => cursor(shard).lease(owner, SINK.leaseMs),
    async apply(step) {
      if ((await effect(step)) === "unfinished") return { moved: false, cursor: step.from };
      return cursor(step.shard).advance(step.token, step.from, step.to, step.applied);
    },
    ...(tick && { tick }),
    ...(maxEvents && { maxEvents }),
    holes: cursor,
    release: (shard, token) => cursor(shard).release(token),
  };
}
