/**
 * The sessions sink: each event goes to the timeline of its user, else of its device. One call for each subject and
 * step; then devices learn of their users; then the cursor moves. Events that name neither are applied and are in no
 * timeline: the lake has them.
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import { SESSIONS, SINK } from "../../r2-layout/limits.ts";
import type { Sink, SinkStep } from "../sink.ts";
import { sinkWithCursor } from "../sink.ts";
import { leaseKeeper } from "./lease-keeper.ts";
import { applyParts } from "./part-progress.ts";
import type { SubjectGroups } from "./subjects.ts";
import { callsNeeded, groupBySubject, partOf, subjectOf } from "./subjects.ts";
import type { TimelineWriterDeps } from "./timeline-writer.ts";
import { writeTimelines } from "./timeline-writer.ts";

export interface SessionsDeps extends TimelineWriterDeps {
  readonly cursors: ObjectNamespace<SinkCursorApi>;
  /** `SINK.callsPerInvocation`, unless a test wants less. */
  readonly callsPerInvocation?: number;
}

export function createSessionsSink(deps: SessionsDeps): Sink {
  return sinkWithCursor("sessions", deps.cursors, (step) => applySessions(step, deps), undefined, SESSIONS.stepEvents);
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
  const groups = groupBySubject(step.events);
  const needed = callsNeeded(groups);
  const keepLease = leaseKeeper(deps.cursors, step, group);
  const write = (some: SubjectGroups) => writeTimelines(some, step, { calls, keepLease }, deps);
  if (needed <= calls.left) {
    await write(groups);
    return undefined;
  }
  if (needed <= callsMax) return "unfinished";

  const parts = Map.groupBy(step.events, (event) => partOf(subjectOf(event) ?? NOBODY));
  const done = await applyParts(deps.cursors, buildGroup(step.generation ?? 0), step, async (part) => {
    const some = groupBySubject(parts.get(part) ?? []);
    if (callsNeeded(some) > calls.left) return null;
    const before = calls.left;
    await write(some);
    return before - calls.left;
  });
  return done ? undefined : "unfinished";
}

const NOBODY = { kind: "device", id: "" } as const;
