import { evictAllDurableObjects, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { SinkCursor } from "../../../durable-objects/sink-cursor/sink-cursor.ts";
import type { Subject } from "../../../durable-objects/user-timeline/api.ts";
import { readDeviceEvents } from "../../../durable-objects/user-timeline/device-view.ts";
import { generationReader } from "../../../durable-objects/user-timeline/live-generation.ts";
import { timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import type { UserTimeline } from "../../../durable-objects/user-timeline/user-timeline.ts";
import { readUserEvents } from "../../../durable-objects/user-timeline/user-view.ts";
import type { AmendPair } from "../../../queues/sessions/amend.ts";
import { amendTimelines, planAmendments } from "../../../queues/sessions/amend.ts";
import { createSessionsSink } from "../../../queues/sessions/sink.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { SESSIONS } from "../../../r2-layout/limits.ts";
import { plainEvent } from "../../durable-objects/user-timeline/events.ts";
import { Fault } from "../log-rig.ts";

const { SINK_CURSOR: cursors, USER_TIMELINE: timelines } = env as unknown as {
  SINK_CURSOR: DurableObjectNamespace<SinkCursor>;
  USER_TIMELINE: DurableObjectNamespace<UserTimeline>;
};
const identityKey = "test-identity-key";
const deps = { cursors, timelines, identityKey };
const sink = createSessionsSink(deps);

afterEach(() => reset());

const reader = () => ({ timelines, identityKey, generation: generationReader(cursors) });
const idsOf = (page: { events: readonly EventRow[] }) => page.events.map((event) => event.event_id);
const userEvents = async (id: string) => idsOf(await readUserEvents(reader(), id, { limit: 1_000 }));
const deviceEvents = async (id: string) => idsOf(await readDeviceEvents(reader(), id, { limit: 1_000 }));
const timelineOf = (subject: Subject) => timelines.getByName(timelineName(identityKey, subject));
const usersOn = async (id: string) => (await timelineOf({ kind: "device", id }).users()).users.map((user) => user.id);

/** Applies the log on from the cursor up to a seq. */
async function drain(log: readonly EventRow[], to: number, rules = 0): Promise<void> {
  const lease = (await sink.lease(0, "test"))!;
  const { cursor: from, token } = lease;
  const events = log.filter(({ log_seq: seq }) => seq > from && seq <= to);
  const applied = { events: events.length, quarantined: 0 };
  await sink.apply({ shard: 0, token, from, to, completeUntil: 0, events, quarantine: [], applied, rules });
}

const MINUTE_US = 60_000_000;
let n = 0;
const start = Date.now() * 1_000 - 500 * MINUTE_US;
const event = (user_id: string | null, anonymous_id: string | null, more: Partial<EventRow> = {}): EventRow =>
  plainEvent({ event_id: `${n}`, event_time: start + n++ * MINUTE_US, user_id, anonymous_id, ...more });

describe("an app that put the wrong device id on its events", () => {
  it("is corrected: the wrong device and its timeline lose them, the right one gains them, with their users", async () => {
    const mine = event("bob", "wrong");
    const anonymous = [event(null, "wrong"), event(null, "wrong")];
    const signedIn = [event("ann", "wrong", { revenue: 5 }), event("ann", "other")];
    const log = [mine, ...anonymous, ...signedIn];
    await drain(log, 1);
    expect(await usersOn("wrong")).toEqual(["ann", "bob"]);

    const corrected = (row: EventRow) => ({ ...row, anonymous_id: "right" });
    const pairs = [...anonymous, signedIn[0]!].map((before) => ({ before, after: corrected(before) }));
    for (let times = 0; times < 2; times++) {
      expect(await amendTimelines(pairs, 1, deps)).toEqual(
        times === 0
          ? { added: 2, replaced: 1, removed: 2, beyondReach: 0 }
          : { added: 0, replaced: 0, removed: 0, beyondReach: 0 },
      );
      expect(await deviceEvents("wrong")).toEqual([mine.event_id]);
      expect(await deviceEvents("right")).toEqual(pairs.map(({ before }) => before.event_id).reverse());
      expect(await userEvents("ann")).toEqual(signedIn.map((one) => one.event_id).reverse());
      expect(await usersOn("wrong")).toEqual(["bob"]);
      expect(await usersOn("right")).toEqual(["ann"]);
      const { devices } = await timelineOf({ kind: "user", id: "ann" }).profile();
      expect(devices.map(({ anonymous_id }) => anonymous_id)).toEqual(["other", "right"]);
    }
  });
});

const world = fc.array(
  fc.record({
    user: fc.constantFrom(null, "ann", "bob/\u{1F600}"),
    device: fc.constantFrom(null, "d1", "d'2", "ann"),
    log_seq: fc.integer({ min: 1, max: 4 }),
    change: fc.oneof(
      fc.constantFrom("keep" as const, "retract" as const),
      fc.record({ user_id: fc.constantFrom(null, "ann", "eve"), anonymous_id: fc.constantFrom(null, "d1", "d3") }),
      fc.constant({ country: "AT" }),
    ),
  }),
  { minLength: 1, maxLength: 16 },
);

describe("promise 4: a correction of many timelines", () => {
  it("leaves what the corrected log makes, whichever came first, sink or correction, whatever failed, and in any split", async () => {
    const faults = fc.array(
      fc.record({
        call: fc.integer({ min: 1, max: 8 }),
        when: fc.constantFrom("before", "after"),
        evict: fc.boolean(),
      } as const),
      { maxLength: 3 },
    );
    let fired = 0;
    await fc.assert(
      fc.asyncProperty(world, fc.nat(4), fc.integer({ min: 1, max: 9 }), faults, async (some, drained, size, plan) => {
        const rows = some.map(({ user, device, log_seq }) => event(user, device, { log_seq }));
        const pairs = some.flatMap(({ change }, at): AmendPair[] => {
          if (change === "keep") return [];
          return [{ before: rows[at]!, after: change === "retract" ? null : { ...rows[at]!, ...change } }];
        });
        const fates = new Map<EventRow, EventRow | null>(pairs.map(({ before, after }) => [before, after]));
        const correctedRows = rows.flatMap((row) => (fates.has(row) ? (fates.get(row) ?? []) : row));
        if (drained > 0) await drain(rows, drained);

        for (const { call, when, evict } of plan) {
          const fault = new Fault(call, when);
          const flaky: ObjectNamespace<Pick<UserTimeline, "amend">> = {
            getByName: (name) => ({ amend: (amend) => fault.around(() => timelines.getByName(name).amend(amend)) }),
          };
          await amendTimelines(pairs, 1, { ...deps, timelines: flaky }).catch(() => {});
          if (fault.fired) fired++;
          if (evict) await evictAllDurableObjects();
        }
        for (let at = 0; at < pairs.length; at += size) await amendTimelines(pairs.slice(at, at + size), 1, deps);
        await drain(correctedRows, 4, 1);
        await amendTimelines(pairs.slice(0, size), 1, deps);

        const newest = (matches: (one: EventRow) => boolean) =>
          correctedRows.filter(matches).sort((a, b) => b.event_time - a.event_time);
        for (const id of ["ann", "bob/\u{1F600}", "eve"]) {
          const expected = newest((one) => one.user_id === id);
          expect(await userEvents(id)).toEqual(expected.map((one) => one.event_id));
          const profile = await timelineOf({ kind: "user", id }).profile();
          expect(profile.events).toBe(expected.length);
          expect(profile.last_values.country?.value).toBe(expected.find((one) => one.country)?.country ?? undefined);
        }
        for (const id of ["d1", "d'2", "d3", "ann"]) {
          const expected = newest((one) => one.anonymous_id === id);
          expect(await deviceEvents(id)).toEqual(expected.map((one) => one.event_id));
          expect((await timelineOf({ kind: "device", id }).profile()).events).toBe(
            expected.filter((one) => !one.user_id).length,
          );
          const users = new Set(expected.flatMap(({ user_id: user }) => user ?? []));
          expect(new Set(await usersOn(id))).toEqual(users);
        }
        await reset();
      }),
      {
        numRuns: 10,
        // The example's fault is sure to fire: drawn ones may all miss.
        examples: [
          [
            [{ user: "ann", device: "d1", log_seq: 1, change: { user_id: "eve", anonymous_id: "d3" } }],
            1,
            1,
            [{ call: 2, when: "after", evict: true }],
          ],
        ],
      },
    );
    expect(fired).toBeGreaterThan(0);
  });

  it("is not undone by a drain that read the log before the rule was raised: its append is refused", async () => {
    const row = event("ann", "wrong");
    await amendTimelines([{ before: row, after: { ...row, anonymous_id: "right" } }], 1, deps);
    const failure = await drain([row], 1).then(() => "applied", String);
    expect(failure).toContain("rules:");
    await drain([{ ...row, anonymous_id: "right" }], 1, 1);
    expect(await userEvents("ann")).toEqual([row.event_id]);
    expect(await deviceEvents("wrong")).toEqual([]);
    expect(await deviceEvents("right")).toEqual([row.event_id]);
  });

  it("keeps the user on a device that a crash has told nothing, where other events of theirs stay there", async () => {
    const [wrong, stays] = [event("ann", "d1"), event("ann", "d1", { log_seq: 2 })];
    const cutOff = createSessionsSink({
      ...deps,
      timelines: {
        getByName: (name) => ({
          append: async (append) => {
            if (append.subject.kind === "device") throw new Error("injected");
            return timelines.getByName(name).append(append);
          },
          amend: async (amend) => timelines.getByName(name).amend(amend),
        }),
      },
    });
    const { token } = (await sink.lease(0, "test"))!;
    const step = { shard: 0, token, from: 0, to: 1, completeUntil: 0, quarantine: [] };
    const applied = { events: 1, quarantined: 0 };
    await expect(cutOff.apply({ ...step, events: [wrong], applied })).rejects.toThrow("injected");
    // The step comes again, through a rule that gives its event to another: it names the device for that one alone.
    const right = { ...wrong, user_id: "eve" };
    await drain([right, stays], 2, 1);
    await amendTimelines([{ before: wrong, after: right }], 1, deps);
    expect(await userEvents("ann")).toEqual([stays.event_id]);
    expect(new Set(await usersOn("d1"))).toEqual(new Set(["ann", "eve"]));
    expect(await deviceEvents("d1")).toEqual([stays.event_id, right.event_id]);
  });

  it("amends the others where one timeline refuses, and says so", async () => {
    const rows = ["ann", "bob", "eve"].map((user) => event(user, null));
    await drain(rows, 1);
    await runInDurableObject(timelineOf({ kind: "user", id: "bob" }), (object) =>
      object.amend({ subject: { kind: "user", id: "bob" }, rules: 9, remove: [], put: [] }),
    );
    const pairs = rows.map((before) => ({ before, after: null }));
    await expect(amendTimelines(pairs, 1, deps)).rejects.toThrow(/rules:/);
    expect(await userEvents("ann")).toEqual([]);
    expect(await userEvents("eve")).toEqual([]);
    expect(await userEvents("bob")).toHaveLength(1);
  });

  it("promise 9: takes a bounded number of events, and begins nothing that its invocation cannot end", async () => {
    const rows = Array.from({ length: 3 }, (_, i) => event(`user-${i}`, `device-${i}`));
    await drain(rows, 1);
    const pairs = rows.map((before) => ({
      before,
      after: { ...before, user_id: `${before.user_id}!`, anonymous_id: "x" },
    }));
    const calls = { left: 10 };
    expect(await amendTimelines(pairs, 1, { ...deps, calls })).toBe("more");
    expect(calls.left).toBe(10);
    calls.left = 11;
    expect(await amendTimelines(pairs, 1, { ...deps, calls })).toMatchObject({ added: 3, removed: 3 });
    expect(calls.left).toBe(0);
    const tooMany = new Array<AmendPair>(SESSIONS.amendPairs + 1).fill(pairs[0]!);
    await expect(amendTimelines(tooMany, 1, deps)).rejects.toThrow(RangeError);
    expect(await amendTimelines(tooMany.slice(1), 1, deps)).toMatchObject({ added: 0, removed: 0 });
  });
});

describe("the plan of a correction", () => {
  it("names nobody for an event without identity, before or after", () => {
    const row = event(null, null);
    const { users, devices } = planAmendments([{ before: row, after: { ...row, country: "AT" } }]);
    expect([users.size, devices.size]).toEqual([0, 0]);
  });
});
