/** A step's events by whose timeline they belong to. Pure. */
import type { Subject } from "../../durable-objects/user-timeline/api.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { callsToIndex } from "./index-emails.ts";

/** Whose event it is: the user's, else the device's; null where it names neither, and no timeline has it. */
export function subjectOf(event: EventRow): Subject | null {
  if (event.user_id) return { kind: "user", id: event.user_id };
  if (event.anonymous_id) return { kind: "device", id: event.anonymous_id };
  return null;
}

/** Events in log order by identifier, users and devices apart: the same text may name one of each. */
export interface SubjectGroups {
  readonly users: Map<string, EventRow[]>;
  readonly devices: Map<string, EventRow[]>;
}

export function groupBySubject(events: Iterable<EventRow>): SubjectGroups {
  const groups: SubjectGroups = { users: new Map(), devices: new Map() };
  for (const event of events) {
    const subject = subjectOf(event);
    if (!subject) continue;
    const group = subject.kind === "user" ? groups.users : groups.devices;
    const known = group.get(subject.id);
    if (known) known.push(event);
    else group.set(subject.id, [event]);
  }
  return groups;
}

/**
 * Calls to objects at most: one for each user, one for each device that has events or may have to learn of a user, and one
 * for each object of the index that may have to learn of an address.
 */
export function callsNeeded({ users, devices }: SubjectGroups): number {
  const touched = new Set(devices.keys());
  for (const events of users.values())
    for (const { anonymous_id } of events) if (anonymous_id) touched.add(anonymous_id);
  return users.size + touched.size + callsToIndex([users, devices].flatMap((group) => [...group.values()].flat()));
}

/** The newest event_time of these events on each of these devices. */
export function lastSeenOn(devices: readonly string[], events: readonly EventRow[]): Map<string, number> {
  const lastSeen = new Map(devices.map((device) => [device, Number.NEGATIVE_INFINITY]));
  for (const { anonymous_id: device, event_time } of events) {
    const known = device ? lastSeen.get(device) : undefined;
    if (known !== undefined && event_time > known) lastSeen.set(device!, event_time);
  }
  return lastSeen;
}

/** Which of `PARTS` an oversized step's subject belongs to: a fixed hash, the same in every invocation. */
export const PARTS = 64;

export function partOf({ kind, id }: Subject): number {
  let hash = kind === "user" ? 0x811c9dc5 : 0x050c5d1f;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) & (PARTS - 1);
}
