import { describe, expect, it } from "vitest";
import { eventHint, microsOf, type Session } from "../../../../workers/console/support/events.ts";
import { groupBySession, itemsOf, summaryOf } from "../../../../workers/console/support/timeline-items.ts";
import { event, T0 } from "./events.ts";

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

describe("the items of the list", () => {
  const of = (momentMs: number | null, ofUser = true) =>
    itemsOf([event(0, { user_id: "ann" }), event(5), event(100, { user_id: "ann" })], [], { ofUser, momentMs });

  it("are a head for each session and its events, with what came before a sign-in marked", () => {
    expect(of(null).map((item) => item.kind)).toEqual(["session", "event", "event", "session", "event"]);
    expect(of(null).flatMap((item) => (item.kind === "event" ? [[item.stitched, item.isLast]] : []))).toEqual([
      [false, false],
      [true, true],
      [false, true],
    ]);
    expect(of(null, false).some((item) => item.kind === "event" && item.stitched)).toBe(false);
  });

  it.each([
    ["above the first event at or before it", 3, ["session", "event", "moment", "event", "session", "event"]],
    ["above a whole session", 50, ["session", "event", "event", "moment", "session", "event"]],
    ["on top where all is before it", -1, ["moment", "session", "event", "event", "session", "event"]],
    ["not where nothing that is loaded is before it", 200, ["session", "event", "event", "session", "event"]],
  ])("have the mark of a moment %s", (_, minutesAgo, kinds) => {
    expect(of(T0 - minutesAgo * 60_000).map((item) => item.kind)).toEqual(kinds);
  });

  it("have a key each, as the list needs to know them by", () => {
    const keys = of(T0).map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

it("reads times to the microsecond", () => {
  expect(microsOf("2026-11-22T05:00:00.123456Z")).toBe(T0 * 1_000 + 123_456);
  expect(microsOf("2026-11-22T05:00:00Z")).toBe(T0 * 1_000);
});

it.each([
  ["a page by its path and title", { page_path: "/a", page_title: "A", properties: { name: "A" } }, "/a · A"],
  ["a screen by its name", { event_type: "screen", properties: { name: "Home" } }, "Home"],
  ["an order by its number", { event_type: "track", page_path: "/a", properties: { order_id: "o-1" } }, "o-1"],
  ["whom an identify call means", { event_type: "identify", properties: { email: "a@b.c", plan: "x" } }, "a@b.c"],
  ["what has nothing better by its page", { event_type: "track", page_path: "/a", properties: { x: "1" } }, "/a"],
] as const)("tells %s", (_, more, hint) => {
  expect(eventHint(event(0, more))).toBe(hint);
});
