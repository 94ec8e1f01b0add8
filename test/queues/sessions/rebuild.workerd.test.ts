import { evictAllDurableObjects, reset } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { placeOf } from "../../../durable-objects/user-timeline/exchange.ts";
import { generationReader } from "../../../durable-objects/user-timeline/live-generation.ts";
import { readUserEvents } from "../../../durable-objects/user-timeline/user-view.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { TIMELINE } from "../../../r2-layout/limits.ts";
import { bindings } from "../../bindings.ts";
import { Fault } from "../log-rig.ts";
import {
  buildAll,
  cursorOf,
  cursors,
  drain,
  faulty,
  identityKey,
  jobOf,
  liveGeneration,
  TestLog,
  target,
  timelineOf,
  timelines,
  untilDone,
  viewsOf,
} from "./rebuild-rig.ts";

afterEach(() => reset());

const USERS = ["ann", "bob/\u{1F600}"];
const DEVICES = ["d1", "d'2"];

const segment = fc.record({
  shard: fc.nat(1),
  rows: fc.array(
    fc.record({
      user_id: fc.constantFrom(null, ...USERS),
      anonymous_id: fc.constantFrom(null, ...DEVICES),
      country: fc.constantFrom("DE", "FR"),
    }),
    { maxLength: 4 },
  ),
});
const commit = async (log: TestLog, segments: readonly { shard: number; rows: readonly Partial<EventRow>[] }[]) => {
  for (const { shard, rows } of segments) await log.commit(shard, rows);
};

/** What the ledger asks of a cursor. */
async function expectBalanced(log: TestLog): Promise<void> {
  for (const shard of log.heads.keys()) {
    const { cursor, applied } = await cursorOf(shard).status();
    expect(applied.events).toBe(log.read(shard, 0, cursor).length);
  }
}
const livePlaces = () => Promise.all([0, 1].map(async (shard) => (await cursorOf(shard).status()).cursor));
const listsLeft = async () => (await bindings.BUCKET.list({ prefix: "jobs/" })).objects.length;

describe("promise 4: timelines that are built anew", () => {
  it("answer as before, through crashes anywhere, beside live drains; are swapped in whole, taken back, swapped for good", async () => {
    const log = fc.array(segment, { minLength: 1, maxLength: 5 });
    const faults = fc.array(
      fc.record({
        phase: fc.constantFrom("build", "swap", "end"),
        of: fc.constantFrom("timelines", "cursors"),
        call: fc.integer({ min: 1, max: 12 }),
        when: fc.constantFrom("before", "after"),
        evict: fc.boolean(),
      } as const),
      { maxLength: 3 },
    );
    let fired = 0;
    await fc.assert(
      fc.asyncProperty(log, log, faults, fc.constantFrom("confirm", "revert"), async (first, second, plan, end) => {
        await reset();
        const log = new TestLog(2);
        await commit(log, first);
        for (const shard of [0, 1]) await drain(log, shard);
        const job = jobOf("job", log);
        const withFaults = async (phase: string, work: (make: () => ReturnType<typeof target>) => Promise<unknown>) => {
          for (const { of, call, when, evict } of plan.filter((one) => one.phase === phase)) {
            const fault = new Fault(call, when);
            const flaky =
              of === "timelines" ? { timelines: faulty(timelines, fault) } : { cursors: faulty(cursors, fault) };
            await work(() => target(log, flaky as never)).catch((error) => expect(String(error)).toContain("injected"));
            if (fault.fired) fired++;
            if (evict) await evictAllDurableObjects();
          }
          await work(() => target(log));
        };

        await withFaults("build", (make) => buildAll(job, log, make));
        await commit(log, second);
        await drain(log, 0);
        await withFaults("build", (make) => buildAll(job, log, make));
        expect(await target(log).compare(job)).toMatchObject({ identical: true, differences: [] });
        expect(await liveGeneration()).toBe(0);

        await withFaults("swap", (make) => untilDone(() => make().swap(job)));
        expect(await liveGeneration()).toBe(1);
        expect(log.turned).toEqual(await livePlaces());
        await expectBalanced(log);
        for (const shard of [0, 1]) await drain(log, shard);
        await expectBalanced(log);
        const built = await viewsOf(USERS, DEVICES, 1);

        await withFaults("end", (make) => untilDone<unknown>(() => make()[end](job)));
        const [live, gone] = end === "confirm" ? [1, 0] : [0, 1];
        expect(await liveGeneration()).toBe(live);
        if (end === "revert") expect(log.turned).toEqual(await livePlaces());
        for (const shard of [0, 1]) await drain(log, shard);
        await expectBalanced(log);
        expect(await viewsOf(USERS, DEVICES, live)).toEqual(built);
        const nothing = await viewsOf(["nobody", "nobody"], ["none", "none"], gone);
        expect(await viewsOf(USERS, DEVICES, gone)).toEqual(nothing);
        expect(await listsLeft()).toBe(0);
      }),
      {
        numRuns: 4,
        endOnFailure: true,
        // The example's faults are sure to fire: drawn ones may all miss.
        examples: [
          [
            [{ shard: 0, rows: [{ user_id: "ann", anonymous_id: "d1", country: "DE" }] }],
            [{ shard: 1, rows: [{ user_id: null, anonymous_id: "d1", country: "FR" }] }],
            [
              { phase: "build", of: "timelines", call: 2, when: "after", evict: true },
              { phase: "swap", of: "cursors", call: 6, when: "after", evict: true },
              { phase: "end", of: "timelines", call: 1, when: "before", evict: false },
            ],
            "confirm",
          ],
        ],
      },
    );
    expect(fired).toBeGreaterThanOrEqual(3);
  }, 60_000);

  it("are seen by readers within the time that an isolate believes what it saw", async () => {
    const log = new TestLog(1);
    await log.commit(0, [{ user_id: "ann" }]);
    await drain(log, 0);
    const job = jobOf("job", log);
    await buildAll(job, log, () => target(log));
    let now = 0;
    const reader = { timelines, identityKey, generation: generationReader(cursors, () => now) };
    const read = async () => (await readUserEvents(reader, "ann", { limit: 9 })).events.length;
    expect(await read()).toBe(1);
    await timelineOf({ kind: "user", id: "ann" }).erase();
    await target(log).swap(job);
    expect(await read()).toBe(0);
    now = TIMELINE.generationSeenMs;
    expect(await read()).toBe(1);
    // What is confirmed at once is not erased before all of them have seen it.
    expect(await target(log, { now: Date.now }).confirm(job)).toBe("more");
  });

  it("are compared with the live ones, and what differs is named", async () => {
    const log = new TestLog(1);
    await log.commit(0, [{ user_id: "ann" }, { user_id: "bob" }, { anonymous_id: "d1" }]);
    await drain(log, 0);
    const job = jobOf("job", log);
    await buildAll(job, log, () => target(log));
    expect(await target(log).compare(job)).toEqual({ identical: true, before: 3, after: 3, differences: [] });
    const [row] = log.rows;
    const wrong = { ...row!, country: "XX" };
    const amend = { subject: { kind: "user", id: "ann" } as const, rules: 0, remove: [], put: [wrong] };
    await timelineOf(amend.subject).amend(amend);
    await timelineOf({ kind: "user", id: "bob" }).erase();
    const { identical, before, after, differences } = await target(log).compare(job);
    expect([identical, before, after]).toEqual([false, 2, 3]);
    expect(differences).toHaveLength(2);
    expect(differences.join()).toMatch(/1 events, not the same/);
    expect(differences.join()).toMatch(/0 events live, 1 built/);
  });

  it("are let go before their swap: nothing of them is left, and a step that comes late writes nothing", async () => {
    const log = new TestLog(1);
    await log.commit(0, [{ user_id: "ann", anonymous_id: "d1" }]);
    await drain(log, 0);
    const job = jobOf("job", log);
    await buildAll(job, log, () => target(log));
    expect((await timelineOf({ kind: "user", id: "ann" }, 1).profile()).events).toBe(1);
    expect(await target(log).discard(job)).toBe("done");
    expect(await target(log).discard(job)).toBe("done");
    const step = { shard: 0, step: 1, from: 0, to: 1, rules: 0, events: log.rows, quarantine: [] };
    expect(await target(log).add(job, step)).toBeUndefined();
    expect(await target(log).plan(job)).toEqual([]);
    expect((await timelineOf({ kind: "user", id: "ann" }, 1).profile()).events).toBe(0);
    expect(await timelineOf({ kind: "device", id: "d1" }, 1).users()).toEqual({ users: [], cut: false });
    expect(await listsLeft()).toBe(0);
    // A job that never built anything has nothing to let go.
    expect(await target(log).discard(jobOf("other", log))).toBe("done");
    // The next build has names of its own.
    await buildAll(jobOf("next", log), log, () => target(log));
    expect((await timelineOf({ kind: "user", id: "ann" }, 2).profile()).events).toBe(1);
  });

  it("are not swapped in once the live sink has left out what they have", async () => {
    const log = new TestLog(1);
    await log.commit(0, [{ user_id: "ann" }]);
    await log.commit(0, [{ user_id: "ann" }]);
    await drain(log, 0, 1);
    const job = jobOf("job", log);
    await buildAll(job, log, () => target(log));
    const cursor = cursorOf(0);
    const { token } = (await cursor.lease("a", 60_000))!;
    const hole = {
      seq: 2,
      lines: "all",
      of: 1,
      events: 1,
      quarantined: 0,
      cause: "step_refused",
      detail: "",
      key: "",
    } as const;
    await cursor.decide(0, token, 1, hole);
    await cursor.advance(token, 1, 2, { events: 0, quarantined: 0 });
    await expect(target(log).swap(job)).rejects.toThrow(/holes:/);
    expect(await liveGeneration()).toBe(0);
    expect((await cursor.status()).generation).toBeUndefined();
  });

  it.each([
    ["in all shards", 2],
    ["in one shard, and the other has gone back", 1],
  ])("that can no longer be taken back %s stay as they were built, once they are abandoned", async (_, holes) => {
    const log = new TestLog(2);
    for (const shard of [0, 1]) await log.commit(shard, [{ user_id: "ann" }]);
    for (const shard of [0, 1]) await drain(log, shard);
    const job = jobOf("job", log);
    await buildAll(job, log, () => target(log));
    for (const shard of [0, 1]) await log.commit(shard, [{ user_id: "ann" }]);
    for (const shard of [0, 1]) await drain(log, shard);
    // The live sinks are ahead of the build, and pass in it over what they have passed before.
    await target(log).swap(job);
    for (let shard = 0; shard < holes; shard++) {
      const cursor = cursorOf(shard);
      const { token } = (await cursor.lease("sink", 1_000))!;
      const counts = { events: 1, quarantined: 0 };
      const hole = { seq: 2, lines: "all", of: 1, ...counts, cause: "step_refused", detail: "", key: "" } as const;
      await cursor.decide(shard, token, 1, hole);
      await cursor.advance(token, 1, 2, { events: 0, quarantined: 0 });
      await cursor.release(token);
    }
    await expect(untilDone(() => target(log).revert(job))).rejects.toThrow(/holes:/);
    expect(await untilDone(() => target(log).abandon(job))).toBe("built");
    expect(await liveGeneration()).toBe(1);
    for (const shard of [0, 1]) {
      await drain(log, shard);
      expect(await cursorOf(shard).status()).toMatchObject({ generation: 1, cursor: 2 });
    }
    expect((await timelineOf({ kind: "user", id: "ann" }, 1).profile()).events).toBe(4 - holes);
    expect((await timelineOf({ kind: "user", id: "ann" }).profile()).events).toBe(0);
    expect(await listsLeft()).toBe(0);
  });

  it("take the events of a shard that a split made after their swap", async () => {
    const log = new TestLog(2);
    await log.commit(0, [{ user_id: "ann" }]);
    await drain(log, 0);
    const job = jobOf("job", log, { shards: 1 });
    await buildAll(job, log, () => target(log));
    await target(log).swap(job);
    await log.commit(1, [{ user_id: "ann" }]);
    await drain(log, 1);
    expect((await timelineOf({ kind: "user", id: "ann" }, 1).profile()).events).toBe(2);
    expect((await cursorOf(1).status()).generation).toBe(1);
  });

  it("promise 9: are added in as many invocations as their subjects need, and erased so", async () => {
    const log = new TestLog(1);
    await log.commit(
      0,
      Array.from({ length: 8 }, (_, i) => ({ user_id: `user-${i}`, anonymous_id: `device-${i}` })),
    );
    await drain(log, 0);
    const job = jobOf("job", log);
    const small = () => target(log, { calls: { left: 11 }, callsPerInvocation: 7 });
    const [read] = await target(log).plan(job);
    const step = { shard: 0, step: 1, from: 0, to: read!.to, rules: 0, events: log.rows, quarantine: [] };
    let invocations = 0;
    await untilDone(() => {
      invocations++;
      return small().add(job, step);
    });
    expect(invocations).toBeGreaterThan(1);
    expect(await target(log).compare(job)).toMatchObject({ identical: true, after: 8 });
    expect(await small().discard(job)).toBe("more");
    expect(await target(log).discard(job)).toBe("done");
    expect((await timelineOf({ kind: "user", id: "user-7" }, 1).profile()).events).toBe(0);
  });
});

describe("a fill", () => {
  it("puts what the timelines lack, says how much that was, and leaves to the live sink what is its own", async () => {
    const log = new TestLog(1);
    await log.commit(0, [{ user_id: "ann", anonymous_id: "d1" }, { user_id: "ann" }, { anonymous_id: "d1" }]);
    await log.commit(0, [{ user_id: "bob", anonymous_id: "d1" }]);
    await log.commit(0, [{ user_id: "ann" }]);
    await drain(log, 0, 2);
    const before = await viewsOf(["ann", "bob"], ["d1"], 0);
    const fill = () =>
      target(log).fill(jobOf("job", log), {
        ...{ shard: 0, step: 1, from: 0, to: 3, rules: 5, events: log.rows, quarantine: [] },
      });
    expect(await fill()).toBe(0);
    expect(await viewsOf(["ann", "bob"], ["d1"], 0)).toEqual(before);
    const [first] = log.rows;
    const { log_shard: shard, log_seq: seq, source, event_id, event_time } = first!;
    const place = { shard, seq, source, event_id, event_time };
    await timelineOf({ kind: "user", id: "ann" }).amend({
      ...{ subject: { kind: "user", id: "ann" }, rules: 0, remove: [place], put: [] },
    });
    await timelineOf({ kind: "device", id: "d1" }).erase();
    expect(await fill()).toBe(2);
    expect(await viewsOf(["ann", "bob"], ["d1"], 0)).toEqual(before);
    expect(await fill()).toBe(0);
    // It has not kept the rule version in mind: the sink goes on with its own.
    await drain(log, 0);
    expect((await timelineOf({ kind: "user", id: "ann" }).profile()).events).toBe(3);
  });

  it("promise 9: of a segment with more subjects than an invocation has calls goes on in others, and counts them all", async () => {
    const log = new TestLog(1);
    const rows = Array.from({ length: 8 }, (_, i) => ({ user_id: `user-${i}`, anonymous_id: `device-${i}` }));
    await log.commit(0, rows);
    await log.commit(0, rows);
    await drain(log, 0);
    for (let i = 0; i < 8; i += 2) await timelineOf({ kind: "user", id: `user-${i}` }).erase();
    for (const [seq, missing] of [
      [1, 4],
      [2, 4],
      [2, 0],
    ] as const) {
      const events = log.read(0, seq - 1, seq);
      const step = { shard: 0, step: seq, from: seq - 1, to: seq, rules: 0, events, quarantine: [] };
      let invocations = 0;
      const filled = await untilDone(() => {
        invocations++;
        return target(log, { calls: { left: 11 }, callsPerInvocation: 7 }).fill(jobOf("job", log), step);
      });
      expect(filled).toBe(missing);
      if (missing > 0) expect(invocations).toBeGreaterThan(1);
    }
    expect(await timelineOf({ kind: "user", id: "user-4" }).profile()).toMatchObject({ events: 2 });
  });
});

describe("promise 4: a window that is built anew", () => {
  const damaged = { country: "XX", event_name: "wrong" };

  /** Four segments of two users and a device; what the sink wrote of the middle two is wrong, and some of it missing. */
  async function wrongWindow() {
    await reset();
    const log = new TestLog(1);
    for (let seq = 1; seq <= 4; seq++) {
      await log.commit(0, [
        { user_id: "ann", anonymous_id: "d1" },
        { user_id: "bob/\u{1F600}", anonymous_id: "d'2" },
        { anonymous_id: "d1" },
      ]);
    }
    await drain(log, 0);
    const right = await viewsOf(USERS, DEVICES, 0);
    for (const row of log.rows) {
      const inWindow = row.log_seq === 2 || row.log_seq === 3;
      const subject = row.user_id
        ? ({ kind: "user", id: row.user_id } as const)
        : ({ kind: "device", id: row.anonymous_id! } as const);
      if (!inWindow) continue;
      const gone = row.log_seq === 3 && row.user_id === "ann";
      const stray = { ...row, event_id: `${row.event_id} stray` };
      await timelineOf(subject).amend({
        ...{ subject, rules: 0, remove: gone ? [placeOf(row)] : [] },
        put: gone ? [] : [{ ...row, ...damaged }, stray],
      });
    }
    return { log, right, wrong: await viewsOf(USERS, DEVICES, 0) };
  }

  it("becomes what the log says within its range, through crashes anywhere; what it was comes back or goes for good", async () => {
    const fault = fc.record({
      phase: fc.constantFrom("build", "swap", "end"),
      call: fc.integer({ min: 1, max: 6 }),
      when: fc.constantFrom("before", "after"),
    } as const);
    let fired = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fault, { maxLength: 3 }),
        fc.constantFrom("confirm", "revert", "discard"),
        async (faults, end) => {
          const { log, right, wrong } = await wrongWindow();
          expect(wrong).not.toEqual(right);
          const job = jobOf(`window-${fired}`, log, { range: { shard: 0, from: 2, to: 3 } });
          const withFaults = async (
            phase: string,
            work: (make: () => ReturnType<typeof target>) => Promise<unknown>,
          ) => {
            for (const { call, when } of faults.filter((one) => one.phase === phase)) {
              const fault = new Fault(call, when);
              const flaky = { timelines: faulty(timelines, fault) } as never;
              await work(() => target(log, flaky)).catch((error) => expect(String(error)).toContain("injected"));
              if (fault.fired) fired++;
            }
            await work(() => target(log));
          };
          await withFaults("build", (make) => buildAll(job, log, make, 1));
          expect(await viewsOf(USERS, DEVICES, 0)).toEqual(wrong);
          const { identical, before, after, differences } = await target(log).compare(job);
          expect([identical, before, after]).toEqual([false, 10, 6]);
          expect(differences).toEqual(["16 events are not the same, or only in one of the two"]);

          if (end !== "discard") {
            await withFaults("swap", (make) => untilDone(() => make().swap(job)));
            expect(await viewsOf(USERS, DEVICES, 0)).toEqual(right);
          }
          await withFaults("end", (make) => untilDone<unknown>(() => make()[end](job)));
          expect(await viewsOf(USERS, DEVICES, 0)).toEqual(end === "confirm" ? right : wrong);
          expect(await listsLeft()).toBe(0);
          await log.commit(0, [{ user_id: "ann" }]);
          await drain(log, 0);
          expect(await liveGeneration()).toBe(0);
        },
      ),
      {
        numRuns: 4,
        endOnFailure: true,
        // The examples' faults are sure to fire: drawn ones may all miss.
        examples: [
          [
            [
              { phase: "build", call: 2, when: "after" },
              { phase: "swap", call: 1, when: "after" },
              { phase: "end", call: 2, when: "after" },
            ],
            "confirm",
          ],
          [[{ phase: "end", call: 1, when: "after" }], "revert"],
        ],
      },
    );
    expect(fired).toBeGreaterThanOrEqual(4);
  }, 60_000);

  it("means what was received in it, and no more than the live sink has", async () => {
    const log = new TestLog(1);
    const at = (minutes: number) => Date.UTC(2026, 10, 20) * 1_000 + minutes * 60_000_000;
    await log.commit(
      0,
      [0, 10, 20].map((minutes) => ({ user_id: "ann", received_at: at(minutes) })),
    );
    await log.commit(0, [{ user_id: "ann", received_at: at(11) }]);
    await drain(log, 0, 1);
    const timeline = timelineOf({ kind: "user", id: "ann" });
    const job = jobOf("received", log, { from: at(5) / 1_000, to: at(15) / 1_000 });
    for (const row of log.rows.slice(0, 3)) {
      await timeline.amend({
        subject: { kind: "user", id: "ann" },
        rules: 0,
        remove: [],
        put: [{ ...row, ...damaged }],
      });
    }
    expect(await target(log).plan(job)).toEqual([{ shard: 0, after: 0, to: 1, steps: 0 }]);
    await buildAll(job, log, () => target(log));
    await untilDone(() => target(log).swap(job));
    expect((await timeline.profile()).counts).toEqual({ wrong: 2, page: 1 });
    expect(await untilDone<unknown>(() => target(log).confirm(job))).toBe("done");
    await drain(log, 0);
    expect((await timeline.profile()).counts).toEqual({ wrong: 2, page: 2 });
  });

  it("promise 9: is settled in as many invocations as its timelines need", async () => {
    const log = new TestLog(1);
    await log.commit(
      0,
      Array.from({ length: 40 }, (_, i) => ({ anonymous_id: `d${i}` })),
    );
    await drain(log, 0);
    const job = jobOf("many", log, { range: { shard: 0, from: 1, to: 1 } });
    await buildAll(job, log, () => target(log));
    const budget = () => target(log, { calls: { left: 1_010 } });
    expect(await budget().swap(job)).toBe("more");
    expect(await budget().swap(job)).toBe("more");
    expect(await untilDone(() => budget().swap(job))).toBeUndefined();
    expect(await budget().revert(job)).toBe("more");
    await untilDone(() => budget().revert(job));
    expect(await listsLeft()).toBe(0);
  });
});
