import { describe, expect, it } from "vitest";
import {
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
  it("are the sender's, where it names them, though two devices interleave", () => {
    const events = [
      event(0, { session_id: "a" }),
      event(1, { session_id: "b" }),
      event(2, { session_id: "a" }),
      event(3, { session_id: "b" }),
    ];
    const groups = groupBySession(events);
    expect(groups.map((group) => [group.sessionId, group.events.map((entry) => entry.event_id)])).toEqual([
      ["a", [events[0]!.event_id, events[2]!.event_id]],
      ["b", [events[1]!.event_id, events[3]!.event_id]],
    ]);
    expect(groups[0]).toMatchObject({ start: T0 - 120_000, end: T0 });
  });

  it("end after half an hour of silence, where the sender names none", () => {
    const events = [event(0), event(29), event(60), event(61)];
    expect(groupBySession(events).map((group) => group.events.length)).toEqual([2, 2]);
  });

  it("lose no event and have keys of their own, whatever is mixed", () => {
    const events = Array.from({ length: 200 }, (_, index) =>
      event(index * 7, { session_id: index % 3 ? null : `s${index % 5}`, anonymous_id: `d${index % 2}` }),
    );
    const groups = groupBySession(events);
    expect(groups.flatMap((group) => group.events).toSorted(byId)).toEqual(events.toSorted(byId));
    expect(new Set(groups.map((group) => group.key)).size).toBe(groups.length);
  });
});

it("finds the summary of a session by its name, else by its time", () => {
  const session = (id: string, from: number, to: number) =>
    ({ id, start: event(from).event_time, end: event(to).event_time }) as Session;
  const sessions = [session("minted", 40, 5), session("named", 100, 80)];
  const [unnamed] = groupBySession([event(6), event(10)]);
  const [named] = groupBySession([event(6, { session_id: "named" })]);
  const [unknown] = groupBySession([event(6, { session_id: "other" })]);
  expect([unnamed, named, unknown].map((group) => summaryOf(group!, sessions)?.id)).toEqual([
    "minted",
    "named",
    undefined,
  ]);
});

const byId = (a: TimelineEvent, b: TimelineEvent) => (a.event_id < b.event_id ? -1 : 1);

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
