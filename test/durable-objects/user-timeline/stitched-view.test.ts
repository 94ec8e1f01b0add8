import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EventsPage, EventsRequest, Subject } from "../../../durable-objects/user-timeline/api.ts";
import {
  comparePositions,
  formatCursor,
  parseCursor,
  positionOf,
} from "../../../durable-objects/user-timeline/event-order.ts";
import { parseStitchedCursor, readStitchedEvents } from "../../../durable-objects/user-timeline/stitched-view.ts";
import { EMPTY_PROFILE } from "../../../durable-objects/user-timeline/subject-state.ts";
import { timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { SUPPORT } from "../../../r2-layout/limits.ts";
import { plainEvent, START } from "./events.ts";
import * as reference from "./reference.ts";

const KEY = "key";
const nameOf = (subject: Subject) => timelineName(KEY, subject);
const ME = "ann";

/** What the objects would answer of these events, on pages that end early now and then. */
function readerOf(events: readonly EventRow[], pageMax: () => number) {
  const newest = reference.newestFirst(events);
  const ofName = new Map<string, Subject>();
  for (const { user_id, anonymous_id } of events) {
    if (user_id) ofName.set(nameOf({ kind: "user", id: user_id }), { kind: "user", id: user_id });
    if (anonymous_id) ofName.set(nameOf({ kind: "device", id: anonymous_id }), { kind: "device", id: anonymous_id });
  }
  const unique = (texts: (string | null | undefined)[]) => [...new Set(texts.flatMap((text) => text || []))];
  return {
    identityKey: KEY,
    timelines: {
      getByName: (name: string) => {
        const subject = ofName.get(name);
        const isOwn = (event: EventRow) =>
          subject !== undefined &&
          (subject.kind === "user"
            ? event.user_id === subject.id
            : !event.user_id && event.anonymous_id === subject.id);
        return {
          users: async () => ({
            users: unique(
              newest.filter(({ anonymous_id }) => anonymous_id === subject?.id).map(({ user_id }) => user_id),
            ).map((id) => ({ id, lastSeen: 1 })),
            cut: false,
          }),
          profile: async () => ({
            ...EMPTY_PROFILE,
            devices: unique(newest.filter(isOwn).map(({ anonymous_id }) => anonymous_id)).map((id) => ({
              anonymous_id: id,
              last_seen: Math.max(
                ...newest.filter((event) => isOwn(event) && event.anonymous_id === id).map((event) => event.event_time),
              ),
              device_type: null,
            })),
          }),
          events: async (request: EventsRequest): Promise<EventsPage> => {
            const after = request.cursor === undefined ? null : parseCursor(request.cursor)!;
            const matching = newest
              .filter(isOwn)
              .filter(({ anonymous_id: id }) => request.anonymousId === undefined || id === request.anonymousId)
              .filter((event) => !after || comparePositions(positionOf(event), after) < 0);
            const page = matching.slice(0, Math.min(request.limit, pageMax()));
            const last = page.at(-1);
            return {
              events: page,
              next: last && page.length < matching.length ? formatCursor(positionOf(last)) : null,
            };
          },
        };
      },
    },
  };
}

/** Whose an anonymous event is: of whoever signed in next on its device. */
function isMine(event: EventRow, all: readonly EventRow[]): boolean {
  const device = all.filter(({ anonymous_id }) => anonymous_id === event.anonymous_id);
  const later = device
    .filter(({ user_id }) => user_id)
    .filter((other) => comparePositions(positionOf(other), positionOf(event)) > 0)
    .sort((a, b) => comparePositions(positionOf(a), positionOf(b)));
  return later[0]?.user_id === ME;
}

const world = fc
  .array(
    fc.record({
      user_id: fc.constantFrom(null, null, ME, "bob", "c\u{1F600}"),
      anonymous_id: fc.constantFrom(null, "phone", 'shared "tv"', "desk"),
    }),
    { maxLength: 30 },
  )
  .map((list) => list.map((one, i) => plainEvent({ event_id: `e${i}`, event_time: START + i * 1_000_000, ...one })));

async function allPages(events: readonly EventRow[], limit: number, pageMax: () => number): Promise<EventRow[]> {
  const seen: EventRow[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await readStitchedEvents(readerOf(events, pageMax), ME, { limit, ...(cursor && { cursor }) });
    expect(page.events.length).toBeLessThanOrEqual(limit);
    seen.push(...page.events);
    cursor = page.next;
  }
  return seen;
}

describe("the view of a user with what came before the sign-in", () => {
  it("has the user's events and the anonymous ones of whoever signed in next, once each, on pages of any size", async () => {
    await fc.assert(
      fc.asyncProperty(
        world,
        fc.integer({ min: 1, max: 6 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 4 })),
        async (events, limit, sizes) => {
          const seen = await allPages(events, limit, () => sizes.next().value!);
          // Devices that the user was never seen on are none of theirs.
          const mine = new Set(events.flatMap((event) => (event.user_id === ME ? (event.anonymous_id ?? []) : [])));
          const wanted = events.filter(
            (event) =>
              event.user_id === ME || (!event.user_id && mine.has(event.anonymous_id ?? "") && isMine(event, events)),
          );
          expect(seen).toEqual(reference.newestFirst(wanted));
        },
      ),
      { numRuns: 200 },
    );
  });

  it("leaves out what somebody else did on a shared device before they signed in, also across a page's end", async () => {
    const on = (event_id: string, user_id: string | null, minute: number) =>
      plainEvent({ event_id, user_id, anonymous_id: "tv", event_time: START + minute * 60_000_000 });
    const events = [
      on("ann looks", null, 1),
      on("ann", ME, 2),
      on("bob looks", null, 3),
      on("bob", "bob", 4),
      on("nobody yet", null, 5),
    ];
    for (const limit of [1, 2, 10]) {
      expect((await allPages(events, limit, () => 1)).map(({ event_id }) => event_id)).toEqual(["ann", "ann looks"]);
    }
  });

  it("looks at SUPPORT.stitchedDevices devices, the newest, and says where there are more", async () => {
    const events = Array.from({ length: SUPPORT.stitchedDevices + 1 }, (_, i) => [
      plainEvent({ event_id: `before ${i}`, anonymous_id: `d${i}`, event_time: START + 2 * i }),
      plainEvent({ event_id: `${i}`, user_id: ME, anonymous_id: `d${i}`, event_time: START + 2 * i + 1 }),
    ]).flat();
    const read = (some: readonly EventRow[]) =>
      readStitchedEvents(
        readerOf(some, () => 100),
        ME,
        { limit: 100 },
      );
    const whole = await read(events.slice(2));
    expect([whole.cut, whole.events.length]).toEqual([false, 2 * SUPPORT.stitchedDevices]);
    const cut = await read(events);
    expect([cut.cut, cut.events.length]).toEqual([true, 2 * SUPPORT.stitchedDevices + 1]);
    expect(cut.events.at(-1)!.event_id).toBe("0");
  });

  it("takes a plain page's cursor, and refuses what no page gave", () => {
    const plain = formatCursor({ time: 1, tie: "x" });
    expect(parseStitchedCursor(plain)).toEqual({ position: { time: 1, tie: "x" }, signedIn: new Map() });
    const bad = Buffer.from('[["d","nobody"]]').toString("base64url");
    for (const text of ["made-up", `${plain}.`, `${plain}.%`, `${plain}.${bad}`, `${plain}.${"A".repeat(50_000)}`]) {
      expect(() => parseStitchedCursor(text)).toThrow(RangeError);
    }
  });
});
