/**
 * A sink is a consumer group with a cursor: it is handed the log in order, a step at a time, and answers where its
 * cursor is then. Live traffic, catching up and replay are this one path (queues/drain.ts walks it).
 */

import type { ObjectNamespace } from "../durable-objects/namespace.ts";
import type { AppliedCounts, Lease, Moved, SinkCursorApi, SinkName } from "../durable-objects/sink-cursor/api.ts";
import type { EventRow, QuarantineRow } from "../r2-layout/event-columns.ts";
import { shardName } from "../r2-layout/keys.ts";
import { SINK } from "../r2-layout/limits.ts";

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
}

export interface Sink {
  readonly name: SinkName;
  /** Null while somebody else holds the shard. */
  lease(shard: number, owner: string): Promise<Lease | null>;
  /** Makes the effect durable, then moves the cursor. Applying a step twice is applying it once. */
  apply(step: SinkStep): Promise<Moved>;
  /** Nothing new up to this time: for sinks whose results ripen with time. */
  tick?(shard: number, cursor: number, completeUntil: number): Promise<void>;
  release(shard: number, token: number): Promise<void>;
}

/** A sink whose cursor is a SinkCursor object: the effect first, then the cursor. */
export function sinkWithCursor(
  name: SinkName,
  cursors: ObjectNamespace<SinkCursorApi>,
  effect: (step: SinkStep) => Promise<void>,
  tick?: Sink["tick"],
): Sink {
  const cursor = (shard: number) => cursors.getByName(`${name}:${shardName(shard)}`);
  return {
    name,
    lease: (shard, owner) => cursor(shard).lease(owner, SINK.leaseMs),
    async apply(step) {
      await effect(step);
      return cursor(step.shard).advance(step.token, step.from, step.to, step.applied);
    },
    ...(tick && { tick }),
    release: (shard, token) => cursor(shard).release(token),
  };
}
