/**
 * "This user" with what their devices sent before they signed in: the user's own events, merged with anonymous events of
 * the devices that they were seen on. An anonymous event belongs to whoever signed in next on its device:
 *
 *     09:00 anonymous   09:05 ann   09:40 anonymous   09:50 bob   10:10 anonymous
 *     `- ann's                      `- bob's                      `- nobody's yet
 *
 * A page is read newest first, so who signed in next is what was met last on the way; the cursor carries it from page to
 * page. On a device with one user it is known without looking: everything up to when they were last seen there.
 * A page that begins in the middle (`to`) does not know who came next on a shared device until it meets somebody: up to
 * there that device's anonymous events are left out.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { SUPPORT, TIMELINE } from "../../r2-layout/limits.ts";
import type { EventsPage, EventsRequest, UserTimelineApi } from "./api.ts";
import type { Position } from "./event-order.ts";
import { comparePositions, formatCursor, parseCursor, positionOf } from "./event-order.ts";
import { timelineName } from "./timeline-name.ts";
import type { TimelineReader } from "./user-view.ts";

export interface StitchedReader extends Omit<TimelineReader, "timelines"> {
  readonly timelines: {
    getByName(name: string): Pick<UserTimelineApi, "events" | "users" | "profile">;
  };
}

export interface StitchedPage extends EventsPage {
  /** There are more devices than are looked at. Events that were stitched in are those without a user. */
  readonly cut: boolean;
}

/** Who signed in next on a device, seen from a position: this user, or somebody else. Not named: nobody that is known. */
type SignedIn = ReadonlyMap<string, "this" | "other">;

export interface Source {
  readonly page: EventsPage;
  /** Of a device: its anonymous events. Else of a user: this one, or another of a shared device. */
  readonly of: "anonymous" | "this" | "other";
}

export async function readStitchedEvents(
  reader: StitchedReader,
  userId: string,
  request: EventsRequest,
): Promise<StitchedPage> {
  const { timelines, identityKey, generation } = reader;
  // Asked once: all of one page are of one build.
  const build = await generation?.();
  const timelineOf = (kind: "user" | "device", id: string) =>
    timelines.getByName(timelineName(identityKey, { kind, id }, build));
  const own = timelineOf("user", userId);
  const cursor = parseStitchedCursor(request.cursor);
  const { devices } = await own.profile();
  const looked = devices.slice(0, SUPPORT.stitchedDevices);
  const others = await Promise.all(
    looked.map(async ({ anonymous_id: device }) => {
      const { users } = await timelineOf("device", device).users();
      return users.flatMap(({ id }) => (id === userId ? [] : id));
    }),
  );
  // All answers together are held here, so they share the bytes of one.
  const parts = 1 + looked.length + others.reduce((sum, ids) => sum + ids.length, 0);
  const bounded: EventsRequest = {
    ...request,
    ...(cursor && { cursor: formatCursor(cursor.position) }),
    maxBytes: Math.ceil((request.maxBytes ?? TIMELINE.pageBytes) / parts),
  };
  const { whole: _, ...ofOthers } = bounded;
  const sources = await Promise.all([
    own.events(bounded).then((page): Source => ({ page, of: "this" })),
    ...looked.map(({ anonymous_id: device }) =>
      timelineOf("device", device)
        .events(ofOthers)
        .then((page): Source => ({ page, of: "anonymous" })),
    ),
    ...looked.flatMap(({ anonymous_id: anonymousId }, i) =>
      others[i]!.map((id) =>
        timelineOf("user", id)
          .events({ ...ofOthers, anonymousId })
          .then((page): Source => ({ page, of: "other" })),
      ),
    ),
  ]);
  const alone = new Map(
    looked.flatMap(({ anonymous_id: id, last_seen: until }, i) => (others[i]!.length === 0 ? [[id, until]] : [])),
  );
  const shared = new Set(looked.flatMap(({ anonymous_id: id }) => (alone.has(id) ? [] : [id])));
  const page = stitch(sources, { signedIn: cursor?.signedIn ?? new Map(), alone, shared }, request.limit);
  const lacking = sources[0]!.page.lacking;
  return { ...page, cut: devices.length > looked.length, ...(lacking && { lacking }) };
}

export interface KnownOfDevices {
  /** As the page before left it. */
  readonly signedIn: SignedIn;
  /** Devices that nobody else is known on, with when this user was last seen there. */
  readonly alone: ReadonlyMap<string, number>;
  /** Those that others are known on. */
  readonly shared: ReadonlySet<string>;
}

/**
 * One page of several, newest first. Of a source that has a cursor nothing is known below it, so the page ends at the
 * newest of their cursors.
 */
export function stitch(sources: readonly Source[], devices: KnownOfDevices, limit: number): EventsPage {
  const { alone, shared } = devices;
  const floor = sources.map(({ page }) => (page.next === null ? null : parseCursor(page.next))).reduce(newerOf, null);
  const known = sources
    .flatMap(({ page, of }) => page.events.map((event) => ({ event, of, position: positionOf(event) })))
    .filter(({ position }) => !floor || comparePositions(position, floor) >= 0)
    .sort((a, b) => comparePositions(b.position, a.position));
  const wanted = Math.min(Math.max(1, Math.floor(limit)), TIMELINE.pageLimitMax);
  const signedIn = new Map(devices.signedIn);
  const events: EventRow[] = [];
  let last: Position | null = null;
  for (const { event, of, position } of known) {
    if (events.length === wanted) return { events, next: formatStitchedCursor(last!, signedIn) };
    last = position;
    const device = event.anonymous_id ?? "";
    if (of === "anonymous") {
      const until = alone.get(device);
      const isTheirs = until === undefined ? signedIn.get(device) === "this" : event.event_time <= until;
      if (isTheirs) events.push(event);
    } else {
      if (shared.has(device)) signedIn.set(device, of);
      if (of === "this") events.push(event);
    }
  }
  return { events, next: floor && formatStitchedCursor(floor, signedIn) };
}

const newerOf = (a: Position | null, b: Position | null): Position | null =>
  !a || (b && comparePositions(b, a) > 0) ? b : a;

/** A plain cursor, and behind a dot who signed in next: text that is safe in a query string. */
function formatStitchedCursor(position: Position, signedIn: SignedIn): string {
  if (signedIn.size === 0) return formatCursor(position);
  return `${formatCursor(position)}.${Buffer.from(JSON.stringify([...signedIn])).toString("base64url")}`;
}

/** Null where there is none; who signed in next is unknown in one that is of a plain page. @throws RangeError where it is none */
export function parseStitchedCursor(text: string | undefined): { position: Position; signedIn: SignedIn } | null {
  if (text === undefined) return null;
  const [plain = "", more] = text.split(".", 2);
  const position = parseCursor(plain);
  const signedIn = more === undefined ? [] : readSignedIn(more);
  if (!position || !signedIn) throw new RangeError("cursor is not one that a page gave");
  return { position, signedIn: new Map(signedIn) };
}

/** As many as devices have names for, and no more: it comes from outside. */
const STATE_CHARS = SUPPORT.stitchedDevices * 2_048;

function readSignedIn(text: string): [string, "this" | "other"][] | null {
  if (text.length > STATE_CHARS) return null;
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return null;
  }
  const isPart = (part: unknown): part is [string, "this" | "other"] =>
    Array.isArray(part) && typeof part[0] === "string" && (part[1] === "this" || part[1] === "other");
  return Array.isArray(parts) && parts.every(isPart) ? parts : null;
}
