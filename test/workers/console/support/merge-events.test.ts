import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyOf } from "../../../../workers/console/support/events.ts";
import { above, below } from "../../../../workers/console/support/merge-events.ts";
import { event } from "./events.ts";

const timeline = Array.from({ length: 30 }, (_, i) => event(i));
const ids = (events: readonly { event_id: string }[]) => events.map(({ event_id }) => event_id);

describe("a live tail", () => {
  it("has every event once and newest first, whatever late events the pages bring, as long as they meet", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(29), { maxLength: 10 }), fc.integer({ min: 1, max: 30 }), (late, size) => {
        const known = timeline.filter((_, i) => !late.includes(i));
        const page = timeline.slice(0, size);
        const newer = above(known, page, size === timeline.length);
        const wanted = timeline.filter((one, i) => !late.includes(i) || page.includes(one));
        expect(ids(newer.events)).toEqual(ids(wanted));
        expect(newer.fresh).toBe(wanted.length - known.length);
      }),
    );
  });

  it("changes nothing where nothing came: the same list, so that nothing is drawn anew", () => {
    expect(above(timeline, timeline.slice(0, 10), false)).toEqual({ events: timeline, fresh: 0, gap: false });
    expect(above(timeline, timeline.slice(0, 10), false).events).toBe(timeline);
  });

  it("says where events may be missing between the page and what is known", () => {
    expect(above(timeline.slice(20), timeline.slice(0, 10), false).gap).toBe(true);
    expect(above(timeline.slice(9), timeline.slice(0, 10), false).gap).toBe(false);
    expect(above([], timeline.slice(0, 10), false).gap).toBe(false);
    expect(above(timeline.slice(20), timeline.slice(0, 10), true).gap).toBe(false);
  });
});

it("an older page goes below, each event once", () => {
  expect(ids(below(timeline.slice(0, 10), timeline.slice(5, 15)))).toEqual(ids(timeline.slice(0, 15)));
  expect(below(timeline, timeline.slice(3))).toBe(timeline);
});

it("one id of two sources is two events", () => {
  expect(keyOf(event(0, { event_id: "a", source: "web" }))).not.toBe(keyOf(event(0, { event_id: "a", source: "app" })));
});
