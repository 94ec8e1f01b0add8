/** What goes into a ticket: an event with what led to it, or what is loaded at a glance; plain text that mail and trackers keep. Pure. */
import type { Subject } from "./address.ts";
import { eventHint, type TimelineEvent } from "./events.ts";
import { groupBySession } from "./timeline-items.ts";

/** Events before the one in question, and lines of a glance. */
const TRAIL_EVENTS = 10;
const GLANCE_EVENTS = 20;

export interface TicketContext {
  readonly subject: Subject;
  /** The newest address that the user has given. */
  readonly email: string | undefined;
  /** Where the page shows it. */
  readonly link: string;
}

/** @param events newest first; `event` is one of them. Times are UTC: who reads it may sit elsewhere. */
export function eventTicket(event: TimelineEvent, events: readonly TimelineEvent[], context: TicketContext): string {
  const session = groupBySession(events).find((group) => group.events.includes(event))?.events ?? [event];
  const at = session.indexOf(event);
  const trail = session.slice(at + 1, at + 1 + TRAIL_EVENTS).toReversed();
  return [
    heading(context),
    `${event.event_name} at ${utc(event.event_time)}`,
    ...facts(event),
    ...(trail.length > 0 ? ["", "Before it, in the same session:", ...trail.map(line)] : []),
    "",
    context.link,
  ].join("\n");
}

/** The newest events, in the order in which they happened. */
export function glanceTicket(events: readonly TimelineEvent[], context: TicketContext): string {
  const newest = events.slice(0, GLANCE_EVENTS).toReversed();
  return [heading(context), ...newest.map(line), "", context.link].join("\n");
}

const heading = ({ subject, email }: TicketContext): string =>
  `${subject.kind === "user" ? "User" : "Device"} ${subject.id}${email ? ` (${email})` : ""}`;

const line = (event: TimelineEvent): string =>
  ["-", utc(event.event_time), event.event_name, eventHint(event), event.user_id ? "" : "(not signed in)"]
    .filter(Boolean)
    .join("  ");

function facts(event: TimelineEvent): string[] {
  const columns = [
    "event_id",
    "source",
    "app_name",
    "app_version",
    "page_url",
    "device_type",
    "os",
    "browser",
    "country",
  ] as const;
  const known = columns.flatMap((name) => (event[name] ? [`  ${name}: ${String(event[name])}`] : []));
  const properties = Object.entries(event.properties ?? {}).map(([name, value]) => `  ${name}: ${value}`);
  return [...properties, ...known];
}

const utc = (time: string): string => `${time.slice(0, 10)} ${time.slice(11, 23)} UTC`;
