/**
 * Carries a correction into the timelines: each matched row goes from what it was to what the rules make of it. Whose
 * event it was loses it, whose it is now gains it, and another column of it changes in place; then devices learn which
 * users they have gained, and forget those of whom they have no event any more.
 *
 *     crash anywhere                          all of it comes again; every call changes only what it has not changed yet
 *     crash between a user and a device       the user's timeline is asked again which of the devices it still has events
 *                                             on, and names every device of the events that it was to have
 *     a drain had written to a user and was     the user believes that the device knows, and its later events there name it no
 *     cut off before it told the device         more; so the device learns of a user that it does not know, but that is still seen there
 *     the sink has not come so far yet        who gains an event has it before its append, which leaves it out; who loses
 *                                             one is not given it, for the sink reads it through the rule
 *     the sink reads without the rule         its append is refused by every timeline that was amended
 *     the user comes back to the device       the device has been told of a newer revision of the user's events, or of a newer
 *     while it is told to forget them         event than those that went, and keeps the user
 *
 * Each timeline changes in one transaction; of two timelines a reader may see one before and the other after.
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { BuildsApi } from "../../durable-objects/sink-cursor/api.ts";
import type { AmendAnswer, Subject, TimelineAmend, TimelineAmendApi } from "../../durable-objects/user-timeline/api.ts";
import { placeOf } from "../../durable-objects/user-timeline/exchange.ts";
import type { LeftUser, ToldUser } from "../../durable-objects/user-timeline/known-users.ts";
import { SESSIONS_BUILDS_NAME } from "../../durable-objects/user-timeline/live-generation.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { SESSIONS, SINK } from "../../r2-layout/limits.ts";
import type { CallBudget } from "../sink.ts";
import { boundedParallel } from "./bounded-parallel.ts";
import type { EmailIndexDeps } from "./index-emails.ts";
import { callsToIndex, indexEmails } from "./index-emails.ts";
import { lastSeenOn, subjectOf } from "./subjects.ts";
import { retried } from "./timeline-writer.ts";

/** A row as a store has it, of whatever version, and as all rules leave it; null where one of them retracts it. */
export interface AmendPair {
  readonly before: EventRow;
  readonly after: EventRow | null;
}

export type AmendDeps = EmailIndexDeps & {
  readonly timelines: ObjectNamespace<Pick<TimelineAmendApi, "amend">>;
  /** Of this invocation; absent: all of it. */
  readonly calls?: CallBudget;
  /** As in `TimelineAmend`. */
  readonly moves?: boolean;
} & (
    | { readonly generation: number }
    /** Asked for the generation that readers see. */
    | { readonly cursors: ObjectNamespace<Pick<BuildsApi, "liveGeneration">> }
  );

/** Summed over timelines: an event that goes from one to another is removed once and added once. */
export type AmendOutcome = Pick<AmendAnswer, "added" | "replaced" | "removed" | "beyondReach">;

/**
 * Safe to repeat, in any split and order. @param rules the newest of the rules that made `after`
 * @returns "more" where too few calls are left in this invocation: then nothing was done
 * @throws RangeError for more than `SESSIONS.amendPairs`, and, its message begins with `rules:`, where a timeline knows a newer rule
 */
export async function amendTimelines(
  pairs: readonly AmendPair[],
  rules: number,
  deps: AmendDeps,
): Promise<AmendOutcome | "more"> {
  if (pairs.length > SESSIONS.amendPairs) throw new RangeError(`${pairs.length} events in one amendment`);
  const { users, devices } = planAmendments(pairs);
  const touched = new Set(devices.keys());
  for (const { put, taken } of users.values()) {
    for (const { anonymous_id } of put) if (anonymous_id) touched.add(anonymous_id);
    for (const device of taken.keys()) touched.add(device);
  }
  const calls = deps.calls ?? { left: SINK.callsPerInvocation };
  const indexed = callsToIndex(pairs.flatMap(({ after }) => after ?? []));
  if (calls.left < users.size + touched.size + indexed + 1) return "more";
  const generation = "generation" in deps ? deps.generation : await liveGeneration(deps.cursors, calls);
  const amendments = new Amendments(rules, generation, calls, deps);

  const usersOf = new Map<string, ToldUser[]>();
  const leftBy = new Map<string, LeftUser[]>();
  await amendments.each(users, async ([id, { remove, put, taken }]) => {
    const asked = [...taken.keys()];
    const answer = await amendments.amend({ kind: "user", id }, { remove, put, devices: asked });
    const { pointers, revision } = answer;
    for (const [device, lastSeen] of lastSeenOn(pointers, put)) append(usersOf, device, { id, lastSeen, revision });
    for (const [at, device] of asked.entries()) {
      append(leftBy, device, { id, until: taken.get(device)!, lastSeen: answer.lastSeen[at] ?? null, revision });
    }
  });
  await amendments.each(new Set([...devices.keys(), ...usersOf.keys(), ...leftBy.keys()]), async (id) => {
    const { remove, put } = devices.get(id) ?? NOTHING;
    await amendments.amend({ kind: "device", id }, { remove, put, users: usersOf.get(id), left: leftBy.get(id) });
  });
  await indexEmails(amendments.named, calls, deps, retried);
  return amendments.outcome();
}

function liveGeneration(cursors: ObjectNamespace<Pick<BuildsApi, "liveGeneration">>, calls: CallBudget) {
  calls.left--;
  return cursors.getByName(SESSIONS_BUILDS_NAME).liveGeneration();
}

interface SubjectPlan {
  readonly remove: TimelineAmend["remove"][number][];
  readonly put: EventRow[];
  /** Devices on which the subject loses events, each with the event_time of the newest. */
  readonly taken: Map<string, number>;
}

const NOTHING: SubjectPlan = { remove: [], put: [], taken: new Map() };

/** Who loses and who gains what. Pure. */
export function planAmendments(pairs: readonly AmendPair[]): Record<"users" | "devices", Map<string, SubjectPlan>> {
  const plans = { users: new Map<string, SubjectPlan>(), devices: new Map<string, SubjectPlan>() };
  const planOf = ({ kind, id }: Subject): SubjectPlan => {
    const group = kind === "user" ? plans.users : plans.devices;
    const plan = group.get(id) ?? { remove: [], put: [], taken: new Map() };
    group.set(id, plan);
    return plan;
  };
  for (const { before, after } of pairs) {
    const was = subjectOf(before);
    const is = after && subjectOf(after);
    const stays = was !== null && is !== null && was.kind === is.kind && was.id === is.id;
    if (was && !stays) planOf(was).remove.push(placeOf(before));
    if (is) planOf(is).put.push(after!);
    const device = before.anonymous_id;
    if (was?.kind !== "user" || !device || (stays && after!.anonymous_id === device)) continue;
    const { taken } = planOf(was);
    taken.set(device, Math.max(before.event_time, taken.get(device) ?? Number.NEGATIVE_INFINITY));
  }
  return plans;
}

function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}

type Change = Pick<TimelineAmend, "remove" | "put"> & {
  [K in "users" | "left" | "devices"]?: TimelineAmend[K] | undefined;
};

class Amendments {
  readonly #rules: number;
  readonly #generation: number;
  readonly #calls: CallBudget;
  readonly #deps: AmendDeps;
  readonly #outcome = { added: 0, replaced: 0, removed: 0, beyondReach: 0 };
  readonly #failures: unknown[] = [];
  /** For the index: whoever gains an identify event has its address. Who loses one stays there; who looks asks them. */
  readonly named: { subject: Subject; emails: readonly string[] }[] = [];

  constructor(rules: number, generation: number, calls: CallBudget, deps: AmendDeps) {
    this.#rules = rules;
    this.#generation = generation;
    this.#calls = calls;
    this.#deps = deps;
  }

  /** All of them, even where some fail: one timeline that refuses must not keep the others from what they can have. */
  async each<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
    await boundedParallel(items, SESSIONS.callsAtOnce, (item) =>
      work(item).catch((error: unknown) => void this.#failures.push(error)),
    );
  }

  async amend(subject: Subject, { users, left, devices, ...change }: Change): Promise<AmendAnswer> {
    const { timelines, identityKey, moves } = this.#deps;
    const answer = await retried(() => {
      this.#calls.left--;
      const timeline = timelines.getByName(timelineName(identityKey, subject, this.#generation));
      const others = {
        ...(users && { users }),
        ...(left && { left }),
        ...(devices && { devices }),
        ...(moves && { moves }),
      };
      return timeline.amend({ subject, rules: this.#rules, ...change, ...others });
    });
    for (const key of ["added", "replaced", "removed", "beyondReach"] as const) this.#outcome[key] += answer[key];
    if (answer.emails) this.named.push({ subject, emails: answer.emails });
    return answer;
  }

  /** @throws the first failure */
  outcome(): AmendOutcome {
    if (this.#failures.length > 0) throw this.#failures[0];
    return this.#outcome;
  }
}
