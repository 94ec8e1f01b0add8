/**
 * Sessions by the 30-minute rule, over event_time: silence of `TIMELINE.sessionGapMs` or more ends a session. The rule
 * alone decides; a sender's session_id is only the label (of its earliest event that has one), so one sender's session
 * with a long silence in it is two sessions of the same label, and two senders' sessions at one time are one.
 *
 * A session is kept as a part that can be joined with others in any order: its bounds, its sums, and for every "first"
 * and "last" the value with its time. That is what lets each chunk of a timeline keep the parts of its own events, and
 * a late event extend a session, or be the bridge that makes two one.
 */
import { createHash } from "node:crypto";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { TIMELINE } from "../../r2-layout/limits.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { SessionSummary, Subject } from "./api.ts";
import { fromMicroUnits, toMicroUnits } from "./money.ts";

/** Microseconds. */
export const SESSION_GAP_US = TIMELINE.sessionGapMs * MICROS_PER_MS;

/** A text with the event_time it is from. Of two with the same time, the smaller text is the first, the greater the last. */
type Timed = readonly [at: number, text: string];

export interface SessionPart {
  /** Microseconds, of the first and the last event. */
  readonly start: number;
  readonly end: number;
  readonly events: number;
  readonly pages: number;
  /** Millionths, all currencies together, as text: JSON has no bigint. */
  readonly revenue: string;
  /** Of the first page or screen, and of the last. */
  readonly entry: Timed | null;
  readonly exit: Timed | null;
  /** Of the first event that has one. */
  readonly label: Timed | null;
  readonly referrer: Timed | null;
  readonly deviceType: Timed | null;
  readonly country: Timed | null;
}

/** The sessions of these events, oldest first. */
export function sessionsOf(events: Iterable<EventRow>): SessionPart[] {
  return joinSessions(Array.from(events, partOf));
}

/** Joins parts that the rule puts into one session. In any order, of whatever grouping. @returns oldest first */
export function joinSessions(parts: readonly SessionPart[]): SessionPart[] {
  const joined: SessionPart[] = [];
  for (const part of [...parts].sort((a, b) => a.start - b.start)) {
    const last = joined.at(-1);
    if (last && part.start - last.end < SESSION_GAP_US) joined[joined.length - 1] = join(last, part);
    else joined.push(part);
  }
  return joined;
}

/** A session without a label is named by subject and start, so its id changes when a late event becomes its first. */
export function summarize(subject: Subject, part: SessionPart): SessionSummary {
  return {
    id: part.label?.[1] ?? mintId(subject, part.start),
    start: part.start,
    end: part.end,
    events: part.events,
    pages: part.pages,
    entry: part.entry?.[1] ?? null,
    exit: part.exit?.[1] ?? null,
    referrer: part.referrer?.[1] ?? null,
    device_type: part.deviceType?.[1] ?? null,
    country: part.country?.[1] ?? null,
    revenue: fromMicroUnits(BigInt(part.revenue)),
  };
}

function partOf(event: EventRow): SessionPart {
  const at = event.event_time;
  const timed = (text: string | null | undefined): Timed | null =>
    text ? [at, text.slice(0, TIMELINE.valueChars).toWellFormed()] : null;
  const isPage = event.event_type === "page" || event.event_type === "screen";
  const place = isPage ? timed(event.page_path ?? event.properties?.name) : null;
  return {
    start: at,
    end: at,
    events: 1,
    pages: isPage ? 1 : 0,
    revenue: String(toMicroUnits(event.revenue ?? 0)),
    entry: place,
    exit: place,
    label: timed(event.session_id),
    referrer: timed(event.referrer),
    deviceType: timed(event.device_type),
    country: timed(event.country),
  };
}

const join = (a: SessionPart, b: SessionPart): SessionPart => ({
  start: Math.min(a.start, b.start),
  end: Math.max(a.end, b.end),
  events: a.events + b.events,
  pages: a.pages + b.pages,
  revenue: addMicros(a.revenue, b.revenue),
  entry: first(a.entry, b.entry),
  exit: last(a.exit, b.exit),
  label: first(a.label, b.label),
  referrer: first(a.referrer, b.referrer),
  deviceType: first(a.deviceType, b.deviceType),
  country: first(a.country, b.country),
});

/** Most events are worth nothing; they need no big integers. */
const addMicros = (a: string, b: string): string => (b === "0" ? a : a === "0" ? b : String(BigInt(a) + BigInt(b)));

const isBefore = (a: Timed, b: Timed): boolean => a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
const first = (a: Timed | null, b: Timed | null): Timed | null => (!a || (b && isBefore(b, a)) ? b : a);
const last = (a: Timed | null, b: Timed | null): Timed | null => (!a || (b && isBefore(a, b)) ? b : a);

function mintId(subject: Subject, start: number): string {
  return createHash("sha256").update(`${subject.kind}\n${subject.id}\n${start}`).digest("hex").slice(0, 32);
}
