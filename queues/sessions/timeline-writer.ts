/**
 * Writes groups of events to their timelines: first the users, then the devices, which take their own events and
 * learn of their users in one call.
 *
 *     crash before a user's append          the step comes again
 *     crash between user's and device's     the step comes again; the user's object skips the events, but names every
 *                                           device of events it skipped, so the device is pointed at the user then
 *     crash after the device's              the step comes again and changes nothing
 *     crash before the index of addresses   as with devices: events that are skipped name their addresses (index-emails.ts)
 *     two drains write one step             both appends are the same; the second is skipped
 *     a timeline knows a newer rule         it refuses all of its events, and the step comes again through that rule; the
 *                                           others have skipped theirs by then
 *     a timeline refuses                    the others are written; then its events, and no others, are named as refused
 *
 * A call that only tells a device of a user carries no events and so moves no seq there: the device's own events may
 * come after it, in another part of the step.
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { Subject, TimelineAppend, UserTimelineApi } from "../../durable-objects/user-timeline/api.ts";
import type { ToldUser } from "../../durable-objects/user-timeline/known-users.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { SESSIONS } from "../../r2-layout/limits.ts";
import { EventsRefused, isRefusal } from "../refusal.ts";
import type { CallBudget, SinkStep } from "../sink.ts";
import { boundedParallel } from "./bounded-parallel.ts";
import type { EmailIndexDeps } from "./index-emails.ts";
import { indexEmails } from "./index-emails.ts";
import type { SubjectGroups } from "./subjects.ts";
import { lastSeenOn } from "./subjects.ts";

export interface TimelineWriterDeps extends EmailIndexDeps {
  readonly timelines: ObjectNamespace<Pick<UserTimelineApi, "append">>;
}

export interface Invocation {
  /** Less one for every call made, repeated ones too. */
  readonly calls: CallBudget;
  /** Awaited before each call; see lease-keeper.ts. */
  keepLease(): Promise<void>;
}

/** @throws EventsRefused once all that can be written is */
export async function writeTimelines(
  groups: SubjectGroups,
  step: Pick<SinkStep, "shard" | "from" | "to" | "generation" | "rules">,
  { calls, keepLease }: Invocation,
  deps: TimelineWriterDeps,
): Promise<void> {
  const { timelines, identityKey } = deps;
  const append = (subject: Subject, rest: Pick<TimelineAppend, "events" | "users">) =>
    retried(async () => {
      await keepLease();
      calls.left--;
      const { shard, from, to, generation, rules } = step;
      const timeline = timelines.getByName(timelineName(identityKey, subject, generation));
      return timeline.append({ subject, shard, from: from + 1, to, ...(rules && { rules }), ...rest });
    });

  const refused: EventRow[] = [];
  let cause: unknown;
  const orRefused = async (events: readonly EventRow[], write: () => Promise<void>) => {
    try {
      await write();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refused.push(...events);
      cause = error;
    }
  };

  const usersOf = new Map<string, ToldUser[]>();
  const named: { subject: Subject; emails: readonly string[] }[] = [];
  await boundedParallel(groups.users, SESSIONS.callsAtOnce, ([id, events]) =>
    orRefused(events, async () => {
      const { pointers, revision, emails = [] } = await append({ kind: "user", id }, { events });
      if (emails.length > 0) named.push({ subject: { kind: "user", id }, emails });
      for (const [device, lastSeen] of lastSeenOn(pointers, events)) {
        const users = usersOf.get(device);
        if (users) users.push({ id, lastSeen, revision });
        else usersOf.set(device, [{ id, lastSeen, revision }]);
      }
    }),
  );

  const devices = new Set([...groups.devices.keys(), ...usersOf.keys()]);
  await boundedParallel(devices, SESSIONS.callsAtOnce, (id) => {
    const events = groups.devices.get(id) ?? [];
    return orRefused(events, async () => {
      const { emails = [] } = await append({ kind: "device", id }, { events, users: usersOf.get(id) });
      if (emails.length > 0) named.push({ subject: { kind: "device", id }, emails });
    });
  });
  await indexEmails(named, calls, deps, retried);

  if (refused.length > 0) throw new EventsRefused(refused, cause);
  // Only a device's pointers: its users' timelines have the events.
  if (cause !== undefined)
    console.error(JSON.stringify({ at: "sessions", reason: "device_refused", error: String(cause) }));
}

const ATTEMPTS = 3;

/** An object that was just moved or restarted says so; a fresh stub reaches it. An overloaded one needs time, not calls. */
export async function retried<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const { retryable, overloaded } = error as { retryable?: boolean; overloaded?: boolean };
      if (!retryable || overloaded || attempt === ATTEMPTS) throw error;
    }
  }
}
