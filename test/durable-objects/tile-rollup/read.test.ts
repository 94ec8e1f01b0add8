import { describe, expect, it } from "vitest";
import { parseTileQuery } from "../../../durable-objects/tile-rollup/read.ts";
import { HOUR_MS, MINUTE_MS, TILES } from "../../../r2-layout/limits.ts";
import { tileOf } from "./events.ts";

const NOW = Date.UTC(2026, 10, 22, 5, 30, 20);
const COUNT = tileOf({ measure: "count" });
const FUNNEL = tileOf({ measure: "funnel", steps: ["page", "bought"] });

const query = (params: string, tile = COUNT) => parseTileQuery(tile, new URLSearchParams(params), NOW);
const range = (from: number, grain: string) => `grain=${grain}&from=${new Date(from).toISOString()}`;

describe("a question for a custom rollup", () => {
  it.each([
    ["", COUNT, 1, NOW - HOUR_MS],
    ["grain=hour", COUNT, 60, NOW - 24 * HOUR_MS],
    ["grain=day", COUNT, 1440, NOW - 30 * 24 * HOUR_MS],
    ["", tileOf({ measure: "count", grain_minutes: 5 }), 5, NOW - 24 * HOUR_MS],
    ["", FUNNEL, 1, NOW - MINUTE_MS],
  ] as const)("is by default of a range that fits its grain: '%s'", (params, tile, level, from) => {
    const start = Math.floor(from / (level * MINUTE_MS)) * level * MINUTE_MS;
    expect(query(params, tile)).toEqual({ ok: true, value: { tile: tile.id, level, from: start, to: NOW } });
  });

  it.each([
    ["grain", "grain=5minutes", COUNT],
    ["grain", "grain=day", FUNNEL],
    ["grain", "grain=minute", tileOf({ measure: "count", grain_minutes: 60 })],
    ["by", "by=country", COUNT],
    ["from", "from=tomorrow", COUNT],
    ["from", "from=2026-11-22T06:00Z", COUNT],
  ] as const)("is refused for its %s in '%s'", (parameter, params, tile) => {
    expect(query(params, tile)).toMatchObject({ ok: false, error: { parameter } });
  });

  it("promise 9: reaches back TILES.minutesKeptMs by the minute and TILES.hoursKeptMs by the hour, and not further", () => {
    for (const [grain, keptMs] of [
      ["minute", TILES.minutesKeptMs],
      ["hour", TILES.hoursKeptMs],
    ] as const) {
      expect(query(range(NOW - keptMs, grain))).toMatchObject({ ok: true });
      expect(query(range(NOW - keptMs - 1, grain))).toMatchObject({ ok: false, error: { parameter: "from" } });
      expect(query(range(NOW - keptMs - 1, "day"))).toMatchObject({ ok: true });
    }
  });

  it("promise 9: is of TILES.funnelHours hours of a funnel, and not of one more", () => {
    const whole = Math.floor(NOW / MINUTE_MS) * MINUTE_MS;
    const to = `&to=${new Date(whole).toISOString()}`;
    expect(query(range(whole - TILES.funnelHours * MINUTE_MS, "minute") + to, FUNNEL)).toMatchObject({ ok: true });
    expect(query(range(whole - (TILES.funnelHours + 1) * MINUTE_MS, "minute") + to, FUNNEL)).toMatchObject({
      ok: false,
    });
  });
});
