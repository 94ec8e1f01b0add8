/**
 * What "this device" shows: its own events, sent while nobody was signed in, merged with those that its newest users sent from
 * it. The device's object knows these users (at most `TIMELINE.usersPerDevice`); their objects hold the events.
 */
import { TIMELINE } from "../../r2-layout/limits.ts";
import type { EventsPage, EventsRequest } from "./api.ts";
import type { Position } from "./event-order.ts";
import { comparePositions, formatCursor, parseCursor, positionOf } from "./event-order.ts";
import { timelineName } from "./timeline-name.ts";
import type { TimelineReader } from "./user-view.ts";

export interface DevicePage extends EventsPage {
  /** The device had more users than are looked at. */
  readonly cut: boolean;
}

export async function readDeviceEvents(
  { timelines, identityKey, generation }: TimelineReader,
  anonymousId: string,
  request: Omit<EventsRequest, "anonymousId">,
): Promise<DevicePage> {
  // Asked once: all of one page are of one build.
  const build = await generation?.();
  const device = timelines.getByName(timelineName(identityKey, { kind: "device", id: anonymousId }, build));
  const { users, cut } = await device.users();
  // All answers together are held here, so they share the bytes of one.
  const bounded = { ...request, maxBytes: Math.ceil((request.maxBytes ?? TIMELINE.pageBytes) / (users.length + 1)) };
  const pages = await Promise.all([
    device.events(bounded),
    ...users.map(({ id }) =>
      timelines.getByName(timelineName(identityKey, { kind: "user", id }, build)).events({ ...bounded, anonymousId }),
    ),
  ]);
  return { ...mergePages(pages, request.limit), cut };
}

/**
 * One page of several timelines' pages that were asked for with the same cursor. Of a page that has a cursor nothing is known
 * below it, so the merged page ends at the newest of their cursors; a cursor is a position, and holds for all of them.
 */
export function mergePages(pages: readonly EventsPage[], limit: number): EventsPage {
  const floor = pages.map(({ next }) => (next === null ? null : parseCursor(next))).reduce(newerOf, null);
  const known = pages
    .flatMap(({ events }) => events.map((event) => ({ event, position: positionOf(event) })))
    .filter(({ position }) => !floor || comparePositions(position, floor) >= 0)
    .sort((a, b) => comparePositions(b.position, a.position));
  const taken = known.slice(0, Math.min(Math.max(1, Math.floor(limit)), TIMELINE.pageLimitMax));
  const end = taken.length < known.length ? taken.at(-1)!.position : floor;
  return { events: taken.map(({ event }) => event), next: end && formatCursor(end) };
}

const newerOf = (a: Position | null, b: Position | null): Position | null =>
  !a || (b && comparePositions(b, a) > 0) ? b : a;
