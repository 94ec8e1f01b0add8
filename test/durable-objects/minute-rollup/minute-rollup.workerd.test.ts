import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { Grain, RollupBatch, RollupParts } from "../../../durable-objects/minute-rollup/api.ts";
import { GRAIN_MS } from "../../../durable-objects/minute-rollup/grains.ts";
import { minuteDeltas, type RolledEvent } from "../../../durable-objects/minute-rollup/minute-delta.ts";
import type { MinuteRollup } from "../../../durable-objects/minute-rollup/minute-rollup.ts";
import { readRollups } from "../../../durable-objects/minute-rollup/read.ts";
import { RollupStore } from "../../../durable-objects/minute-rollup/rollup-store.ts";
import { shardOf } from "../../../r2-layout/event-id.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, PLATFORM, ROLLUP } from "../../../r2-layout/limits.ts";
import { plainEvent, rolledEvent } from "./events.ts";

const rollups = (env as unknown as { MINUTE_ROLLUP: DurableObjectNamespace<MinuteRollup> }).MINUTE_ROLLUP;
/** Two hours ago: kept as minutes, over long enough to be made final at will. */
const START = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 2 * HOUR_MS;

afterEach(() => reset());

function batch(from: number, to: number, events: readonly RolledEvent[], completeUntil = 0): RollupBatch {
  return { shard: 0, from, to, completeUntil, minutes: minuteDeltas(events) };
}

const at = (ms: number, more: Partial<RolledEvent> = {}) => plainEvent({ event_time: ms * 1_000, ...more });

async function points(params: string, shards = 1) {
  const answer = await readRollups(rollups, shards, new URLSearchParams(params), Date.now());
  if (!answer.ok) throw new Error(answer.error.reason);
  return answer.value.points;
}

describe("apply", () => {
  it("promise 2: takes a batch once, and says where it is for one that overlaps or leaves a gap", async () => {
    const rollup = rollups.getByName("core:000");
    const events = [at(START), at(START + 1)];
    expect(await rollup.apply(batch(1, 3, events))).toEqual({ applied: true, lastSeq: 3 });
    expect(await rollup.apply(batch(1, 3, events))).toEqual({ applied: false, lastSeq: 3 });
    await evictDurableObject(rollup);
    expect(await rollup.apply(batch(2, 3, events))).toEqual({ applied: false, lastSeq: 3 });
    expect(await rollup.apply(batch(3, 4, events))).toEqual({ applied: false, lastSeq: 3 });
    expect(await rollup.apply(batch(5, 5, events))).toEqual({ applied: false, lastSeq: 3 });
    expect(await rollup.apply(batch(4, 4, events))).toEqual({ applied: true, lastSeq: 4 });
    expect(await rollup.status()).toMatchObject({ lastSeq: 4, events: 4 });
    expect(await points(`grain=day&from=${START}`)).toMatchObject([{ value: 4 }]);
  });

  it("leaves nothing behind of a batch that fails half-way, neither in rows nor in memory", async () => {
    const rollup = rollups.getByName("core:000");
    await rollup.apply(batch(1, 1, [at(START)]));
    const good = batch(2, 2, [at(START), at(START + MINUTE_MS)]);
    const bad = { ...good, minutes: good.minutes.with(1, { ...good.minutes[1]!, users: Uint8Array.of(9) }) };
    const failure = await runInDurableObject(rollup, (object) => object.apply(bad).then(() => null, String));
    expect(failure).toContain("not a sketch");
    expect(await rollup.status()).toMatchObject({ lastSeq: 1, events: 1 });
    expect(await rollup.apply(good)).toEqual({ applied: true, lastSeq: 2 });
    expect((await points(`from=${START}`)).map(({ value }) => value)).toEqual([2, 1]);
  });

  it("makes hours and days that equal the sums of their minutes, whatever comes in which order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(rolledEvent(START + HOUR_MS - 3 * MINUTE_MS, 6), { maxLength: 30 }), { maxLength: 6 }),
        fc.uuid(),
        async (steps, name) => {
          const rollup = rollups.getByName(name);
          for (const [i, step] of steps.entries()) {
            await rollup.apply(batch(i + 1, i + 1, step));
            if (i === 2) await evictDurableObject(rollup);
          }
          const ask = (grain: Grain) =>
            rollup.query({ metric: "events", grain, from: START - DAY_MS, to: START + DAY_MS, by: "event_name" });
          const minutes = await ask("minute");
          for (const grain of ["hour", "day"] as const) {
            expect(sums(await ask(grain), GRAIN_MS[grain])).toEqual(sums(minutes, GRAIN_MS[grain]));
          }
          expect((await rollup.status()).events).toBe(steps.flat().length);
        },
      ),
      { numRuns: 12 },
    );
  });

  it("counts an event of three days ago in its hour and day, and keeps no minute for it", async () => {
    const rollup = rollups.getByName("core:000");
    const old = START - 3 * DAY_MS;
    await rollup.apply(batch(1, 1, [at(old), at(START)]));
    expect((await points(`grain=hour&from=${old}`)).map(({ value }) => value)).toEqual([1, 1]);
    expect((await points(`grain=day&from=${old}`)).reduce((sum, { value }) => sum + value, 0)).toBe(2);
    const minutes = await rollup.query({ metric: "events", grain: "minute", from: old, to: START + DAY_MS });
    expect(minutes.parts.map(({ start }) => start)).toEqual([START]);
  });

  it("drops a minute 48 hours after its start, and keeps its hour", async () => {
    const rollup = rollups.getByName("core:000");
    await runInDurableObject(rollup, (_, { storage }) => {
      const store = new RollupStore(storage.sql);
      const rows = (table: string) => storage.sql.exec(`SELECT start FROM ${table}`).toArray().length;
      store.apply(batch(1, 1, [at(START)]), START);
      store.apply(batch(2, 2, [at(START + HOUR_MS)]), START + ROLLUP.minutesKeptMs);
      expect([rows("minutes"), rows("hours")]).toEqual([2, 2]);
      store.apply(batch(3, 3, [at(START + HOUR_MS)]), START + ROLLUP.minutesKeptMs + MINUTE_MS);
      expect([rows("minutes"), rows("hours")]).toEqual([1, 2]);
    });
  });

  it("lets go of a rebuild that nobody has added to for a week, and of none that was swapped in", async () => {
    await runInDurableObject(rollups.getByName("core:000"), (_, { storage }) => {
      const store = new RollupStore(storage.sql);
      const kept = () => store.rebuilds.jobs();
      const window = { shard: 0, cursor: 0, after: 0 };
      store.rebuilds.begin({ ...window, job: "building", from: START, to: START + HOUR_MS }, START);
      store.rebuilds.begin({ ...window, job: "swapped", from: START + HOUR_MS, to: START + 2 * HOUR_MS }, START);
      store.rebuilds.swap("swapped", "rebuild", START);
      store.apply(batch(1, 1, []), START + ROLLUP.rebuildIdleMs - 1);
      expect(kept()).toEqual(["building", "swapped"]);
      store.apply(batch(2, 2, []), START + ROLLUP.rebuildIdleMs + MINUTE_MS);
      expect(kept()).toEqual(["swapped"]);
    });
  });

  it("writes four rows for a batch of live traffic, whatever its events, and one for a tick", async () => {
    const rollup = rollups.getByName("core:000");
    await runInDurableObject(rollup, (_, { storage }) => {
      let written = 0;
      const counting = {
        exec(query: string, ...bindings: unknown[]) {
          const cursor = storage.sql.exec(query, ...bindings);
          written += cursor.rowsWritten;
          return cursor;
        },
      } as unknown as SqlStorage;
      const store = new RollupStore(counting);
      store.apply(batch(1, 1, [at(START)]), START);
      written = 0;
      const events = Array.from({ length: 1_000 }, (_, i) => at(START + i, { page_path: `/${i}`, user_id: `u${i}` }));
      store.apply(batch(2, 2, events), START + 1_000);
      expect(written).toBe(4);
      store.apply({ ...batch(3, 2, []), completeUntil: START }, START);
      expect(written).toBe(5);
    });
  });

  it("promise 9: keeps its rows below 1 MB while 50,000 names are invented in a minute, and counts every event", async () => {
    const rollup = rollups.getByName("core:000");
    for (let seq = 1; seq <= 5; seq++) {
      const events = Array.from({ length: 10_000 }, (_, i) =>
        at(START + i, {
          event_name: `${seq}-${i}`,
          page_path: `/${seq}/${i}/${"x".repeat(500)}`,
          user_id: `${seq}-${i}`,
        }),
      );
      await rollup.apply(batch(seq, seq, events));
    }
    const largest = await runInDurableObject(rollup, (_, { storage }) =>
      ["minutes", "hours", "days"].map(
        (table) =>
          storage.sql
            .exec<{ bytes: number }>(
              `SELECT max(length(CAST(event_name AS BLOB)) + length(CAST(page_path AS BLOB)) + length(users)
                 + length(country) + length(device_type) + length(revenue)) AS bytes FROM ${table}`,
            )
            .one().bytes,
      ),
    );
    for (const bytes of largest) {
      expect(bytes).toBeGreaterThan(20_000);
      expect(bytes).toBeLessThan(PLATFORM.sqliteRowBytes / 2);
    }
    const named = await points(`by=event_name&grain=day&from=${START}`);
    expect(named.length).toBeLessThanOrEqual(ROLLUP.valuesPerDimension + 1);
    expect(named.every(({ approximate }) => approximate)).toBe(true);
    expect(named.reduce((sum, { value }) => sum + value, 0)).toBe(50_000);
    expect(await points(`grain=day&from=${START}`)).toMatchObject([{ value: 50_000 }]);
  });
});

describe("finality (promise 8)", () => {
  it("is provisional, then final, and version 2 when a late event comes: minute, hour and day", async () => {
    const rollup = rollups.getByName("core:000");
    const day = Math.floor(START / DAY_MS) * DAY_MS;
    const ends: [Grain, number][] = [
      ["minute", START + MINUTE_MS],
      ["hour", START + HOUR_MS],
      ["day", day + DAY_MS],
    ];
    await rollup.apply(batch(1, 1, [at(START)], START + 1_000));
    let seq = 1;
    for (const [grain, end] of ends) {
      const point = async () => (await points(`grain=${grain}&from=${START}`))[0];
      const value = (await point())!.value;
      const tick = (completeUntil: number) => rollup.apply({ ...batch(seq + 1, seq, []), completeUntil });
      await tick(end + ROLLUP.finalAfterMs - 1);
      expect(await point()).toMatchObject({ value, state: "provisional", version: 1 });
      await tick(end + ROLLUP.finalAfterMs);
      expect(await point()).toMatchObject({ value, state: "final", version: 1 });
      await evictDurableObject(rollup);
      seq++;
      await rollup.apply(batch(seq, seq, [at(START), at(START)], end + ROLLUP.finalAfterMs));
      expect(await point()).toMatchObject({ value: value + 2, state: "final", version: 2 });
    }
  });

  it("gives no new version to what the batch that makes it final brings along", async () => {
    const rollup = rollups.getByName("core:000");
    await rollup.apply(batch(1, 1, [at(START)], START));
    await rollup.apply(batch(2, 2, [at(START)], START + HOUR_MS));
    expect((await points(`from=${START}`))[0]).toMatchObject({ value: 2, state: "final", version: 1 });
  });

  it("starts at version 2 where a final minute had no events", async () => {
    const rollup = rollups.getByName("core:000");
    await rollup.apply({ ...batch(1, 0, []), completeUntil: START + HOUR_MS });
    await rollup.apply(batch(1, 1, [at(START)], START + HOUR_MS));
    expect((await points(`from=${START}`))[0]).toMatchObject({ value: 1, state: "final", version: 2 });
  });

  it("takes completeUntil from a repeated batch, and never moves it back", async () => {
    const rollup = rollups.getByName("core:000");
    await rollup.apply(batch(1, 1, [at(START)], 1_000));
    await rollup.apply(batch(1, 1, [at(START)], 2_000));
    await rollup.apply({ ...batch(2, 1, []), completeUntil: 500 });
    expect(await rollup.status()).toMatchObject({ completeUntil: 2_000, lastSeq: 1, events: 1 });
  });
});

it("merges four shards to what one shard says: events, users and revenue, by every grain", async () => {
  const events = fc.sample(rolledEvent(START, 5), { numRuns: 400, seed: 7 });
  const four: RolledEvent[][] = [[], [], [], []];
  for (const [i, event] of events.entries()) {
    four[shardOf({ source: "test", event_id: String(i), ...event }, 4)]!.push(event);
  }
  expect(four.every((shard) => shard.length > 0)).toBe(true);
  for (const [k, shard] of four.entries()) {
    await rollups.getByName(`core:00${k}`).apply({ ...batch(1, 1, shard, START), shard: k });
  }
  const questions = [
    "metric=events",
    "metric=events&by=page_path",
    "metric=users",
    "metric=revenue&by=country",
  ].flatMap((question) => ["minute", "hour", "day"].map((grain) => `${question}&grain=${grain}&from=${START}`));
  const ofFour = await Promise.all(questions.map((question) => points(question, 4)));
  await reset();
  await rollups.getByName("core:000").apply(batch(1, 1, events, START));
  for (const [i, question] of questions.entries()) {
    const ofOne = await points(question);
    expect(ofOne.length, question).toBeGreaterThan(0);
    expect(sorted(ofFour[i]!), question).toEqual(sorted(ofOne));
  }
});

/** Largest first leaves the order of equals open. */
const sorted = (values: readonly unknown[]) => values.map((value) => JSON.stringify(value)).sort();

/** Events by start of the span and value. */
function sums({ parts }: RollupParts, spanMs: number): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { start, values } of parts) {
    for (const value of values) {
      if (!("events" in value)) continue;
      const key = `${Math.floor(start / spanMs) * spanMs} ${value.key}`;
      found[key] = (found[key] ?? 0) + value.events;
    }
  }
  return found;
}
