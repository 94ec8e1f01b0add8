import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ActiveDays } from "../../../durable-objects/user-timeline/active-days.ts";
import { BoundedCounts, compareNames, OTHER } from "../../../durable-objects/user-timeline/bounded-counts.ts";
import { KnownDevices } from "../../../durable-objects/user-timeline/known-devices.ts";
import { KnownUsers } from "../../../durable-objects/user-timeline/known-users.ts";
import { LastValues } from "../../../durable-objects/user-timeline/last-values.ts";
import type { EncodedState } from "../../../durable-objects/user-timeline/subject-state.ts";
import { SubjectState } from "../../../durable-objects/user-timeline/subject-state.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { DAY_MS, TIMELINE } from "../../../r2-layout/limits.ts";
import { loggedEvents, plainEvent, START } from "./events.ts";

/** A list and the same in another order. */
const shuffled = <T>(items: fc.Arbitrary<T[]>) =>
  items.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));

describe("what is known of a subject", () => {
  it("does not depend on the order of its events, nor on being written and read between", () => {
    fc.assert(
      fc.property(shuffled(loggedEvents), ([events, others]) => {
        const fold = (some: EventRow[]) => {
          let state = new SubjectState({ kind: "user", id: "ann" });
          for (const event of some) {
            state.fold(event, 0);
            state = new SubjectState(state.subject, JSON.parse(JSON.stringify(state.encode())) as EncodedState);
          }
          return state.profile();
        };
        expect(fold(others)).toEqual(fold(events));
      }),
      { numRuns: 50 },
    );
  });
});

describe("promise 9: beyond its limit, a subject", () => {
  const names = fc.array(fc.string({ minLength: 1, maxLength: 3, unit: fc.constantFrom("a", "b", "c", "\u{1F600}") }), {
    maxLength: 60,
  });

  it("counts the shortest names exactly and the rest together, in any order", () => {
    fc.assert(
      fc.property(shuffled(names), fc.integer({ min: 1, max: 5 }), ([some, others], capacity) => {
        const count = (list: string[]) => {
          let counts = new BoundedCounts(capacity);
          for (const name of list) {
            counts.add(name, 1n);
            counts = new BoundedCounts(capacity, counts.encode());
          }
          return counts.entries();
        };
        const counted = new Map(count(some));
        expect(count(others)).toEqual(count(some));
        const kept = [...new Set(some)].sort(compareNames).slice(0, capacity);
        for (const name of kept) expect(counted.get(name)).toBe(BigInt(some.filter((one) => one === name).length));
        const rest = some.filter((name) => !kept.includes(name)).length;
        expect(counted.get(OTHER) ?? 0n).toBe(BigInt(rest));
      }),
    );
  });

  it("adds a sender's own `(other)` to the rest", () => {
    const counts = new BoundedCounts(2);
    for (const name of [OTHER, OTHER, "a", "a long name that is cut"]) counts.add(name, 1n);
    expect(counts.entries()).toEqual([
      ["a", 1n],
      [OTHER, 3n],
    ]);
  });

  const seen = shuffled(fc.array(fc.record({ id: fc.nat(90), at: fc.nat(500) }), { minLength: 100, maxLength: 300 }));

  it("knows the devices seen last, in any order", () => {
    fc.assert(
      fc.property(seen, ([some, others]) => {
        const fold = (list: typeof some) => {
          const devices = new KnownDevices();
          for (const { id, at } of list) {
            const event = plainEvent({ event_id: "", event_time: at, device_type: `type of ${id}` });
            devices.fold(`device ${id}`, event, 0);
          }
          return devices.list();
        };
        const newest = [...Map.groupBy(some, ({ id }) => id)]
          .map(([id, list]) => ({ anonymous_id: `device ${id}`, last_seen: Math.max(...list.map(({ at }) => at)) }))
          .sort((a, b) => b.last_seen - a.last_seen || (a.anonymous_id < b.anonymous_id ? -1 : 1))
          .slice(0, TIMELINE.devicesPerUser);
        expect(fold(some)).toMatchObject(newest);
        expect(fold(some)).toHaveLength(newest.length);
        expect(fold(others)).toEqual(fold(some));
      }),
      { numRuns: 50 },
    );
  });

  it("knows, as a device, the users seen last, and says when there were more", () => {
    fc.assert(
      fc.property(seen, ([some, others]) => {
        const fold = (list: typeof some) => {
          const users = new KnownUsers();
          for (const { id, at } of list) {
            users.fold({ id: `user ${id}`, lastSeen: at });
            if (users.fold({ id: `user ${id}`, lastSeen: at - 1 })) throw new Error("an older time changed something");
          }
          return users.list();
        };
        expect(fold(others)).toEqual(fold(some));
        expect(fold(some).cut).toBe(new Set(some.map(({ id }) => id)).size > TIMELINE.usersPerDevice);
        expect(fold(some).users.length).toBeLessThanOrEqual(TIMELINE.usersPerDevice);
      }),
      { numRuns: 50 },
    );
  });
});

describe("a last value", () => {
  const identify = (at: number, properties: Record<string, string>) =>
    plainEvent({ event_id: `${at}`, event_type: "identify", event_time: at, properties });

  it("promise 8: is the newest by event_time: neither an older one that comes late nor none overwrites it", () => {
    const values = new LastValues();
    values.fold(plainEvent({ event_id: "1", event_time: 20, country: "DE" }));
    values.fold(plainEvent({ event_id: "2", event_time: 10, country: "FR" }));
    values.fold(plainEvent({ event_id: "3", event_time: 30, country: null }));
    values.fold(identify(5, { country: "not the column" }));
    expect(values.entries()).toEqual([
      ["country", { value: "DE", at: 20 }],
      ["traits.country", { value: "not the column", at: 5 }],
    ]);
  });

  it("is taken from traits of identify and the group's id, not from properties of other events", () => {
    const values = new LastValues();
    values.fold({ ...identify(1, { plan: "pro" }), event_type: "track" });
    values.fold({ ...identify(2, { group_id: "acme", name: "Acme" }), event_type: "group" });
    expect(values.entries()).toEqual([["traits.group_id", { value: "acme", at: 2 }]]);
  });

  it("promise 9: is cut, never within a character that takes two units", () => {
    const values = new LastValues();
    values.fold(identify(1, { x: `${"x".repeat(TIMELINE.valueChars - 1)}\u{1F600}` }));
    const value = values.entries()[0]![1].value;
    expect(value).toHaveLength(TIMELINE.valueChars);
    expect(value.isWellFormed()).toBe(true);
  });
});

describe("active days", () => {
  it("come back from their bitmap, in order, once each", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3_000)), (days) => {
        const active = new ActiveDays();
        for (const day of days) active.add(START + day * DAY_MS * 1_000);
        const expected = [...new Set(days)]
          .sort((a, b) => a - b)
          .map((day) => new Date(START / 1_000 + day * DAY_MS).toISOString().slice(0, 10));
        expect(ActiveDays.decode(active.encode()).list()).toEqual(expected);
      }),
    );
  });

  it("of two years are less than 150 characters, and times that no clock shows are none", () => {
    const active = new ActiveDays();
    for (let day = 0; day < 730; day++) active.add(START + day * DAY_MS * 1_000);
    expect(JSON.stringify(active.encode()).length).toBeLessThan(150);
    const none = new ActiveDays();
    none.add(-1);
    none.add(Number.MAX_SAFE_INTEGER);
    none.add(Number.NaN);
    expect(none.list()).toEqual([]);
  });
});
