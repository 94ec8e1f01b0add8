/**
 * What one text means: a user's id, a device's, an e-mail address or an event's id. Nobody who calls says which, so all are
 * asked; each is a look at one object, and what was never seen costs nothing and leaves nothing behind. Events come last,
 * because every shard has to be asked for them.
 */
import { EmailAddress } from "../../durable-objects/email-index/address.ts";
import type { EmailIndexApi } from "../../durable-objects/email-index/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { Subject, UserTimelineApi } from "../../durable-objects/user-timeline/api.ts";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { normalizeEmail } from "../../r2-layout/email.ts";
import { isoMicros } from "../../r2-layout/time.ts";
import {
  type EventFinder,
  type FoundEvent,
  inLake,
  inSegment,
  type OwnedId,
  ownersOf,
  type ReceivedRange,
  receivedAround,
} from "./find-event.ts";

export interface LookupReader {
  readonly timelines: ObjectNamespace<Pick<UserTimelineApi, "profile" | "users">>;
  readonly emails: ObjectNamespace<Pick<EmailIndexApi, "find">>;
  readonly identityKey: string;
  readonly generation: () => Promise<number>;
  readonly events: EventFinder;
}

export type Match = SubjectMatch | EventMatch;

export interface SubjectMatch {
  readonly kind: "user" | "device";
  readonly id: string;
  /** By what it was found. */
  readonly by: "user_id" | "anonymous_id" | "email";
  /** Of a device those without a user. */
  readonly events: number;
  readonly first_seen: string | null;
  readonly last_seen: string | null;
  /** The newest address that it has given. */
  readonly email?: string;
  /** Of a device: how many users are known on it. */
  readonly users?: number;
}

export interface EventMatch extends Omit<FoundEvent, "event_time"> {
  readonly kind: "event";
  readonly by: "event_id";
  readonly event_time: string;
}

export interface LookupAnswer {
  readonly matches: readonly Match[];
  /** More have given this address than are listed. */
  readonly more?: true;
  /** The log took an event of this id at that time, and where it stands has yet to be searched for (`kind=event`). */
  readonly taken_at?: string;
}

export async function lookUp(reader: LookupReader, text: string): Promise<LookupAnswer> {
  const email = normalizeEmail(text);
  const [user, device, byEmail] = await Promise.all([
    known(reader, { kind: "user", id: text }, "user_id"),
    known(reader, { kind: "device", id: text }, "anonymous_id"),
    email === null ? NOBODY : withEmail(reader, email),
  ]);
  const subjects = [user, device, ...byEmail.subjects].flatMap((match) => match ?? []);
  const unique = subjects.filter(({ kind, id }, i) => subjects.findIndex((m) => m.kind === kind && m.id === id) === i);
  const more = byEmail.full && ({ more: true } as const);
  if (unique.length > 0) return { matches: unique, ...more };

  const owners = await ownersOf(reader.events, text);
  const found = (await Promise.all(owners.map((owner) => inSegment(reader.events, owner, text)))).flatMap(
    (event) => event ?? [],
  );
  if (found.length > 0) return { matches: found.map(eventMatch), ...more };
  const [owner] = owners;
  return { matches: [], ...more, ...(owner && { taken_at: new Date(owner.takenAt).toISOString() }) };
}

/**
 * An event only, wherever it is. @param range where no window knows it; null: then it is not looked for any further
 * @throws Refused where the lake would have to read too much
 */
export async function lookUpEvent(
  { events }: LookupReader,
  text: string,
  range: ReceivedRange | null,
): Promise<LookupAnswer> {
  const owners = await ownersOf(events, text);
  for (const owner of owners) {
    const event = await inSegment(events, owner, text);
    if (event) return { matches: [eventMatch(event)] };
  }
  const ranges = owners.filter(isEvent).map(receivedAround);
  if (ranges.length === 0 && range) ranges.push(range);
  for (const searched of ranges) {
    const found = await inLake(events, text, searched);
    if (found.length > 0) return { matches: found.map(eventMatch) };
  }
  return { matches: [] };
}

const isEvent = ({ quarantined }: OwnedId): boolean => !quarantined;
const NOBODY = { subjects: [], full: false } as const;

async function known(
  { timelines, identityKey, generation }: LookupReader,
  subject: Subject,
  by: SubjectMatch["by"],
): Promise<SubjectMatch | null> {
  const timeline = timelines.getByName(timelineName(identityKey, subject, await generation()));
  const [profile, users] = await Promise.all([
    timeline.profile(),
    subject.kind === "device" ? timeline.users() : undefined,
  ]);
  const last = users?.users[0]?.lastSeen ?? null;
  if (profile.events === 0 && last === null) return null;
  const time = (micros: number | null) => (micros === null ? null : isoMicros(micros));
  const email = profile.last_values["traits.email"]?.value;
  return {
    ...subject,
    by,
    events: profile.events,
    first_seen: time(profile.first_seen),
    last_seen: time(last === null ? profile.last_seen : Math.max(last, profile.last_seen ?? last)),
    ...(email !== undefined && { email }),
    ...(users && { users: users.users.length }),
  };
}

/** Who has given this address. Somebody who has another one by now is among them: the page shows both. */
async function withEmail(reader: LookupReader, email: string): Promise<{ subjects: SubjectMatch[]; full: boolean }> {
  const address = new EmailAddress(reader.identityKey, email);
  const { subjects, full } = await reader.emails.getByName(address.objectName).find(address.hash);
  const opened = subjects.flatMap((sealed) => address.open(sealed) ?? []);
  const matches = await Promise.all(opened.map((subject) => known(reader, subject, "email")));
  const found = matches.flatMap((match) => match ?? []);
  found.sort((a, b) => ((b.last_seen ?? "") < (a.last_seen ?? "") ? -1 : 1));
  return { subjects: found, full };
}

const eventMatch = (event: FoundEvent): EventMatch => ({
  kind: "event",
  by: "event_id",
  ...event,
  event_time: typeof event.event_time === "number" ? isoMicros(event.event_time) : event.event_time,
});
