import { evictDurableObject, reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { ulid } from "ulidx";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { CommitAnswer, SegmentCommit, WakeUp } from "../../../durable-objects/event-log/api.ts";
import type { EventLogEnv } from "../../../durable-objects/event-log/event-log.ts";
import { EventLog } from "../../../durable-objects/event-log/event-log.ts";
import { ShardLog } from "../../../durable-objects/event-log/shard-log.ts";
import { segmentKey } from "../../../r2-layout/keys.ts";
import { DAY_MS, HOUR_MS, LOG } from "../../../r2-layout/limits.ts";
import { packPrefixes } from "../../../r2-layout/subjects.ts";
import { bindings } from "../../bindings.ts";
import { commitOf, messageOf, segmentOf } from "./commits.ts";
import { pickIds } from "./random-ids.ts";

afterEach(async () => {
  vi.useRealTimers();
  await reset();
});

/** Simulated clocks run ahead of the real one, so that the runtime fires no alarm on its own. */
const TOMORROW = Date.now() + DAY_MS;

let shards = 0;
const freshLog = () => bindings.EVENT_LOG.getByName(String(++shards).padStart(3, "0"));

/** An EventLog over the object's storage, with queues that keep what they are sent. */
async function withWakeUps(
  run: (log: EventLog, sent: { sink: string; wakeUp: WakeUp }[], state: DurableObjectState) => Promise<void>,
) {
  await runInDurableObject(freshLog(), async (_object, state) => {
    const sent: { sink: string; wakeUp: WakeUp }[] = [];
    const queue = (sink: string) => ({ send: async (wakeUp: WakeUp) => void sent.push({ sink, wakeUp }) });
    const env = { WAKE_LAKE: queue("lake"), WAKE_SESSIONS: queue("sessions"), WAKE_ROLLUPS: queue("rollups") };
    await run(new EventLog(state, env as unknown as EventLogEnv), sent, state);
  });
}

describe("a commit", () => {
  it("gives each segment the next number, from 1, without a gap, and none to a commit without events", async () => {
    const log = freshLog();
    expect(await log.commit(commitOf([1, 2]))).toEqual({ kind: "committed", seq: 1 });
    expect(await log.commit(commitOf([], [messageOf("e", 1, 2, 2)]))).toEqual({ kind: "committed", seq: null });
    expect(await log.commit(commitOf([3]))).toEqual({ kind: "committed", seq: 2 });
    const { head, segments } = await log.segments(0);
    expect(head).toBe(2);
    expect(segments.map(({ seq, events }) => [seq, events])).toEqual([
      [1, 2],
      [2, 1],
    ]);
  });

  it("promise 2: that names an owned id or message changes nothing and says which", async () => {
    const log = freshLog();
    await log.commit(commitOf([1, 2, 3], [messageOf("e", 1, 3)]));
    const before = await log.status();
    const answer = await log.commit(commitOf([9, 3, 8, 1], [messageOf("e", 2, 2), messageOf("e", 1, 3)]));
    expect(answer).toEqual({ kind: "owned", ids: [1, 3], messages: [1] });
    expect(await log.status()).toEqual(before);
    expect((await log.segments(0)).segments.length).toBe(1);
    expect([...(await log.filter(pickIds([9, 3, 8, 1]), new Uint8Array())).ids]).toEqual([0, 1, 0, 1]);
  });

  it("that names an id twice is refused for the second", async () => {
    const log = freshLog();
    expect(await log.commit(commitOf([4, 5, 4]))).toEqual({ kind: "owned", ids: [2], messages: [] });
    expect((await log.status()).head).toBe(0);
  });

  it("repeated because its answer was lost finds everything owned", async () => {
    const log = freshLog();
    const commit = commitOf([1, 2], [messageOf("e", 1, 2)]);
    await log.commit(commit);
    expect(await log.commit(commit)).toEqual({ kind: "owned", ids: [0, 1], messages: [0] });
    expect(await log.status()).toMatchObject({ head: 1, arrived: 2, committed: 2, duplicates: 0 });
  });

  it("of an object as old as the sweep's reach is refused", async () => {
    const log = freshLog();
    const commit = commitOf([1]);
    const old = { ...commit, segment: segmentOf(1, Date.now() - LOG.staleSegmentMs) };
    expect(await log.commit(old)).toEqual({ kind: "stale" });
    expect(await log.commit(commit)).toEqual({ kind: "committed", seq: 1 });
  });

  it("of another epoch is told the right one", async () => {
    const log = freshLog();
    expect(await log.commit({ ...commitOf([1]), epoch: 3 })).toEqual({ kind: "moved", epoch: 0 });
    expect((await log.status()).head).toBe(0);
  });

  it("promise 9: whose counts and ids do not agree, or that is too large, is an error and changes nothing", async () => {
    const log = freshLog();
    const wrong = { ...commitOf([1, 2]), ids: pickIds([1]) };
    const large = { ...commitOf([]), segment: segmentOf(100_001), ids: new Uint8Array(16 * 100_001) };
    await runInDurableObject(log, async (object) => {
      await expect(object.commit(wrong)).rejects.toThrow(RangeError);
      await expect(object.commit(large)).rejects.toThrow(RangeError);
    });
    expect(await log.status()).toMatchObject({ head: 0, ids: 0 });
  });

  it("promise 2: one owner for each id, dense numbers and whole sums, however commits interleave, repeat and meet evictions", async () => {
    const commits = fc.array(
      fc.record({
        ids: fc.uniqueArray(fc.nat(60), { minLength: 1, maxLength: 12 }),
        times: fc.integer({ min: 1, max: 3 }),
        evict: fc.boolean(),
      }),
      { minLength: 1, maxLength: 25 },
    );
    await fc.assert(
      fc.asyncProperty(commits, fc.boolean(), async (plan, twoAtOnce) => {
        const log = freshLog();
        const owners = new Map<number, number>();
        let evicted = 0;
        /** As the fan-out does: drop what is owned, try again. */
        const commitAll = async (numbers: readonly number[]) => {
          let left = [...numbers];
          for (let round = 0; left.length > 0; round++) {
            if (round > 9) throw new Error("no end");
            const answer: CommitAnswer = await log.commit(commitOf(left));
            if (answer.kind === "committed") {
              for (const number of left) {
                expect(owners.has(number)).toBe(false);
                owners.set(number, answer.seq!);
              }
              return;
            }
            if (answer.kind !== "owned") throw new Error(answer.kind);
            const owned = new Set(answer.ids);
            left = left.filter((_, i) => !owned.has(i));
          }
        };
        for (const { ids, times, evict } of plan) {
          const repeats = Array.from({ length: times }, () => commitAll(ids));
          if (twoAtOnce) await Promise.all(repeats);
          else for (const repeat of repeats) await repeat;
          if (evict && evicted++ < 3) await evictDurableObject(log);
        }
        const wanted = new Set(plan.flatMap(({ ids }) => ids));
        expect(new Set(owners.keys())).toEqual(wanted);
        const { head, segments } = await log.segments(0);
        expect(segments.map(({ seq }) => seq)).toEqual(Array.from({ length: head }, (_, i) => i + 1));
        expect(segments.reduce((sum, { events }) => sum + events, 0)).toBe(wanted.size);
        expect(await log.count(0)).toEqual({ events: wanted.size, quarantined: 0 });
      }),
      { numRuns: 15 },
    );
  });

  it("writes four rows and no more, and one of whom it may name, however many events it has", async () => {
    await withWakeUps(async (_log, _sent, state) => {
      const { sql } = state.storage;
      const log = new ShardLog(sql, 0);
      const rowsOf = (commit: SegmentCommit) => {
        let rows = 0;
        const counting = {
          exec: (...query: Parameters<SqlStorage["exec"]>) => {
            const cursor = sql.exec(...query);
            rows += cursor.rowsWritten;
            return cursor;
          },
        } as unknown as SqlStorage;
        expect(new ShardLog(counting, 0).commit(commit, Date.now()).kind).toBe("committed");
        return rows;
      };
      log.commit(commitOf([1_000_000]), Date.now());
      const hundred = (from: number, edge: string) =>
        Array.from({ length: 100 }, (_, i) => messageOf(`${edge}${i}`, from + 1, 20));
      expect(rowsOf(commitOf([1], hundred(0, "a")))).toBeLessThanOrEqual(4);
      const naming = commitOf([9_000]);
      const subjects = packPrefixes(Array.from({ length: 1_000 }, (_, i) => i));
      expect(rowsOf({ ...naming, segment: { ...naming.segment!, subjects } })).toBeLessThanOrEqual(5);
      expect(
        rowsOf(
          commitOf(
            Array.from({ length: 2_000 }, (_, i) => i + 2),
            hundred(1, "b"),
          ),
        ),
      ).toBeLessThanOrEqual(4);
    });
  });
});

describe("counting", () => {
  it("promise 3: shows a message lost before the log as owed, and no longer once it arrives", async () => {
    const log = freshLog();
    await log.commit(commitOf([1, 2], [messageOf("e", 1, 2)]));
    await log.commit(commitOf([5, 6], [messageOf("e", 3, 2)]));
    expect(await log.status()).toMatchObject({ accepted: 6, arrived: 4, gaps: 1 });
    await evictDurableObject(log);
    await log.commit(commitOf([3, 4], [messageOf("e", 2, 2)]));
    expect(await log.status()).toMatchObject({ accepted: 6, arrived: 6, gaps: 0 });
  });

  it("promise 3: remembers each edge through flushes and evictions, without a row for every message", async () => {
    await withWakeUps(async (_log, _sent, { storage }) => {
      let log = new ShardLog(storage.sql, 0);
      let now = 20_000 * DAY_MS;
      for (let n = 1; n <= 60; n++) {
        if (n % 10 === 5) continue; // Lost for now.
        log.commit({ ...commitOf([n], [messageOf("e", n, 1)]), segment: segmentOf(1, now) }, now);
        now += HOUR_MS / 4;
        while (log.maintain(now));
        if (n % 7 === 0) log = new ShardLog(storage.sql, 0);
      }
      expect(log.status()).toMatchObject({ accepted: 60, arrived: 54, gaps: 6 });
      for (let n = 5; n <= 60; n += 10) {
        log.commit({ ...commitOf([n], [messageOf("e", n, 1)]), segment: segmentOf(1, now) }, now);
      }
      expect(log.status()).toMatchObject({ accepted: 60, arrived: 60, gaps: 0 });
      expect(storage.sql.exec("SELECT count(*) AS rows FROM edges").one().rows).toBe(1);
    });
  });

  it("tells redelivered messages from duplicates", async () => {
    const log = freshLog();
    await log.commit(commitOf([1, 2], [messageOf("e", 1, 2)]));
    // Message 1 again, and message 2 with the same events: the fan-out leaves out the one, and counts the other's.
    await log.commit({ ...commitOf([], [messageOf("e", 2, 2, 2)]), redelivered: 1 });
    expect(await log.status()).toMatchObject({ arrived: 4, committed: 2, duplicates: 2, redelivered_messages: 1 });
  });

  it("gives what lies past a cursor, as of the moment of the status", async () => {
    const log = freshLog();
    await log.commit(commitOf([1, 2, 3]));
    await log.commit({ ...commitOf([4, 5]), segment: { ...segmentOf(2), quarantined: 1 } });
    const { status, past } = await log.tally({ lake: 0, sessions: 1, rollups: 2 });
    expect(status).toMatchObject({ head: 2, committed: 4, quarantined: 1 });
    expect(past).toMatchObject({
      lake: { events: 4, quarantined: 1, segments: 2 },
      sessions: { events: 1, quarantined: 1, segments: 1 },
      rollups: { events: 0, quarantined: 0, segments: 0, since: null },
    });
  });
});

describe("reading", () => {
  it("hands out at most the bounded number of segments, on from the cursor", async () => {
    const log = freshLog();
    for (let i = 0; i < 120; i++) await log.commit(commitOf([i]));
    const first = await log.segments(0);
    expect(first.segments.length).toBe(LOG.segmentsPerRead);
    expect(first.head).toBe(120);
    const rest = await log.segments(first.segments.at(-1)!.seq);
    expect(rest.segments.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, i) => 101 + i));
    expect((await log.segments(0, 3)).segments.length).toBe(3);
  });

  it("says which objects no row names, among thousands of others", async () => {
    const log = freshLog();
    const start = Date.UTC(2026, 10, 22);
    const keyAt = (ms: number) => segmentKey({ receivedAtUs: ms * 1_000, shard: 0, ulid: ulid(ms) });
    vi.useFakeTimers({ toFake: ["Date"] });
    const named: string[] = [];
    for (let minute = 0; minute < 200; minute++) {
      const now = start + minute * 60_000;
      vi.setSystemTime(now);
      const key = keyAt(now - 1_000);
      named.push(key);
      await log.commit({ ...commitOf([minute]), segment: { ...segmentOf(1, now - 1_000), key } });
    }
    const orphans = [keyAt(start + 5_000), keyAt(start + 190 * 60_000), keyAt(start - DAY_MS), "log/stray"];
    expect(await log.unnamed([...named, ...orphans])).toEqual(orphans);
    expect(await log.unnamed(named.slice(50, 60))).toEqual([]);
    expect(await log.unnamed(["log/stray"])).toEqual(["log/stray"]);

    // A clock that stood two days ahead for one commit: what is committed after it is named all the same.
    vi.setSystemTime(start + 2 * DAY_MS);
    await log.commit(commitOf([1_000]));
    vi.setSystemTime(start + 201 * 60_000);
    const late = keyAt(start + 200 * 60_000);
    await log.commit({ ...commitOf([1_001]), segment: { ...segmentOf(1, start + 200 * 60_000), key: late } });
    expect(await log.unnamed([late, ...orphans])).toEqual(orphans);
  });
});

describe("waking the sinks", () => {
  it("sends at once, then at most once a second, and stops when the sink has reached the head", async () => {
    await withWakeUps(async (log, sent, state) => {
      vi.useFakeTimers({ toFake: ["Date"] });
      const start = TOMORROW;
      vi.setSystemTime(start);
      await log.commit(commitOf([1]));
      expect(sent.map(({ sink }) => sink)).toEqual(["lake", "sessions", "rollups"]);
      for (let i = 2; i < 10; i++) {
        vi.setSystemTime(start + i * 100);
        await log.commit(commitOf([i]));
      }
      expect(sent.length).toBe(3);
      expect(await state.storage.getAlarm()).toBe(start + 1_000);
      vi.setSystemTime(start + 1_000);
      await log.alarm();
      expect(sent.slice(3).map(({ wakeUp }) => wakeUp.head)).toEqual([9, 9, 9]);
      expect(await state.storage.getAlarm()).toBe(start + 2_000);
      sent.length = 0;
      await log.reached("lake", 9);
      await log.reached("sessions", 4);
      vi.setSystemTime(start + 2_000);
      await log.alarm();
      expect(sent.map(({ sink }) => sink)).toEqual(["sessions", "rollups"]);
      for (const sink of ["sessions", "rollups"] as const) await log.reached(sink, 9);
      await state.storage.deleteAlarm();
      vi.setSystemTime(start + 9_000);
      sent.length = 0;
      await log.alarm();
      expect(sent).toEqual([]);
      expect(await state.storage.getAlarm()).toBeNull();
    });
  });

  it("survives queues that fail: the commit stands, the alarm does not throw and tries again", async () => {
    await runInDurableObject(freshLog(), async (_object, state) => {
      vi.useFakeTimers({ toFake: ["Date"] });
      vi.setSystemTime(TOMORROW);
      vi.spyOn(console, "error").mockImplementation(() => {});
      let tries = 0;
      const queue = {
        send: async () => {
          tries++;
          throw new Error("injected");
        },
      };
      const env = { WAKE_LAKE: queue, WAKE_SESSIONS: queue, WAKE_ROLLUPS: queue } as unknown as EventLogEnv;
      const log = new EventLog(state, env);
      expect(await log.commit(commitOf([1]))).toEqual({ kind: "committed", seq: 1 });
      for (let second = 1; second <= 3; second++) {
        const alarmAt = await state.storage.getAlarm();
        expect(alarmAt).not.toBeNull();
        vi.setSystemTime(alarmAt!);
        await state.storage.deleteAlarm(); // As the runtime does before it calls the handler.
        await log.alarm();
      }
      expect(tries).toBe(12);
      vi.restoreAllMocks();
    });
  });

  it("is due again after an eviction: the alarm is in storage, what is owed is in the rows", async () => {
    const log = freshLog();
    await log.commit(commitOf([1]));
    await evictDurableObject(log);
    expect(await runDurableObjectAlarm(log)).toBe(true);
    await log.reached("lake", 1);
    await log.reached("sessions", 1);
    await log.reached("rollups", 1);
    await evictDurableObject(log);
    expect((await log.status()).cursors).toEqual({ lake: 1, sessions: 1, rollups: 1 });
  });

  it("by the cron reaches sinks whose alarms were given up, and ticks the rollups of an idle shard", async () => {
    await withWakeUps(async (log, sent, state) => {
      await log.poke();
      expect(sent).toEqual([{ sink: "rollups", wakeUp: { shard: Number(state.id.name), head: 0 } }]);
      vi.useFakeTimers({ toFake: ["Date"] });
      const start = TOMORROW;
      vi.setSystemTime(start);
      await log.commit(commitOf([1]));
      await log.reached("sessions", 1);
      await state.storage.deleteAlarm();
      sent.length = 0;
      vi.setSystemTime(start + 60_000);
      await log.poke();
      expect(sent.map(({ sink }) => sink)).toEqual(["lake", "rollups"]);
      expect(await state.storage.getAlarm()).not.toBeNull();
    });
  });

  it("wakes a sink again whose cursor went back, whatever drains of the time before still tell", async () => {
    await withWakeUps(async (log, sent, state) => {
      vi.useFakeTimers({ toFake: ["Date"] });
      vi.setSystemTime(TOMORROW);
      await log.commit(commitOf([1]));
      await log.commit(commitOf([2]));
      for (const sink of ["lake", "sessions", "rollups"] as const) await log.reached(sink, 2, 3);
      vi.setSystemTime(TOMORROW + 60_000);
      sent.length = 0;
      await log.turned("sessions", 1, 5);
      expect(sent.map(({ sink }) => sink)).toEqual(["sessions"]);
      await log.reached("sessions", 2, 4);
      expect((await log.status()).cursors.sessions).toBe(1);
      vi.setSystemTime(TOMORROW + 70_000);
      await state.storage.deleteAlarm();
      await log.alarm();
      expect(sent.map(({ sink }) => sink)).toEqual(["sessions", "sessions"]);
      await log.reached("sessions", 2, 6);
      // A turn that is told twice is one.
      await log.turned("sessions", 1, 5);
      expect((await log.status()).cursors.sessions).toBe(2);
    });
  });

  it("never moves a cursor back, nor past the head", async () => {
    const log = freshLog();
    await log.commit(commitOf([1]));
    await log.commit(commitOf([2]));
    await log.reached("lake", 2);
    await log.reached("lake", 1);
    await log.reached("rollups", 99);
    expect((await log.status()).cursors).toEqual({ lake: 2, rollups: 2 });
  });
});

describe("upkeep", () => {
  it("runs from the alarm: recent commits become a run, nothing is forgotten", async () => {
    await withWakeUps(async (log, _sent, state) => {
      vi.useFakeTimers({ toFake: ["Date"] });
      const start = TOMORROW;
      vi.setSystemTime(start);
      await log.commit(commitOf([1, 2, 3], [messageOf("e", 1, 3)]));
      for (const sink of ["lake", "sessions", "rollups"] as const) await log.reached(sink, 1);
      vi.setSystemTime(start + HOUR_MS + 1);
      await log.poke();
      const alarmAt = await state.storage.getAlarm();
      expect(alarmAt! - Date.now()).toBeLessThan(100);
      await state.storage.deleteAlarm();
      await log.alarm();
      expect(state.storage.sql.exec("SELECT count(*) AS runs FROM runs").one().runs).toBe(1);
      expect(state.storage.sql.exec("SELECT count(*) AS rows FROM recent").one().rows).toBe(0);
      expect([...(await log.filter(pickIds([1, 2, 3, 4]), messageOf("e", 1, 3).id)).ids]).toEqual([1, 1, 1, 0]);
      expect(await log.status()).toMatchObject({ ids: 4, arrived: 3 });
    });
  });
});
