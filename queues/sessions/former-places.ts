/**
 * A segment that became a hole may be in some timelines all the same: a drain had written to them, was cut off before its
 * cursor moved, and then the object went bad. Which ones nobody can tell until its events come back, and name them:
 *
 *     drain A writes segment 2 to ann, is cut off         ann has e1 at 2, the cursor stands at 1
 *     the object is lost; drains B give it up             2 is a hole, the cursor passes it
 *     it is there again and is redriven as 9              the step takes e1 out of 2 for ann, then brings it at 9
 *
 * So an event stands once, where the log has it for this sink, and a rebuild, a fill and a rule mean the same one. Rules that
 * came in between may have given it to another subject by then: it is taken from whomever it may have gone to (`former`).
 * Where it never was, nothing is taken, and no rule is learnt: the newest may not be in every shard's log yet. A crash in between leaves it out until the step comes again.
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { TimelineAmendApi } from "../../durable-objects/user-timeline/api.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { SESSIONS } from "../../r2-layout/limits.ts";
import type { SinkStep } from "../sink.ts";
import { amendTimelines } from "./amend.ts";
import { callsNeeded, groupBySubject } from "./subjects.ts";
import type { Invocation } from "./timeline-writer.ts";

export interface FormerPlacesDeps {
  readonly timelines: ObjectNamespace<Pick<TimelineAmendApi, "amend">>;
  readonly identityKey: string;
}

/** Calls at most. */
export const callsToLeave = (former: readonly EventRow[]): number =>
  partsOf(former).reduce((sum, part) => sum + callsNeeded(groupBySubject(part)), 0);

/** @throws RangeError, beginning with `rules:`, where a timeline knows a newer rule; Error where fewer calls are left than it needs */
export async function leaveFormerPlaces(
  former: readonly EventRow[],
  { generation = 0, rules = 0 }: Pick<SinkStep, "generation" | "rules">,
  { calls, keepLease }: Invocation,
  { timelines, identityKey }: FormerPlacesDeps,
): Promise<void> {
  for (const part of partsOf(former)) {
    await keepLease();
    const pairs = part.map((before) => ({ before, after: null }));
    const deps = { timelines, identityKey, calls, generation, moves: true };
    if ((await amendTimelines(pairs, rules, deps)) === "more") throw new Error(`${calls.left} calls are too few`);
  }
}

function partsOf(former: readonly EventRow[]): EventRow[][] {
  const parts: EventRow[][] = [];
  for (let at = 0; at < former.length; at += SESSIONS.amendPairs)
    parts.push(former.slice(at, at + SESSIONS.amendPairs));
  return parts;
}
