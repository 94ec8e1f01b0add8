import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HubFrame, TilePointOrGone } from "../../../../durable-objects/live-hub/api.ts";
import { LiveBoard } from "../../../../workers/console/live/board.ts";

const T0 = Date.UTC(2026, 10, 22, 10, 0);
const AT = new Date(T0).toISOString();
const point = (minute: number, country: string, value: number, version = 1): TilePointOrGone => ({
  start: new Date(T0 + minute * 60_000).toISOString(),
  key: { country },
  value,
  state: "provisional",
  version,
});
const gone = (minute: number, country: string): TilePointOrGone => ({
  ...point(minute, country, 0),
  value: null,
  gone: true,
});
const tile = (type: "tile" | "tile_snapshot", ...points: TilePointOrGone[]) =>
  ({ type, seq: 1, at: AT, tile: "ta", points }) as HubFrame;
const told = (board: LiveBoard) =>
  board.tile("ta")?.map(({ start, key, value }) => [(start - T0) / 60_000, key.country, value]);

describe("a tile", () => {
  it("is unknown until its snapshot, then each point is the newest of its start and key", () => {
    const board = new LiveBoard();
    expect(board.tile("ta")).toBeNull();
    board.apply(tile("tile_snapshot", point(0, "DE", 1), point(0, "FR", 2)), T0);
    board.apply(tile("tile", point(0, "DE", 5), point(1, "DE", 1)), T0);
    expect(told(board)).toEqual([
      [0, "DE", 5],
      [0, "FR", 2],
      [1, "DE", 1],
    ]);
    board.apply(tile("tile", gone(0, "FR")), T0);
    expect(told(board)).toHaveLength(2);
    board.apply(tile("tile_snapshot", point(2, "DE", 7)), T0);
    expect(told(board)).toEqual([[2, "DE", 7]]);
  });

  it("is the same however often its frames come, after their last state", () => {
    const points = fc.tuple(fc.integer({ min: 0, max: 5 }), fc.constantFrom("DE", "FR"), fc.nat(9));
    fc.assert(
      fc.property(fc.array(fc.array(points, { maxLength: 4 }), { maxLength: 8 }), (frames) => {
        const [once, twice] = [new LiveBoard(), new LiveBoard()];
        for (const frame of frames) {
          const given = tile("tile", ...frame.map((one) => point(...one)));
          once.apply(given, T0);
          twice.apply(given, T0);
          twice.apply(given, T0);
        }
        expect(told(twice)).toEqual(told(once));
      }),
    );
  });

  it("lets go of what is older than its window", () => {
    const board = new LiveBoard();
    board.apply(tile("tile_snapshot", ...Array.from({ length: 100 }, (_, i) => point(i, "DE", i))), T0);
    expect(told(board)).toHaveLength(61);
    expect(told(board)![0]).toEqual([39, "DE", 39]);
  });

  it("tells what was corrected: a value of a start whose version rose, and nothing that a snapshot says", () => {
    const board = new LiveBoard();
    const told = () => board.corrected.map(({ key, before, after, at }) => [key.country, before, after, at - T0]);
    board.apply(tile("tile_snapshot", point(0, "DE", 1), point(1, "DE", 4, 3)), T0);
    board.apply(tile("tile", point(0, "DE", 2), point(1, "DE", 5, 3)), T0 + 1);
    expect(told()).toEqual([]);
    board.apply(tile("tile", point(0, "DE", 2, 2), point(0, "FR", 7, 2), point(1, "DE", 6, 4)), T0 + 2);
    expect(told()).toEqual([
      ["FR", null, 7, 2],
      ["DE", 5, 6, 2],
    ]);
    for (let i = 0; i < 9; i++) board.apply(tile("tile", point(0, "DE", 10 + i, 3 + i)), T0 + 3 + i);
    expect(told()).toHaveLength(5);
    expect(told()[0]).toEqual(["DE", 17, 18, 11]);
  });

  it("says why it cannot be had, until it can", () => {
    const board = new LiveBoard();
    board.apply({ type: "refused", topic: "tile:ta", reason: "too_many_tiles" }, T0);
    expect(board.refusal("ta")).toBe("too_many_tiles");
    board.apply(tile("tile_snapshot"), T0);
    expect(board.refusal("ta")).toBeNull();
    expect(board.tile("ta")).toEqual([]);
  });
});

it("what a connection that came back was told in one go is no burst of events", () => {
  const minute = { start: AT, users: 1, revenue: {}, event_name: [], country: [], device_type: [], page_path: [] };
  const board = new LiveBoard();
  const common = { ...minute, state: "provisional", version: 1 } as const;
  board.apply({ type: "snapshot", seq: 1, at: AT, minutes: [{ ...common, events: 1 }] }, T0);
  board.apply({ type: "minute", seq: 2, at: AT, ...common, events: 900 }, T0 + 60_000);
  expect(board.minutes!.arrivals).toHaveLength(1);
  board.apply({ type: "resumed", seq: 2, at: AT }, T0 + 60_001);
  expect(board.minutes!.arrivals).toEqual([]);
  expect([...board.minutes!.minutes.values()][0]!.events).toBe(900);
});
