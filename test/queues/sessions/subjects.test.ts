import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boundedParallel } from "../../../queues/sessions/bounded-parallel.ts";
import {
  callsNeeded,
  groupBySubject,
  lastSeenOn,
  PARTS,
  partOf,
  subjectOf,
} from "../../../queues/sessions/subjects.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { plainEvent, START } from "../../durable-objects/user-timeline/events.ts";

const id = fc.constantFrom(undefined, null, "", "same", "b/\u{1F600}");
const events = fc
  .array(fc.record({ user_id: id, anonymous_id: id }))
  .map((list) => list.map((one, i) => plainEvent({ event_id: `${i}`, ...one })));

describe("a step's events", () => {
  it("go to their user, else to their device, in log order; those that name neither go to nobody", () => {
    fc.assert(
      fc.property(events, (list) => {
        const { users, devices } = groupBySubject(list);
        for (const [user, some] of users) expect(some).toEqual(list.filter((event) => event.user_id === user));
        for (const [device, some] of devices) {
          expect(some).toEqual(list.filter((event) => !event.user_id && event.anonymous_id === device));
        }
        const placed = [...users.values(), ...devices.values()].reduce((sum, some) => sum + some.length, 0);
        expect(placed).toBe(list.filter((event) => event.user_id || event.anonymous_id).length);
      }),
    );
  });

  it("never need more than two calls each, and one for each subject", () => {
    fc.assert(
      fc.property(events, (list) => {
        const groups = groupBySubject(list);
        const needed = callsNeeded(groups);
        expect(needed).toBeLessThanOrEqual(2 * list.length);
        expect(needed).toBeGreaterThanOrEqual(groups.users.size + groups.devices.size);
      }),
    );
  });

  it("tell when a user was last on a device, for the devices asked for", () => {
    const on = (anonymous_id: string, at: number): EventRow =>
      plainEvent({ event_id: `${at}`, anonymous_id, event_time: START + at });
    expect(lastSeenOn(["a", "b"], [on("a", 2), on("a", 1), on("b", 5), on("c", 9)])).toEqual(
      new Map([
        ["a", START + 2],
        ["b", START + 5],
      ]),
    );
  });

  it("fall into parts that depend on the subject alone, and are of about one size", () => {
    const sizes = new Array<number>(PARTS).fill(0);
    for (let i = 0; i < 64_000; i++) sizes[partOf({ kind: "user", id: `user-${i}` })]!++;
    expect(Math.min(...sizes)).toBeGreaterThan(700);
    expect(Math.max(...sizes)).toBeLessThan(1_300);
    expect(subjectOf(plainEvent({ event_id: "1", user_id: "u", anonymous_id: "d" }))).toEqual({
      kind: "user",
      id: "u",
    });
  });
});

describe("bounded parallel work", () => {
  it("never has more under way than allowed, and does everything once", async () => {
    let underWay = 0;
    let most = 0;
    const done: number[] = [];
    await boundedParallel([...Array(50).keys()], 7, async (item) => {
      most = Math.max(most, ++underWay);
      await Promise.resolve();
      underWay--;
      done.push(item);
    });
    expect(most).toBe(7);
    expect(done.sort((a, b) => a - b)).toEqual([...Array(50).keys()]);
  });

  it("starts nothing after a failure, and is over only when nothing runs any more", async () => {
    let started = 0;
    let ended = 0;
    const work = boundedParallel([...Array(50).keys()], 4, async (item) => {
      started++;
      await new Promise((resolve) => setTimeout(resolve, item === 0 ? 0 : 5));
      ended++;
      if (item === 0) throw new Error("injected");
    });
    await expect(work).rejects.toThrow("injected");
    expect(ended).toBe(started);
    expect(started).toBeLessThan(10);
  });
});
