import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { MinuteRebuildApi, RollupBatch } from "../../../durable-objects/minute-rollup/api.ts";
import { type Changed, ChangeLog } from "../../../durable-objects/minute-rollup/change-log.ts";
import { minuteDeltas, type RolledEvent } from "../../../durable-objects/minute-rollup/minute-delta.ts";
import type { MinuteRollup } from "../../../durable-objects/minute-rollup/minute-rollup.ts";
import { readRollups } from "../../../durable-objects/minute-rollup/read.ts";
import { type ChangesAnswer, readChanges } from "../../../durable-objects/minute-rollup/read-changes.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, ROLLUP } from "../../../r2-layout/limits.ts";
import { eventTimes } from "../../../workers/edge/derive/event-times.ts";
import { plainEvent } from "./events.ts";

const rollups = (env as unknown as { MINUTE_ROLLUP: DurableObjectNamespace<MinuteRollup> }).MINUTE_ROLLUP;
const START = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 2 * HOUR_MS;
const FINAL = START + HOUR_MS;
const LATE = { reason: "late", job: null } as const;

/** As the edge has it: the types of an RPC forget that a pair is one. */
const shardRollups = rollups as unknown as ObjectNamespace<MinuteRebuildApi>;

afterEach(() => reset());

const at = (ms: number, more: Partial<RolledEvent> = {}) => plainEvent({ event_time: ms * 1_000, ...more });
const batch = (seq: number, events: readonly RolledEvent[], shard = 0): RollupBatch => ({
  shard,
  from: seq,
  to: seq,
  completeUntil: FINAL,
  minutes: minuteDeltas(events),
});
const changed = (minute: number, more: Partial<Changed> = {}): Changed => ({
  minute,
  grain: "minute",
  version: 2,
  events: 1,
  revenue: [],
  ...more,
});

/** A change log in a fresh object's storage. */
const inLog = <T>(work: (log: ChangeLog, sql: SqlStorage) => T): Promise<T> =>
  runInDurableObject(rollups.getByName("core:000"), (_, { storage }) => work(new ChangeLog(storage.sql), storage.sql));

async function changes(params = "", shards = 1): Promise<ChangesAnswer> {
  const answer = await readChanges(shardRollups, shards, new URLSearchParams(params));
  if (!answer.ok) throw new Error(JSON.stringify(answer.error));
  return answer.value;
}

describe("late events (promise 8)", () => {
  it("leave a record of what changed by how much: five days late, the day's figure has a new version", async () => {
    const rollup = rollups.getByName("core:000");
    const old = Math.floor((START - 5 * DAY_MS) / DAY_MS) * DAY_MS + 90 * MINUTE_MS;
    await rollup.apply(batch(1, [at(old, { revenue: 10, currency: "EUR" }), at(START)]));
    const day = async () => {
      const params = new URLSearchParams({ grain: "day", from: String(old), to: String(old + 1) });
      const answer = await readRollups(rollups, 1, params, Date.now());
      return answer.ok ? answer.value : null;
    };
    expect(await changes()).toEqual({ changes: [], next: null });
    const was = { start: new Date(old - 90 * MINUTE_MS).toISOString(), key: {}, value: 1, state: "final", version: 1 };
    expect(await day()).toEqual({ points: [was], watermark: new Date(FINAL).toISOString() });
    const late = [at(old + 1, { revenue: 2.5, currency: "EUR" }), at(old + 2), at(START + 5 * MINUTE_MS)];
    await rollup.apply(batch(2, late));
    expect((await day())?.points).toEqual([{ ...was, value: 3, version: 2, corrected: true }]);
    const record = { grain: "minute", version: 2, reason: "late", job: null, shard: 0, at: expect.any(String) };
    const ofOld = { ...record, minute: new Date(old).toISOString(), events: 2, revenue: { EUR: 2.5 } };
    expect((await changes()).changes).toEqual([
      { ...record, minute: new Date(START + 5 * MINUTE_MS).toISOString(), events: 1, revenue: {} },
      ofOld,
    ]);
    expect((await changes(`from=${old}&to=${old + MINUTE_MS}`)).changes).toEqual([ofOld]);
    expect((await changes(`from=${old + MINUTE_MS}&to=${old + 2 * MINUTE_MS}`)).changes).toEqual([]);
  });

  it("that come within a minute are one record for each minute that they change", async () => {
    await inLog((log, sql) => {
      const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
      log.record([changed(START, { revenue: [["EUR", 5n]] })], LATE, now);
      log.record(
        [changed(START, { version: 3, revenue: [["EUR", 2n]] }), changed(START + MINUTE_MS)],
        LATE,
        now + 30_000,
      );
      expect(sql.exec("SELECT * FROM changes").toArray()).toHaveLength(1);
      expect(log.read(0, FINAL, 10)).toMatchObject([
        { minute: START + MINUTE_MS, version: 2, events: 1, at: now + 30_000 },
        { minute: START, version: 3, events: 2, revenue: [["EUR", 7n]] },
      ]);
      log.record([changed(START, { version: 4 })], LATE, now + MINUTE_MS);
      log.record([changed(START, { version: 5 })], { reason: "rebuild", job: "r" }, now + MINUTE_MS);
      log.record([changed(START, { version: 6 })], LATE, now + MINUTE_MS);
      expect(log.read(START, START + 1, 10).map(({ version, reason }) => [version, reason])).toEqual([
        [6, "late"],
        [5, "rebuild"],
        [4, "late"],
        [3, "late"],
      ]);
    });
  });
});

describe("bounds (promise 9)", () => {
  it.each([
    [ROLLUP.changesPerRow, "minute", 1],
    [ROLLUP.changesPerRow + 1, "hour", 1],
    [60 * ROLLUP.changesPerRow + 1, "day", 1],
  ])("%i minutes at once are recorded by the %s, and lose no event", async (count, grain, rows) => {
    await inLog((log, sql) => {
      const many = Array.from({ length: count }, (_, i) => changed(i * MINUTE_MS, { revenue: [["EUR", 1n]] }));
      log.record(many, LATE, START);
      const found = log.read(0, FINAL, ROLLUP.changesPerRow + 1);
      expect(new Set(found.map((one) => one.grain))).toEqual(new Set([grain]));
      expect(found.reduce((sum, { events }) => sum + events, 0)).toBe(count);
      expect(found.reduce((sum, { revenue }) => sum + revenue[0]![1], 0n)).toBe(BigInt(count));
      expect(sql.exec("SELECT * FROM changes").toArray()).toHaveLength(rows);
    });
  });

  it("more days than a row holds take further rows, and every row stays far below 2 MB", async () => {
    await inLog((log, sql) => {
      const currencies = Array.from({ length: ROLLUP.changeCurrencies + 5 }, (_, i) => [`C${i}`, 10n ** 15n] as const);
      const days = Array.from({ length: ROLLUP.changesPerRow + 1 }, (_, i) =>
        changed(i * DAY_MS, { revenue: currencies.slice(0, i === 0 ? ROLLUP.changeCurrencies : undefined) }),
      );
      log.record(days, LATE, START);
      const found = log.read(0, FINAL, 2_000);
      expect(found).toHaveLength(ROLLUP.changesPerRow + 1);
      expect(found.at(-1)!.revenue.map(([currency]) => currency)).not.toContain("(other)");
      expect(new Map(found[0]!.revenue).get("(other)")).toBe(5n * 10n ** 15n);
      const rows = sql.exec<{ bytes: number }>("SELECT length(records) AS bytes FROM changes").toArray();
      expect(rows).toHaveLength(2);
      for (const { bytes } of rows) expect(bytes).toBeLessThan(1_000_000);
    });
  });

  it("keeps so many rows for so long, and the newest of them", async () => {
    await inLog((log, sql) => {
      const rows = () =>
        sql
          .exec<{ at: number }>("SELECT at FROM changes ORDER BY id")
          .toArray()
          .map((row) => row.at);
      const insert = (id: number, ms: number) =>
        sql.exec("INSERT INTO changes VALUES (?, ?, 'late', NULL, 0, 1, '[]')", id, ms);
      for (let id = 1; id <= ROLLUP.changeRows; id++) insert(id, START);
      log.sweep(START + ROLLUP.changesKeptMs);
      expect(rows()).toHaveLength(ROLLUP.changeRows);
      insert(ROLLUP.changeRows + 1, START + 1);
      log.sweep(START + ROLLUP.changesKeptMs);
      expect(rows()).toHaveLength(ROLLUP.changeRows);
      log.sweep(START + ROLLUP.changesKeptMs + 1);
      expect(rows()).toEqual([START + 1]);
      log.sweep(START + ROLLUP.changesKeptMs + 2);
      expect(rows()).toEqual([]);
    });
  });
});

describe("GET /v1/rollups/changes", () => {
  it("gives every change of every shard once, newest first, in pages of any size", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(2), fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }), fc.nat(2)), {
          maxLength: 12,
        }),
        fc.integer({ min: 1, max: 5 }),
        async (recorded, limit) => {
          await reset();
          let records = 0;
          for (const [shard, minutes, step] of recorded) {
            await runInDurableObject(rollups.getByName(`core:00${shard}`), (_, { storage }) => {
              const distinct = [...new Set(minutes)].map((minute) => changed(START + minute * MINUTE_MS));
              records += distinct.length;
              // Times meet often, between shards and within one.
              new ChangeLog(storage.sql).record(distinct, { reason: "rebuild", job: "r" }, FINAL + step);
            });
          }
          const whole = await changes("limit=1000", 3);
          expect(whole.next).toBeNull();
          expect(whole.changes).toHaveLength(records);
          expect(whole.changes.map((one) => one.at)).toEqual(
            whole.changes
              .map((one) => one.at)
              .sort()
              .reverse(),
          );
          const paged: unknown[] = [];
          for (let next: string | null = ""; next !== null; ) {
            const page: ChangesAnswer = await changes(`limit=${limit}&cursor=${next}`, 3);
            expect(page.changes.length).toBeLessThanOrEqual(limit);
            paged.push(...page.changes);
            ({ next } = page);
          }
          expect(paged).toEqual(whole.changes);
        },
      ),
      { numRuns: 8 },
    );
  });

  it.each(["limit=0", `limit=${ROLLUP.changesLimitMax + 1}`, "limit=x", "from=never", "from=2&to=1", "cursor=1.2"])(
    "refuses %s with the parameter's name",
    async (params) => {
      const answer = await readChanges(shardRollups, 1, new URLSearchParams(params));
      expect(answer).toMatchObject({ ok: false, error: { reason: "bad_parameter", parameter: params.split("=")[0] } });
    },
  );

  it("gives at most as many as it may, and says that there are more", async () => {
    await inLog((log) => {
      const many = Array.from({ length: ROLLUP.changesLimitMax }, (_, i) => changed(i * MINUTE_MS));
      log.record(many, LATE, START);
      log.record([changed(START)], { reason: "rebuild", job: "r" }, START);
    });
    expect((await changes()).changes).toHaveLength(ROLLUP.changesLimitDefault);
    const most = await changes(`limit=${ROLLUP.changesLimitMax}`);
    expect(most.changes).toHaveLength(ROLLUP.changesLimitMax);
    expect((await changes(`limit=1&cursor=${most.next}`)).changes).toHaveLength(1);
  });
});

describe("clocks", () => {
  it.each([
    ["1970", 1, false],
    ["2099", Date.UTC(2099, 0) * 1_000, false],
    ["the last moment before 2000", Date.UTC(2000, 0) * 1_000 - 1, false],
    ["2000", Date.UTC(2000, 0) * 1_000, true],
    ["23 hours ahead", (START + 23 * HOUR_MS) * 1_000, true],
    ["25 hours ahead", (START + 25 * HOUR_MS) * 1_000, false],
  ])("promise 8: an event of %s is counted once, in the minute that it is kept under", async (_, clientTime, kept) => {
    const rollup = rollups.getByName("core:000");
    await rollup.apply(batch(1, [at(START - 1)]));
    const { eventTime, clockSkewed } = eventTimes(clientTime, undefined, START * 1_000);
    expect([eventTime, clockSkewed]).toEqual(kept ? [clientTime, false] : [START * 1_000, true]);
    await rollup.apply(batch(2, [plainEvent({ event_time: eventTime })]));
    const hour = Math.floor(eventTime / 1_000 / HOUR_MS) * HOUR_MS;
    const found = async (grain: "minute" | "hour" | "day", span: number) => {
      const from = Math.floor(hour / span) * span;
      const { parts } = await rollup.query({ metric: "events", grain, from, to: from + span });
      return parts.reduce(
        (sum, { values }) => sum + values.reduce((n, value) => n + ("events" in value ? value.events : 0), 0),
        0,
      );
    };
    expect(await found("hour", HOUR_MS)).toBe(1);
    expect(await found("minute", HOUR_MS)).toBe(hour < START - DAY_MS ? 0 : 1);
    expect((await rollup.status()).events).toBe(2);
  });
});

it("an object of the previous version keeps its place and its rows", async () => {
  const rollup = rollups.getByName("core:000");
  await rollup.apply(batch(1, [at(START)]));
  await runInDurableObject(rollup, (_, { storage }) => {
    storage.sql.exec("DROP TABLE position");
    for (const table of ["changes", "rebuilds", "shadow"]) storage.sql.exec(`DROP TABLE ${table}`);
    storage.sql.exec(
      "CREATE TABLE position (id INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, complete_until INTEGER NOT NULL, events INTEGER NOT NULL)",
    );
    storage.sql.exec("INSERT INTO position VALUES (1, 1, ?, 1)", FINAL);
  });
  await evictDurableObject(rollup);
  expect(await rollup.status()).toMatchObject({ lastSeq: 1, events: 1, completeUntil: FINAL, rules: 0 });
  const { incarnation } = await rollup.recent(START, FINAL);
  expect(incarnation).toBeGreaterThan(0);
  await evictDurableObject(rollup);
  expect((await rollup.recent(START, FINAL)).incarnation).toBe(incarnation);
  expect(await rollup.apply(batch(2, [at(START)]))).toEqual({ applied: true, lastSeq: 2 });
});
