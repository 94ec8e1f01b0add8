import { describe, expect, it } from "vitest";
import {
  eventHint,
  eventsPath,
  groupBySession,
  lookupQuery,
  parseLookup,
  type Session,
  summaryOf,
  type TimelineEvent,
} from "../../../workers/console/support/timeline-data.ts";

const T0 = Date.UTC(2026, 10, 22, 5, 0);
let ids = 0;
/** @param minutesAgo before T0 */
const event = (minutesAgo: number, more: Partial<TimelineEvent> = {}) =>
  ({
    event_id: `e${++ids}`,
    event_name: "page",
    event_type: "page",
    event_time: new Date(T0 - minutesAgo * 60_000).toISOString().replace("Z", "000Z"),
    ...more,
  }) as TimelineEvent;

describe("sessions", () => {
  it("end after half an hour of silence, not a moment earlier", () => {
    const events = [event(0), event(29.99), event(59.99), event(61)];
    expect(groupBySession(events).map((group) => group.events.length)).toEqual([2, 2]);
    expect(groupBySession(events)[0]).toMatchObject({ start: T0 - 29.99 * 60_000, end: T0 });
  });

  it("hold what a server and an app sent of one visit, though only one of them names it", () => {
    const events = [event(0), event(1, { session_id: "a" }), event(2), event(3, { session_id: "a" })];
    expect(groupBySession(events)).toHaveLength(1);
  });

  it("lose no event and have keys of their own, whatever is mixed", () => {
    const events = Array.from({ length: 200 }, (_, index) => event(index * index));
    const groups = groupBySession(events);
    expect(groups.length).toBeGreaterThan(100);
    expect(groups.flatMap((group) => group.events)).toEqual(events);
    expect(new Set(groups.map((group) => group.key)).size).toBe(groups.length);
  });

  it("find their summary by their time, also where it reaches further back than what is loaded", () => {
    const session = (id: string, from: number, to: number) =>
      ({ id, start: event(from).event_time, end: event(to).event_time }) as Session;
    const sessions = [session("late", 40, 5), session("early", 300, 80)];
    const groups = groupBySession([event(6), event(10), event(80), event(90), event(600)]);
    expect(groups.map((group) => summaryOf(group, sessions)?.id)).toEqual(["late", "early", undefined]);
  });
});

it.each([
  ["a page by its path and title", { page_path: "/a", page_title: "A", properties: { name: "A" } }, "/a · A"],
  ["a screen by its name", { event_type: "screen", properties: { name: "Home" } }, "Home"],
  ["an order by its number", { event_type: "track", page_path: "/a", properties: { order_id: "o-1" } }, "o-1"],
  ["what has nothing better by its page", { event_type: "track", page_path: "/a", properties: { x: "1" } }, "/a"],
] as const)("tells %s", (_, more, hint) => {
  expect(eventHint(event(0, more))).toBe(hint);
});

describe("a lookup", () => {
  it.each([
    { kind: "user", id: "ada", minutes: 60 },
    { kind: "device", id: "a/b?c=d&e#f ü", minutes: 43_200 },
  ] as const)("survives the address bar: $id", (lookup) => {
    expect(parseLookup(lookupQuery(lookup), 15)).toEqual(lookup);
  });

  it("falls back to the default time, and is none without an id", () => {
    expect(parseLookup("?user=ada&minutes=-5", 60)).toEqual({ kind: "user", id: "ada", minutes: 60 });
    expect(parseLookup("?user=%20", 60)).toBeNull();
    expect(parseLookup("", 60)).toBeNull();
  });

  it("escapes an id in the path", () => {
    expect(eventsPath({ kind: "user", id: "a/b", minutes: 5 }, "c=1")).toBe(
      "/v1/users/a%2Fb/events?minutes=5&limit=100&cursor=c%3D1",
    );
  });
});
