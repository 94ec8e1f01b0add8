/**
 * Puts events into the timelines that lack them: what the live sink should have applied, and for some reason has not. Each
 * timeline is asked by places and ids, so a fill of what is whole changes nothing; what its sink has not reached yet is
 * left to it.
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { BuildsApi, SinkCursorApi } from "../../durable-objects/sink-cursor/api.ts";
import type { Subject, TimelineAmend, TimelineAmendApi } from "../../durable-objects/user-timeline/api.ts";
import type { ToldUser } from "../../durable-objects/user-timeline/known-users.ts";
import { SESSIONS_BUILDS_NAME } from "../../durable-objects/user-timeline/live-generation.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { SESSIONS, SINK } from "../../r2-layout/limits.ts";
import type { ReplayJob, ReplayStep } from "../replay/target.ts";
import type { CallBudget } from "../sink.ts";
import { boundedParallel } from "./bounded-parallel.ts";
import type { EmailIndexDeps } from "./index-emails.ts";
import { indexEmails } from "./index-emails.ts";
import { applyParts } from "./part-progress.ts";
import type { SubjectGroups } from "./subjects.ts";
import { callsNeeded, groupBySubject, lastSeenOn, partOf, subjectOf } from "./subjects.ts";
import { retried } from "./timeline-writer.ts";

export interface FillDeps extends EmailIndexDeps {
  readonly cursors: ObjectNamespace<SinkCursorApi & Pick<BuildsApi, "liveGeneration">>;
  readonly timelines: ObjectNamespace<Pick<TimelineAmendApi, "amend">>;
  readonly calls: CallBudget;
  readonly callsPerInvocation?: number;
}

/** @returns how many events were missing; "more" where the calls of this invocation do not suffice */
export async function fillTimelines(
  job: Pick<ReplayJob, "id">,
  step: ReplayStep,
  deps: FillDeps,
): Promise<number | "more"> {
  const { calls, cursors } = deps;
  calls.left -= 2;
  const [{ cursor }, generation] = await Promise.all([
    cursors.getByName(`sessions:${shardName(step.shard)}`).status(),
    cursors.getByName(SESSIONS_BUILDS_NAME).liveGeneration(),
  ]);
  const events = step.events.filter(({ log_seq: seq }) => seq <= cursor);
  const groups = groupBySubject(events);
  const needed = callsNeeded(groups);
  const fill = (some: SubjectGroups) => putMissing(some, step, generation, deps);
  if (needed <= calls.left) return fill(groups);
  if (needed <= (deps.callsPerInvocation ?? SINK.callsPerInvocation)) return "more";

  const parts = Map.groupBy(events, (event) => partOf(subjectOf(event) ?? { kind: "device", id: "" }));
  const group = `sessions-fill@${job.id}`;
  const done = await applyParts(cursors, group, { ...step, token: 0 }, async (part) => {
    const some = groupBySubject(parts.get(part) ?? []);
    if (callsNeeded(some) > calls.left) return null;
    const before = calls.left;
    const missing = await fill(some);
    return { calls: before - calls.left, counted: missing };
  });
  return done ? done.counted : "more";
}

async function putMissing(
  { users, devices }: SubjectGroups,
  step: Pick<ReplayStep, "rules">,
  generation: number,
  deps: FillDeps,
): Promise<number> {
  const { timelines, identityKey, calls } = deps;
  let missing = 0;
  const named: { subject: Subject; emails: readonly string[] }[] = [];
  const amend = async (subject: Subject, put: readonly EventRow[], users?: TimelineAmend["users"]) => {
    const answer = await retried(() => {
      calls.left--;
      const timeline = timelines.getByName(timelineName(identityKey, subject, generation));
      return timeline.amend({ subject, rules: step.rules, remove: [], put, fill: true, ...(users && { users }) });
    });
    missing += answer.added;
    if (answer.emails) named.push({ subject, emails: answer.emails });
    return answer;
  };
  const usersOf = new Map<string, ToldUser[]>();
  await boundedParallel(users, SESSIONS.callsAtOnce, async ([id, events]) => {
    const { pointers, revision } = await amend({ kind: "user", id }, events);
    for (const [device, lastSeen] of lastSeenOn(pointers, events)) {
      usersOf.set(device, [...(usersOf.get(device) ?? []), { id, lastSeen, revision }]);
    }
  });
  await boundedParallel(new Set([...devices.keys(), ...usersOf.keys()]), SESSIONS.callsAtOnce, async (id) => {
    await amend({ kind: "device", id }, devices.get(id) ?? [], usersOf.get(id));
  });
  await indexEmails(named, calls, deps, retried);
  return missing;
}
