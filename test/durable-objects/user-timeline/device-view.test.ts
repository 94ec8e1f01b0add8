import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EventsPage, EventsRequest, Subject } from "../../../durable-objects/user-timeline/api.ts";
import { readDeviceEvents } from "../../../durable-objects/user-timeline/device-view.ts";
import { formatCursor, parseCursor, positionOf } from "../../../durable-objects/user-timeline/event-order.ts";
import { timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import { readUserEvents } from "../../../durable-objects/user-timeline/user-view.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { loggedEvents } from "./events.ts";
import * as reference from "./reference.ts";

const KEY = "key";

/** Timelines over lists, whose pages end early now and then, as those of large events do. */
function timelinesOf(
  lists: ReadonlyMap<string, readonly EventRow[]>,
  users: string[],
  cut: boolean,
  pageMax: () => number,
) {
  return {
    getByName: (name: string) => ({
      users: async () => ({ users: users.map((id) => ({ id, lastSeen: 1 })), cut }),
      events: async (request: EventsRequest): Promise<EventsPage> => {
        const after = request.cursor === undefined ? null : parseCursor(request.cursor)!;
        const matching = reference
          .newestFirst(lists.get(name) ?? [])
          .filter(({ anonymous_id: id }) => request.anonymousId === undefined || id === request.anonymousId)
          .filter((event) => !after || compare(positionOf(event), after) < 0);
        const events = matching.slice(0, Math.min(request.limit, pageMax()));
        const last = events.at(-1);
        return { events, next: last && events.length < matching.length ? formatCursor(positionOf(last)) : null };
      },
    }),
  };
}

const compare = (a: { time: number; tie: string }, b: { time: number; tie: string }) =>
  a.time - b.time || (a.tie < b.tie ? -1 : a.tie > b.tie ? 1 : 0);
const nameOf = (subject: Subject) => timelineName(KEY, subject);

describe("the view of a device", () => {
  it("has its own events and those its users sent from it, newest first, once each, on pages of any size", async () => {
    await fc.assert(
      fc.asyncProperty(
        loggedEvents,
        fc.integer({ min: 1, max: 5 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 4 })),
        async (logged, limit, sizes) => {
          const owners = ["", "ann", "b/\u{1F600}", 'c"'];
          const events = logged.map((event, i) => ({ ...event, user_id: owners[i % 4] || null }));
          const device = "device/1";
          const lists = new Map(
            owners.map((id) => [
              nameOf(id ? { kind: "user", id } : { kind: "device", id: device }),
              events.filter((event) => (event.user_id ?? "") === id && (id !== "" || event.anonymous_id === device)),
            ]),
          );
          const timelines = timelinesOf(lists, owners.slice(1), true, () => sizes.next().value!);
          const reader = { timelines, identityKey: KEY };
          const seen: EventRow[] = [];
          for (let cursor: string | null | undefined; cursor !== null; ) {
            const page = await readDeviceEvents(reader, device, { limit, ...(cursor && { cursor }) });
            expect(page.events.length).toBeLessThanOrEqual(limit);
            expect(page.cut).toBe(true);
            seen.push(...page.events);
            cursor = page.next;
          }
          expect(seen).toEqual(reference.newestFirst(events.filter((event) => event.anonymous_id === device)));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("shares the bytes of one answer among the timelines it asks", async () => {
    const asked: (number | undefined)[] = [];
    const timelines = {
      getByName: () => ({
        users: async () => ({ users: [{ id: "ann", lastSeen: 1 }], cut: false }),
        events: async (request: EventsRequest) => {
          asked.push(request.maxBytes);
          return { events: [], next: null };
        },
      }),
    };
    const page = await readDeviceEvents({ timelines, identityKey: KEY }, "d", { limit: 10, maxBytes: 1_001 });
    expect(page).toEqual({ events: [], next: null, cut: false });
    expect(asked).toEqual([501, 501]);
  });
});

describe("the view of a user", () => {
  it("is the user's own timeline, not that of a device with the same identifier", async () => {
    const [user, device] = (["user", "device"] as const).map((kind) => nameOf({ kind, id: "same" }));
    expect(user).not.toBe(device);
    const asked: string[] = [];
    const timelines = {
      getByName: (name: string) => {
        asked.push(name);
        return {
          users: async () => ({ users: [], cut: false }),
          events: async () => ({ events: [], next: null }),
        };
      },
    };
    await readUserEvents({ timelines, identityKey: KEY }, "same", { limit: 1 });
    expect(asked).toEqual([user]);
  });
});
