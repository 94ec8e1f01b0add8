import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { joinSessions, sessionsOf, summarize } from "../../../durable-objects/user-timeline/session-rule.ts";
import { loggedEvents, MINUTE_US, plainEvent, START } from "./events.ts";
import * as reference from "./reference.ts";

const ann = { kind: "user", id: "ann" } as const;

describe("the 30-minute rule", () => {
  it("gives the same sessions for all events at once and for parts of any grouping, joined in any order", () => {
    fc.assert(
      fc.property(loggedEvents, fc.array(fc.nat(4), { minLength: 60, maxLength: 60 }), (events, groupOf) => {
        const groups = Object.values(Object.groupBy(events, (_, index) => groupOf[index]!));
        const joined = joinSessions(groups.flatMap((group) => sessionsOf(group ?? [])));
        expect(joined).toEqual(sessionsOf(events));
        const summaries = joined.map((part) => summarize(ann, part)).reverse();
        expect(summaries.map(({ id: _, ...rest }) => rest)).toEqual(reference.sessions(events));
      }),
    );
  });

  it.each([
    [30 * MINUTE_US - 1, 1],
    [30 * MINUTE_US, 2],
  ])("makes of two events %i microseconds apart %i", (apart, sessions) => {
    const events = [0, apart].map((at) => plainEvent({ event_id: `${at}`, event_time: START + at }));
    expect(sessionsOf(events)).toHaveLength(sessions);
  });

  it("labels a session by its earliest sender's id, and mints one from subject and start where there is none", () => {
    const at = (minutes: number, session_id: string | null) =>
      plainEvent({ event_id: `${minutes}`, event_time: START + minutes * MINUTE_US, session_id });
    const id = (...events: ReturnType<typeof at>[]) => sessionsOf(events).map((part) => summarize(ann, part).id)[0];
    expect(id(at(0, null), at(1, "first"), at(2, "second"))).toBe("first");
    expect(id(at(0, null))).toBe(id(at(0, null), at(1, null)));
    expect(id(at(0, null))).not.toBe(id(at(1, null)));
    const [part] = sessionsOf([at(0, null)]);
    expect(summarize({ kind: "device", id: "ann" }, part!).id).not.toBe(summarize(ann, part!).id);
  });

  it("adds money without loss", () => {
    const events = Array.from({ length: 10 }, (_, i) => plainEvent({ event_id: `${i}`, revenue: 0.1 }));
    expect(summarize(ann, sessionsOf(events)[0]!).revenue).toBe(1);
    const huge = plainEvent({ event_id: "huge", revenue: 1e300 });
    expect(() => sessionsOf([huge, plainEvent({ event_id: "infinite", revenue: Number.MAX_VALUE })])).not.toThrow();
  });
});
