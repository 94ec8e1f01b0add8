import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { CommittedMessage } from "../../../durable-objects/event-log/api.ts";
import { ShardLog } from "../../../durable-objects/event-log/shard-log.ts";
import { DAY_MS, HOUR_MS, LOG } from "../../../r2-layout/limits.ts";
import { bindings } from "../../bindings.ts";
import { commitOf, messageOf, segmentOf } from "./commits.ts";

afterEach(async () => {
  vi.useRealTimers();
  await reset();
});

let shards = 700;
const freshLog = () => bindings.EVENT_LOG.getByName(String(++shards));
const withStorage = <T>(run: (storage: DurableObjectStorage) => T): Promise<T> =>
  runInDurableObject(bindings.SINK_CURSOR.getByName(`counts:${++shards}`), (_object, { storage }) => run(storage));

const of = (message: CommittedMessage, more: Partial<CommittedMessage>): CommittedMessage => ({ ...message, ...more });

describe("what a shard counts", () => {
  it("promise 3: duplicates, late and skewed events, by source, through flushes and evictions", async () => {
    const log = freshLog();
    await log.commit(commitOf([1, 2, 3], [of(messageOf("e", 1, 3), { late: 2, clockSkewed: 1 })]));
    await log.commit(commitOf([], [of(messageOf("f", 1, 3, 3), { source: "app" })]));
    const wanted = {
      late: 2,
      clock_skewed: 1,
      sources: [
        { source: "app", events: 3, duplicates: 3, late: 0, clock_skewed: 0 },
        { source: "shop", events: 3, duplicates: 0, late: 2, clock_skewed: 1 },
      ],
    };
    expect(await log.status()).toMatchObject(wanted);
    await evictDurableObject(log);
    expect(await log.status()).toMatchObject(wanted);
    await withStorage((storage) => {
      let now = 20_000 * DAY_MS;
      let table = new ShardLog(storage.sql, 0);
      for (let n = 1; n <= 40; n++) {
        const message = of(messageOf("e", n, 1), { source: `s${n % 3}`, late: n % 2 });
        table.commit({ ...commitOf([n], [message]), segment: segmentOf(1, now) }, now);
        now += HOUR_MS / 3;
        while (table.maintain(now));
        if (n % 11 === 0) table = new ShardLog(storage.sql, 0);
      }
      const { sources, late } = table.status();
      expect(late).toBe(20);
      expect(Object.fromEntries(sources.map(({ source, events }) => [source, events]))).toEqual({
        s0: 13,
        s1: 14,
        s2: 13,
      });
      expect(sources.reduce((sum, source) => sum + source.late, 0)).toBe(20);
    });
  });

  it("what came since midnight, whatever came before, through evictions", async () => {
    await withStorage((storage) => {
      const midnight = 20_000 * DAY_MS;
      let table = new ShardLog(storage.sql, 0);
      const commit = (n: number, at: number) =>
        table.commit({ ...commitOf([n], [messageOf("e", n, 1)]), segment: segmentOf(1, at) }, at);
      for (let n = 1; n <= 5; n++) commit(n, midnight - HOUR_MS);
      expect(table.status()).toMatchObject({
        messages: 5,
        newest_day: { day: "2024-10-03", events: 5, messages: 5, segments: 5, bytes: 500 },
      });
      for (let n = 6; n <= 8; n++) {
        table = new ShardLog(storage.sql, 0);
        commit(n, midnight + n);
      }
      expect(table.status()).toMatchObject({
        messages: 8,
        arrived: 8,
        newest_day: { day: "2024-10-04", events: 3, messages: 3, segments: 3, bytes: 300 },
      });
    });
  });

  it("promise 9: one by one for a bounded number of sources, the rest together", async () => {
    await withStorage((storage) => {
      const now = 20_000 * DAY_MS;
      const table = new ShardLog(storage.sql, 0);
      const messages = Array.from({ length: LOG.sources + 5 }, (_, n) =>
        of(messageOf(`e${n}`, 1, 1), { source: `s${n}` }),
      );
      const numbers = messages.map((_, n) => n);
      table.commit({ ...commitOf(numbers, messages), segment: segmentOf(numbers.length, now) }, now);
      const { sources } = table.status();
      expect(sources.length).toBe(LOG.sources + 1);
      expect(sources[0]).toMatchObject({ source: "(other)", events: 5 });
      while (table.maintain(now + 2 * HOUR_MS));
      expect(new ShardLog(storage.sql, 0).status().sources).toEqual(sources);
    });
  });

  it("since when a message is missing, until it comes", async () => {
    await withStorage((storage) => {
      const start = 20_000 * DAY_MS;
      let table = new ShardLog(storage.sql, 0);
      const commit = (edge: string, n: number, at: number) =>
        table.commit({ ...commitOf([at + n], [messageOf(edge, n, 1)]), segment: segmentOf(1, at) }, at);
      expect(table.status().oldest_gap_at).toBeNull();
      commit("a", 2, start);
      commit("b", 3, start + 1_000);
      expect(table.status().oldest_gap_at).toBe(start);
      while (table.maintain(start + 2 * HOUR_MS));
      // Far beyond the time for which an instance that owes nothing is remembered.
      commit("c", 1, start + 40 * DAY_MS);
      while (table.maintain(start + 41 * DAY_MS));
      table = new ShardLog(storage.sql, 0);
      expect(table.status()).toMatchObject({ oldest_gap_at: start, gaps: 3 });
      commit("a", 1, start + 41 * DAY_MS);
      expect(table.status().oldest_gap_at).toBe(start + 1_000);
    });
  });

  it("segments with republished events, and finds them", async () => {
    const log = freshLog();
    for (let n = 0; n < 5; n++) {
      const commit = commitOf([n]);
      await log.commit({ ...commit, segment: { ...commit.segment!, ...(n % 2 === 1 && { republished: 1 }) } });
    }
    expect(await log.republishedAfter(0)).toEqual([
      { seq: 2, republished: 1 },
      { seq: 4, republished: 1 },
    ]);
    expect(await log.republishedAfter(2)).toEqual([{ seq: 4, republished: 1 }]);
    expect((await log.segments(0)).segments.map(({ republished = 0 }) => republished)).toEqual([0, 1, 0, 1, 0]);
    expect((await log.status()).republished).toBe(2);
  });
});

describe("places by time", () => {
  it("are those of all segments that may hold what was received then, however late it was committed", async () => {
    const log = freshLog();
    const start = Date.UTC(2026, 10, 22);
    vi.useFakeTimers({ toFake: ["Date"] });
    const received = [0, 60, 120, 30, 180];
    for (const [i, minute] of received.entries()) {
      const now = start + Math.max(...received.slice(0, i + 1)) * 60_000 + 5_000;
      vi.setSystemTime(now);
      const at = (start + minute * 60_000) * 1_000;
      await log.commit({
        ...commitOf([i]),
        segment: { ...segmentOf(1, now), minReceivedAt: at, maxReceivedAt: at + 1 },
      });
    }
    const between = async (from: number, to: number) =>
      (await log.between(start + from * 60_000, start + to * 60_000)).range;
    expect(await between(0, 200)).toEqual({ from: 1, to: 5 });
    expect(await between(20, 40)).toEqual({ from: 4, to: 4 });
    expect(await between(50, 130)).toEqual({ from: 2, to: 3 });
    expect(await between(20, 61)).toEqual({ from: 2, to: 4 });
    expect(await between(300, 400)).toBeNull();
    expect(await log.between(start, start + 1)).toEqual({ oldest: 1, head: 5, range: { from: 1, to: 1 } });
  });
});

describe("a log that an earlier version has written", () => {
  it("goes on with its rows: columns are added, notes and gaps are read as they were", async () => {
    await withStorage((storage) => {
      const { sql } = storage;
      const now = 20_000 * DAY_MS;
      // As the first version made and filled them.
      sql.exec(`CREATE TABLE segments (seq INTEGER PRIMARY KEY, key TEXT NOT NULL, bytes INTEGER NOT NULL,
        events INTEGER NOT NULL, quarantined INTEGER NOT NULL, min_received_at INTEGER NOT NULL,
        max_received_at INTEGER NOT NULL, committed_at INTEGER NOT NULL, sum_events INTEGER NOT NULL,
        sum_quarantined INTEGER NOT NULL)`);
      sql.exec(
        "INSERT INTO segments VALUES (1, 'log/dt=2024-10-04/shard=000/x.ndjson.gz', 1, 3, 1, 1, 2, ?, 2, 1)",
        now,
      );
      sql.exec(`CREATE TABLE log (id INTEGER PRIMARY KEY, shard INTEGER NOT NULL, epoch INTEGER NOT NULL,
        head INTEGER NOT NULL, accepted INTEGER NOT NULL, arrived INTEGER NOT NULL, committed INTEGER NOT NULL,
        quarantined INTEGER NOT NULL, duplicates INTEGER NOT NULL, suppressed INTEGER NOT NULL,
        redelivered INTEGER NOT NULL, gaps INTEGER NOT NULL, committed_at INTEGER NOT NULL)`);
      sql.exec("INSERT INTO log VALUES (0, 4, 0, 1, 7, 3, 2, 1, 0, 0, 0, 1, ?)", now);
      sql.exec(
        "CREATE TABLE recent (nr INTEGER PRIMARY KEY, at INTEGER NOT NULL, ids BLOB NOT NULL, note TEXT NOT NULL)",
      );
      sql.exec("INSERT INTO recent (at, ids, note) VALUES (?, ?, ?)", now, new Uint8Array(16), '[["old",2,3,4]]');
      sql.exec(`CREATE TABLE edges (edge TEXT PRIMARY KEY, n INTEGER NOT NULL, sent INTEGER NOT NULL,
        missing TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID`);
      sql.exec("INSERT INTO edges VALUES ('older', 9, 90, '[[3,4]]', ?)", now - HOUR_MS);
      const table = new ShardLog(sql, 0);
      expect(table.shard).toBe(4);
      expect(table.status()).toMatchObject({ accepted: 7, committed: 2, quarantined: 1, oldest_gap_at: now - HOUR_MS });
      expect(table.places.after(0, 10, "lake")).toMatchObject([{ seq: 1, events: 3, quarantined: 1 }]);
      expect(table.places.past(0, 1, "lake")).toMatchObject({ events: 2, quarantined: 1, met: { events: 0 } });
      const commit = { ...commitOf([1, 2, 3, 4], [messageOf("old", 1, 4)]), segment: segmentOf(4, now) };
      expect(table.commit(commit, now)).toEqual({ kind: "committed", seq: 2 });
      expect(table.status()).toMatchObject({ accepted: 7, arrived: 7, head: 2, gaps: 0 });
    });
  });
});
