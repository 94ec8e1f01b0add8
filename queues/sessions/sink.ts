/**
 * The sessions sink: each event goes to the timeline of its user, else of its device. One call for each subject and
 * step; then devices learn of their users; then the cursor moves. Events that name neither are applied and are in no
 * timeline: the lake has them.
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { BuildsApi, GenerationsApi, SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import type { TimelineAmendApi, UserTimelineApi } from "../../durable-objects/user-timeline/api.ts";
import { SESSIONS_BUILDS_NAME } from "../../durable-objects/user-timeline/live-generation.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { SESSIONS, SINK } from "../../r2-layout/limits.ts";
import type { Sink, SinkStep } from "../sink.ts";
import { sinkWithCursor } from "../sink.ts";
import { callsToLeave, leaveFormerPlaces } from "./former-places.ts";
import { leaseKeeper } from "./lease-keeper.ts";
import { applyParts } from "./part-progress.ts";
import { callsNeeded, groupBySubject, partOf, subjectOf } from "./subjects.ts";
import type { TimelineWriterDeps } from "./timeline-writer.ts";
import { writeTimelines } from "./timeline-writer.ts";

export interface SessionsDeps extends TimelineWriterDeps {
  readonly timelines: ObjectNamespace<Pick<UserTimelineApi, "append"> & Pick<TimelineAmendApi, "amend">>;
  readonly cursors: ObjectNamespace<SinkCursorApi>;
  /** The same objects, where the timelines may be built anew (rebuild.ts). */
  readonly builds?: ObjectNamespace<GenerationsApi & BuildsApi>;
  /** `SINK.callsPerInvocation`, unless a test wants less. */
  readonly callsPerInvocation?: number;
}

export function createSessionsSink(deps: SessionsDeps): Sink {
  const effect = (step: SinkStep) => applySessions(step, deps);
  const sink = sinkWithCursor("sessions", deps.cursors, effect, undefined, SESSIONS.stepEvents);
  return { ...sink, lease: (shard, owner) => leaseInBuild(sink, shard, owner, deps.builds) };
}

/**
 * A cursor that has never moved, of a shard that a split has made, goes to the build that the others feed.
 *
 *     this asks, a swap moves the cursor, this lets go of the lease's answer     the swap has fenced the lease off
 *     this asks, a swap moves the cursor, this moves it back                     refused: what it was told is older than the swap
 */
async function leaseInBuild(sink: Sink, shard: number, owner: string, builds: SessionsDeps["builds"]) {
  for (;;) {
    const lease = await sink.lease(shard, owner);
    if (!lease || lease.cursor > 0 || !builds) return lease;
    const { generation, move } = await builds.getByName(SESSIONS_BUILDS_NAME).fed(shard);
    if (generation === (lease.generation ?? 0)) return lease;
    await builds.getByName(`sessions:${shardName(shard)}`).switchTo(generation, 0, undefined, move);
  }
}

/** The names under which a build's cursors and progress stand; those of the first are the sink's own. */
export const buildGroup = (generation: number): string => (generation === 0 ? "sessions" : `sessions@${generation}`);

/**
 * The effect of a step in the build that it names; what the cursor of `group` does is the caller's.
 * @returns "unfinished" where the calls of this invocation do not suffice: what was done stays done.
 */
export async function applySessions(
  step: SinkStep,
  deps: SessionsDeps,
  group = "sessions",
): Promise<"unfinished" | undefined> {
  const callsMax = deps.callsPerInvocation ?? SINK.callsPerInvocation;
  const calls = step.calls ?? { left: callsMax };
  const { events, former = [] } = step;
  const needed = callsToLeave(former) + callsNeeded(groupBySubject(events));
  const invocation = { calls, keepLease: leaseKeeper(deps.cursors, step, group) };
  const leave = (some: readonly EventRow[]) => leaveFormerPlaces(some, step, invocation, deps);
  const write = (some: readonly EventRow[]) => writeTimelines(groupBySubject(some), step, invocation, deps);
  if (needed <= calls.left) {
    await leave(former);
    await write(events);
    return undefined;
  }
  if (needed <= callsMax) return "unfinished";

  const inParts = async (
    name: string,
    rows: readonly EventRow[],
    callsFor: (some: readonly EventRow[]) => number,
    apply: (some: readonly EventRow[]) => Promise<void>,
  ) => {
    const parts = Map.groupBy(rows, (row) => partOf(subjectOf(row) ?? NOBODY));
    return applyParts(deps.cursors, name, step, async (part) => {
      const some = parts.get(part) ?? [];
      if (callsFor(some) > calls.left) return null;
      const before = calls.left;
      await apply(some);
      return { calls: before - calls.left };
    });
  };
  const name = buildGroup(step.generation ?? 0);
  if (former.length > 0 && !(await inParts(`${name}-former`, former, callsToLeave, leave))) return "unfinished";
  return (await inParts(name, events, (some) => callsNeeded(groupBySubject(some)), write)) ? undefined : "unfinished";
}

const NOBODY = { kind: "device", id: "" } as const;
