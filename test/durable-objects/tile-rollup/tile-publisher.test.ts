import { expect, it, vi } from "vitest";
import type { TileUpdate } from "../../../durable-objects/tile-rollup/api.ts";
import { TilePublisher } from "../../../durable-objects/tile-rollup/tile-publisher.ts";
import { MINUTE_MS, ROLLUP, TILES } from "../../../r2-layout/limits.ts";
import { tileOf } from "./events.ts";

const NOW = Date.UTC(2026, 10, 22, 5, 30, 20);
const MINUTE = Date.UTC(2026, 10, 22, 5, 30);
const COUNT = tileOf({ measure: "count" });
const SUM = tileOf({ measure: "sum", column: "revenue" });
const FUNNEL = tileOf({ measure: "funnel", steps: ["page", "bought"] });

/** A store whose tiles have these minutes, and a hub that notes what it is told, and fails as long as the test says. */
function setting(tiles = [COUNT, SUM]) {
  const state = { now: NOW, fails: false, completeUntil: NOW };
  const told: TileUpdate[] = [];
  const part = (start: number) => ({ start, version: 1, approximate: false, values: [] });
  const store = {
    position: () => ({
      started: true,
      lastSeq: 1,
      completeUntil: state.completeUntil,
      version: 1,
      incarnation: 7,
      foldedAt: 0,
    }),
    tiles: () => tiles,
    published: (_: unknown, only: ReadonlySet<number> | null) =>
      (only ? [...only] : [MINUTE - MINUTE_MS, MINUTE]).map(part),
  };
  const hub = {
    async publishTile(update: TileUpdate): Promise<void> {
      if (state.fails) throw new Error("injected");
      told.push(update);
    },
  };
  const publisher = new TilePublisher(() => hub, store, 1);
  const publish = (...changed: [string, number[]][]) =>
    publisher.publish(0, new Map(changed.map(([tile, starts]) => [tile, new Set(starts)])), () => state.now);
  const startsTold = () =>
    told.map(({ tiles: some }) =>
      Object.fromEntries(some.map(({ id, parts }) => [id, parts.map(({ start }) => start)])),
    );
  return { state, told, publish, startsTold, publisher };
}

it("tells the whole window after it was born, then only what changes", async () => {
  const { publish, startsTold } = setting();
  const window = [MINUTE - MINUTE_MS, MINUTE];
  await publish([COUNT.id, [MINUTE]]);
  await publish([SUM.id, [MINUTE]]);
  await publish();
  expect(startsTold()).toEqual([{ [COUNT.id]: window, [SUM.id]: window }, { [SUM.id]: [MINUTE] }]);
});

it("tells what was lost with the next, and that a start has become final", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  const { publish, startsTold, state } = setting([COUNT]);
  await publish();
  state.fails = true;
  await publish([COUNT.id, [MINUTE - MINUTE_MS]]);
  state.fails = false;
  await publish([COUNT.id, [MINUTE]]);
  expect(startsTold().slice(1)).toEqual([{ [COUNT.id]: [MINUTE - MINUTE_MS, MINUTE] }]);
  state.completeUntil = MINUTE + MINUTE_MS + ROLLUP.finalAfterMs;
  await publish();
  expect(startsTold().slice(2)).toEqual([{}]);
  vi.restoreAllMocks();
});

it("tells a funnel every so often, though nobody came: its hour moves on", async () => {
  const { publish, startsTold, state } = setting([FUNNEL]);
  await publish();
  await publish([FUNNEL.id, [MINUTE]]);
  expect(startsTold()).toHaveLength(1);
  state.now += TILES.funnelEveryMs;
  await publish();
  expect(startsTold()).toHaveLength(2);
});

it("tells the whole window again once rows were swapped", async () => {
  const { publish, startsTold, publisher } = setting([COUNT]);
  await publish();
  publisher.tellAll();
  await publish();
  expect(startsTold()).toHaveLength(2);
  expect(startsTold()[1]).toEqual(startsTold()[0]);
});
