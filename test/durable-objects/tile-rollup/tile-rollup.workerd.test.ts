import { evictDurableObject, reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { TileBatch } from "../../../durable-objects/tile-rollup/api.ts";
import type { TileDefinition, TileLevel } from "../../../durable-objects/tile-rollup/definition.ts";
import { mergeTileParts } from "../../../durable-objects/tile-rollup/merge.ts";
import { compileTile, tileDeltas } from "../../../durable-objects/tile-rollup/tile-delta.ts";
import type { TileRollup } from "../../../durable-objects/tile-rollup/tile-rollup.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { HOUR_MS, MINUTE_MS, ROLLUP } from "../../../r2-layout/limits.ts";
import { tileOf } from "./events.ts";

const { TILE_ROLLUP: tiles } = env as unknown as { TILE_ROLLUP: DurableObjectNamespace<TileRollup> };
const rollup = () => tiles.getByName("tiles:000");
const HOUR = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 3 * HOUR_MS;
const COUNT = tileOf({ measure: "count", by: ["event_name"] });
const FUNNEL = tileOf({ measure: "funnel", steps: ["page", "bought"] });

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await reset();
});

const event = (atMs: number, event_name = "page", anonymous_id = "phone") =>
  ({ event_time: atMs * 1_000, event_name, anonymous_id }) as EventRow;

const batch = (
  seq: number,
  events: readonly EventRow[],
  more: Partial<TileBatch> = {},
  of = [COUNT, FUNNEL],
): TileBatch => ({
  ...{ shard: 0, from: seq, to: seq, completeUntil: 0, version: 1 },
  deltas: tileDeltas(of.map(compileTile), events),
  ...more,
});

async function pointsOf(tile: TileDefinition, level: TileLevel, from = HOUR, to = HOUR + 2 * HOUR_MS) {
  const parts = await rollup().query({ tile: tile.id, level, from, to });
  return mergeTileParts(tile, [parts], level);
}

const rowsKept = () =>
  runInDurableObject(rollup(), (_, { storage }) => storage.sql.exec("SELECT * FROM tile_rows").toArray().length);

describe("a shard's tiles", () => {
  it("promise 8: a start is provisional, then final, and another version when something late comes, its hour and day too", async () => {
    await rollup().define(1, [COUNT]);
    await rollup().apply(batch(1, [event(HOUR)]));
    expect(await pointsOf(COUNT, 1)).toMatchObject([{ state: "provisional", version: 1, value: 1 }]);
    const tick = { from: 2, to: 1, deltas: [], completeUntil: HOUR + 2 * HOUR_MS + ROLLUP.finalAfterMs };
    expect(await rollup().apply(batch(2, [], tick))).toEqual({ applied: true, lastSeq: 1 });
    expect(await pointsOf(COUNT, 1)).toMatchObject([{ state: "final", version: 1 }]);
    await rollup().apply(batch(2, [event(HOUR), event(HOUR + 5 * MINUTE_MS)]));
    expect(await pointsOf(COUNT, 1)).toMatchObject([
      { state: "final", version: 2, corrected: true, value: 2 },
      { state: "final", version: 2, corrected: true, value: 1 },
    ]);
    expect(await pointsOf(COUNT, 60)).toMatchObject([{ state: "final", corrected: true, value: 3 }]);
    const day = HOUR - (HOUR % (24 * HOUR_MS));
    expect(await pointsOf(COUNT, 1440, day)).toMatchObject([{ value: 3 }]);
  });

  it("says the same before and after its sums go into rows, and after an eviction in between", async () => {
    await rollup().define(1, [COUNT, FUNNEL]);
    await rollup().apply(batch(1, [event(HOUR)]));
    const before = await rowsKept();
    await rollup().apply(batch(2, [event(HOUR), event(HOUR + MINUTE_MS, "bought")]));
    await rollup().apply(batch(3, [event(HOUR + 61 * MINUTE_MS, "bought")]));
    // A batch within the minute writes the position's row and no other.
    expect(await rowsKept()).toBe(before);
    const answers = async () => [await pointsOf(COUNT, 1), await pointsOf(COUNT, 60), await pointsOf(FUNNEL, 60)];
    const pending = await answers();
    expect(pending.map((points) => points.map(({ value }) => value))).toEqual([
      [2, 1, 1],
      [2, 1, 1],
      [1, 1, 0, 0],
    ]);
    await evictDurableObject(rollup());
    expect(await answers()).toEqual(pending);
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now + 2 * MINUTE_MS);
    await rollup().apply(batch(4, []));
    await rollup().apply(batch(5, [event(HOUR + 100 * MINUTE_MS)]));
    expect(await rowsKept()).toBeGreaterThan(before);
    expect((await answers()).map((points) => points.map(({ value }) => value))[0]).toEqual([2, 1, 1, 1]);
  });

  it("promise 2: takes a batch once, no part of one, and none by another list", async () => {
    await rollup().define(2, [COUNT]);
    expect(await rollup().apply(batch(4, [event(HOUR)]))).toEqual({ applied: false, lastSeq: 0, version: 2 });
    const own = { version: 2 };
    expect(await rollup().apply(batch(4, [event(HOUR)], own))).toEqual({ applied: true, lastSeq: 4 });
    expect(await rollup().apply(batch(4, [event(HOUR)], own))).toEqual({ applied: false, lastSeq: 4 });
    expect(await rollup().apply(batch(4, [event(HOUR)], { ...own, to: 5 }))).toEqual({ applied: false, lastSeq: 4 });
    expect(await pointsOf(COUNT, 60)).toMatchObject([{ value: 1 }]);
    const { incarnation } = await rollup().recent(COUNT.id);
    expect(await rollup().apply(batch(7, [event(HOUR)], own))).toEqual({ applied: true, lastSeq: 7, lost: true });
    expect((await rollup().recent(COUNT.id)).incarnation).toBeGreaterThan(incarnation);
  });

  it("counts a funnel over the hour that ends with each minute", async () => {
    await rollup().define(1, [FUNNEL]);
    const events = [event(HOUR), event(HOUR + 59 * MINUTE_MS, "bought"), event(HOUR + 30 * MINUTE_MS, "page", "tv")];
    await rollup().apply(batch(1, events));
    const at = async (minute: number) =>
      (await pointsOf(FUNNEL, 1, HOUR + minute * MINUTE_MS, HOUR + (minute + 1) * MINUTE_MS)).map(({ key, value }) => [
        key.step,
        value,
      ]);
    expect(await at(29)).toEqual([
      ["page", 1],
      ["bought", 0],
    ]);
    expect(await at(59)).toEqual([
      ["page", 2],
      ["bought", 1],
    ]);
    expect(await at(60)).toEqual([
      ["page", 1],
      ["bought", 0],
    ]);
    expect(await at(200)).toEqual([]);
  });
});
