import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addUser, emptySketch, encodeSketch } from "../../../durable-objects/minute-rollup/user-sketch.ts";
import { levelStart } from "../../../durable-objects/tile-rollup/definition.ts";
import { mergeTileParts } from "../../../durable-objects/tile-rollup/merge.ts";
import { compileTile, tileDeltas } from "../../../durable-objects/tile-rollup/tile-delta.ts";
import {
  capTile,
  cellOf,
  decodeTile,
  emptyTile,
  encodeTile,
  mergeTile,
  OTHER,
  SHOWN,
  sameTile,
  type TileState,
} from "../../../durable-objects/tile-rollup/tile-state.ts";
import type { EventRow } from "../../../r2-layout/event-columns.ts";
import { TILES } from "../../../r2-layout/limits.ts";
import { ALL_TILES, tiledEvent, tileOf } from "./events.ts";
import { plainPoints, shownPoints } from "./reference.ts";

const HOUR = Date.UTC(2026, 10, 22, 5);
const FUNNEL = tileOf({ measure: "funnel", steps: ["page", "bought"] });

/** The state of each start, of events in parts that were merged in this order. */
function merged(tile: (typeof ALL_TILES)[number], parts: readonly (readonly EventRow[])[]): Map<number, TileState> {
  const starts = new Map<number, TileState>();
  for (const part of parts) {
    for (const { start, state } of tileDeltas([compileTile(tile)], part)) {
      const into = starts.get(start) ?? emptyTile();
      mergeTile(into, decodeTile(JSON.parse(JSON.stringify(state))));
      starts.set(start, into);
    }
  }
  return starts;
}

const events = fc.array(tiledEvent(HOUR, 12), { maxLength: 30 });

describe("a tile's state", () => {
  it("says what adding up all events says, and the same in whatever parts and order they came", () => {
    fc.assert(
      fc.property(events, events, events, (a, b, c) => {
        for (const tile of [...ALL_TILES, FUNNEL]) {
          const inOrder = merged(tile, [a, b, c]);
          const another = merged(tile, [c, [...b, ...a]]);
          expect([...another.keys()].sort()).toEqual([...inOrder.keys()].sort());
          for (const [start, state] of inOrder) expect(sameTile(state, another.get(start)!)).toBe(true);
          if (tile === FUNNEL) continue;
          const parts = [...inOrder].map(([start, { values, approximate }]) => ({
            ...{ start, version: 1, approximate },
            values: [...values].map(([key, { events: n, denominator, micro, users }]) => ({
              ...{ key: JSON.parse(key) as string[], events: n, denominator, micro },
              ...(users && { users: encodeSketch(users) }),
            })),
          }));
          const points = mergeTileParts(tile, [{ completeUntil: 0, parts }]);
          expect(shownPoints(points)).toEqual(plainPoints(tile, tile.grainMinutes, [...a, ...b, ...c]));
        }
      }),
      { numRuns: 60 },
    );
  });

  it("promise 9: keeps TILES.valuesPerRow values exactly; beyond, the smallest are in (other), and the sum is what it was", () => {
    const state = emptyTile();
    for (let n = 0; n < TILES.valuesPerRow; n++) cellOf(state, `["${n}"]`).events = n + 1;
    capTile(state);
    expect(state).toMatchObject({ approximate: false });
    expect(state.values.size).toBe(TILES.valuesPerRow);
    cellOf(state, '["one more"]').events = 10_000;
    capTile(state);
    expect(state.approximate).toBe(true);
    expect(state.values.size).toBe(TILES.valuesPerRow + 1);
    expect(state.values.get(OTHER)!.events).toBe(1);
    const sum = [...state.values.values()].reduce((all, { events: n }) => all + n, 0);
    expect(sum).toBe((TILES.valuesPerRow * (TILES.valuesPerRow + 1)) / 2 + 10_000);
  });

  it("promise 9: keeps TILES.sketchesPerRow values where each has a sketch, and TILES.rowBytes of text", () => {
    const distinct = emptyTile();
    for (let n = 0; n <= TILES.sketchesPerRow; n++) {
      const cell = cellOf(distinct, `["${n}"]`);
      cell.events = n + 1;
      cell.users = emptySketch();
      addUser(cell.users, String(n));
      if (n !== TILES.sketchesPerRow - 1) continue;
      capTile(distinct);
      expect(distinct.approximate).toBe(false);
    }
    capTile(distinct);
    expect([distinct.approximate, distinct.values.size]).toEqual([true, TILES.sketchesPerRow + 1]);
    const long = emptyTile();
    const key = "x".repeat(2_000);
    const fits = Math.floor(TILES.rowBytes / (2 * key.length + 60));
    for (let n = 0; n < fits; n++) cellOf(long, `${key}${n}`).events = 1;
    capTile(long);
    expect(long.approximate).toBe(false);
    for (let n = fits; n < 2 * fits; n++) cellOf(long, `${key}${n}`).events = 1;
    capTile(long);
    expect(long.approximate).toBe(true);
    expect(JSON.stringify(encodeTile(long)).length).toBeLessThan(TILES.rowBytes);
  });

  it("shows screens TILES.publishedValues values, fewer with sketches: TILES.publishedSketches; TILES.publishedBytes in all", () => {
    const [plain, distinct] = [emptyTile(), emptyTile()];
    for (let n = 0; n < TILES.publishedValues; n++) cellOf(plain, `["${n}"]`).events = n + 1;
    for (let n = 0; n < TILES.publishedSketches; n++) {
      Object.assign(cellOf(distinct, `["${n}"]`), { events: n + 1, users: emptySketch() });
    }
    for (const state of [plain, distinct]) capTile(state, SHOWN);
    expect([plain, distinct].map(({ approximate }) => approximate)).toEqual([false, false]);
    cellOf(plain, '["more"]').events = 1;
    Object.assign(cellOf(distinct, '["more"]'), { events: 1, users: emptySketch() });
    for (const state of [plain, distinct]) capTile(state, SHOWN);
    expect([plain, distinct].map(({ approximate, values }) => [approximate, values.size])).toEqual([
      [true, TILES.publishedValues + 1],
      [true, TILES.publishedSketches + 1],
    ]);
    const long = emptyTile();
    const key = "x".repeat(500);
    const fits = Math.floor(TILES.publishedBytes / (2 * key.length + 50));
    for (let n = 0; n < fits; n++) cellOf(long, `${key}${n}`).events = 1;
    capTile(long, SHOWN);
    expect(long.approximate).toBe(false);
    for (let n = fits; n < 2 * fits; n++) cellOf(long, `${key}${n}`).events = 1;
    capTile(long, SHOWN);
    expect(long.approximate).toBe(true);
  });

  it("cuts a dimension's value to TILES.keyBytes", () => {
    const tile = tileOf({ measure: "count", by: [{ property: "plan" }] });
    const plan = "é".repeat(TILES.keyBytes);
    const event = { ...fc.sample(tiledEvent(HOUR, 1), 1)[0]!, properties: { plan } };
    const [delta] = tileDeltas([compileTile(tile)], [event]);
    const [key] = JSON.parse(delta!.state.values[0]![0]) as string[];
    expect(Buffer.byteLength(key!)).toBe(TILES.keyBytes);
    const short = { ...event, properties: { plan: plan.slice(0, TILES.keyBytes / 2) } };
    expect(tileDeltas([compileTile(tile)], [short])[0]!.state).toEqual(delta!.state);
  });

  it("promise 9: follows TILES.funnelActors users; beyond, the same sample in whatever order they came", () => {
    const users = Array.from({ length: 2 * TILES.funnelActors }, (_, i) =>
      i.toString(16).padStart(16, "0").split("").reverse().join(""),
    );
    const add = (state: TileState, some: readonly string[]) => {
      for (const user of some) cellOf(state, user).times ??= [0, 0, -1, -1];
      capTile(state);
    };
    const [one, other] = [emptyTile(), emptyTile()];
    add(one, users.slice(0, TILES.funnelActors));
    expect(one.below).toBeNull();
    add(one, users.slice(TILES.funnelActors));
    for (let n = users.length; n > 0; n -= 3_000) add(other, users.slice(Math.max(0, n - 3_000), n));
    expect(one.values.size).toBe(TILES.funnelActors);
    expect(one.below).not.toBeNull();
    expect(sameTile(one, other)).toBe(true);
  });

  it("starts of each level hold the time that they are of", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: Date.UTC(2100, 0) }),
        fc.constantFrom(1, 5, 60, 1440 as const),
        (ms, level) => {
          const start = levelStart(level, ms);
          expect(start % (level * 60_000)).toBe(0);
          expect(ms - start).toBeLessThan(level * 60_000);
        },
      ),
    );
  });
});
