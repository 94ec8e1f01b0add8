import { describe, expect, it } from "vitest";
import { columnsOf, linesOf, perSecond } from "../../../../workers/console/live/chart-data.ts";
import type { Definition } from "../../../../workers/console/live/definitions.ts";
import { figuresOf, queriesOf } from "../../../../workers/console/live/figures.ts";
import type { LiveMinute, LiveState } from "../../../../workers/console/live/minutes.ts";
import { buckets, type Point, ranked, total } from "../../../../workers/console/live/points.ts";
import type { Source } from "../../../../workers/console/live/source.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const T0 = Date.UTC(2026, 10, 22, 10, 0);

const minute = (events: number, more: Partial<LiveMinute> = {}): LiveMinute => ({
  start: "",
  events,
  users: 3,
  revenue: {},
  event_name: [],
  country: [],
  device_type: [],
  page_path: [],
  state: "final",
  version: 1,
  ...more,
});
const stateOf = (minutes: Readonly<Record<number, LiveMinute>>): LiveState => ({
  minutes: new Map(
    Object.entries(minutes)
      .map(([place, one]) => [T0 + Number(place) * MINUTE, one] as const)
      .sort(([one], [other]) => one - other),
  ),
  clockOffset: 0,
  since: T0,
  arrivals: [],
});
const told = (minutes: LiveState | null, tile: readonly Point[] | null = null) => ({ minutes, tile: () => tile });
const core = (rest: Partial<Extract<Source, { kind: "core" }>> = {}) =>
  ({ kind: "core", metric: "events", by: null, only: null, ...rest }) as const;
const rollup = (rest: Partial<Definition>) =>
  ({
    kind: "rollup",
    only: {},
    definition: {
      id: "ta",
      name: "",
      measure: "count",
      by: [],
      grain_minutes: 1,
      filter: {},
      state: "ready",
      progress: 1,
      ...rest,
    },
  }) as const;
const at = (ms: number, value: number | null, key: Point["key"] = {}, more: Partial<Point> = {}): Point => ({
  start: ms,
  key,
  value,
  state: "final",
  version: 1,
  ...more,
});
const NO_PAST = new Map<string, readonly Point[]>();

describe("the last hour", () => {
  it("has sixty minutes, the running one last, and the sum of their events", () => {
    const figures = figuresOf(
      core(),
      "60m",
      told(stateOf({ "-90": minute(9), "-1": minute(5), 0: minute(2) })),
      NO_PAST,
      T0,
    )!;
    expect(figures.starts).toHaveLength(60);
    expect(figures.starts.at(-1)).toBe(T0);
    expect(total(figures.points)).toBe(7);
    expect(
      buckets(figures.points, figures.starts)
        .slice(-3)
        .map(({ value }) => value),
    ).toEqual([null, 5, 2]);
  });

  it("keeps the total of what a list does not name, and leaves that out of the list", () => {
    const source = core({ by: "country" });
    const countries: [string, number][] = [
      ["DE", 3],
      ["FR", 4],
    ];
    const figures = figuresOf(source, "60m", told(stateOf({ 0: minute(10, { country: countries }) })), NO_PAST, T0)!;
    expect(total(figures.points)).toBe(10);
    expect(ranked(figures.points, ["country"]).map(({ text, value }) => [text, value])).toEqual([
      ["FR", 4],
      ["DE", 3],
    ]);
  });

  it("says that a value may be too low where a full list does not name it", () => {
    const full = Array.from({ length: 20 }, (_, i): [string, number] => [`C${i}`, 5]);
    const state = stateOf({ "-1": minute(10, { country: [["DE", 3]] }), 0: minute(200, { country: full }) });
    const figures = figuresOf(core({ by: "country", only: ["FR"] }), "60m", told(state), NO_PAST, T0)!;
    expect(figures.points.map(({ value, approximate }) => [value, approximate])).toEqual([
      [0, undefined],
      [0, true],
    ]);
  });

  it("shows amounts of the currency that has most, since others do not add up", () => {
    const state = stateOf({
      "-1": minute(1, { revenue: { EUR: 10, USD: 8 } }),
      0: minute(1, { revenue: { USD: 20 } }),
    });
    const figures = figuresOf(core({ metric: "revenue" }), "60m", told(state), NO_PAST, T0)!;
    expect(figures).toMatchObject({ unit: "money" });
    expect(figures.points.map(({ key, value }) => [key.currency, value])).toEqual([
      ["USD", 8],
      ["USD", 20],
    ]);
  });

  it("is not known before the hub has told it, of a tile before its snapshot", () => {
    expect(figuresOf(core(), "60m", told(null), NO_PAST, T0)).toBeNull();
    expect(figuresOf(rollup({}), "60m", told(stateOf({})), NO_PAST, T0)).toBeNull();
    expect(figuresOf(rollup({}), "60m", told(stateOf({}), []), NO_PAST, T0)).toMatchObject({ points: [] });
  });

  it("of a coarser rollup begins within one of its starts", () => {
    const five = figuresOf(rollup({ grain_minutes: 5 }), "60m", told(null, []), NO_PAST, T0 + MINUTE)!;
    expect([five.starts[0], five.starts.at(-1), five.starts.length]).toEqual([T0 - HOUR, T0, 13]);
  });

  it("passes on what the dashboard lets through only", () => {
    const points = [at(T0, 1, { country: "DE", step: "a" }), at(T0, 2, { country: "FR", step: "a" })];
    const source = { ...rollup({ by: ["country"] }), only: { country: ["FR"] } };
    expect(figuresOf(source, "60m", told(null, points), NO_PAST, T0)!.points).toEqual([points[1]]);
  });
});

describe("a longer time", () => {
  it("is asked for by the hour and the day, of the same rollup, with what does not add up as a whole besides", () => {
    const keys = (source: Source, span: "60m" | "24h" | "30d") =>
      queriesOf(source, span).map(({ key, count }) => [key, count]);
    expect(keys(core(), "60m")).toEqual([]);
    expect(keys(core({ by: "country" }), "24h")).toEqual([["metric=events&grain=hour&by=country", 24]]);
    expect(keys(core({ metric: "users" }), "60m")).toEqual([["metric=users&grain=hour", 1]]);
    expect(keys(core({ metric: "users" }), "24h")).toEqual([
      ["metric=users&grain=hour", 24],
      ["metric=users&grain=day", 1],
    ]);
    expect(keys(rollup({ measure: "ratio" }), "30d")).toEqual([["metric=ta&grain=day", 30]]);
    expect(keys(rollup({ measure: "funnel" }), "30d")).toEqual([]);
  });

  it("is not known before its answer, and a funnel stays what it is: of the last hour", () => {
    expect(figuresOf(core(), "24h", told(stateOf({})), NO_PAST, T0)).toBeNull();
    const past = new Map([["metric=events&grain=hour", [at(T0 - HOUR, 4), at(T0 - 25 * HOUR, 9)]]]);
    const figures = figuresOf(core(), "24h", told(stateOf({})), past, T0 + MINUTE)!;
    expect(figures.starts).toHaveLength(24);
    expect(total(figures.points)).toBe(4);
    const funnel = rollup({ measure: "funnel", steps: ["a", "b"] });
    expect(figuresOf(funnel, "30d", told(null, [at(T0, 1, { step: "a" })]), NO_PAST, T0)).toMatchObject({
      grainMs: MINUTE,
    });
  });

  it("gives the running hour of users as a whole", () => {
    const past = new Map([["metric=users&grain=hour", [at(T0 - HOUR, 8), at(T0, 5)]]]);
    const figures = figuresOf(core({ metric: "users" }), "60m", told(stateOf({ 0: minute(1) })), past, T0 + MINUTE)!;
    expect(figures.whole).toMatchObject({ since: T0, points: [{ value: 5 }] });
  });
});

describe("a chart", () => {
  const starts = [T0, T0 + MINUTE, T0 + 2 * MINUTE];
  const figures = (points: Point[]) =>
    ({ points, starts, grainMs: MINUTE, unit: "count", additive: true, fields: ["country"], whole: null }) as const;

  it("draws one value as bars: final, provisional and corrected apart, nothing where nothing is", () => {
    const points = [at(T0, 2, {}, { version: 3 }), at(starts[2]!, 1, {}, { state: "provisional" })];
    const lines = linesOf(figures(points), []);
    expect(columnsOf(lines, starts).slice(1)).toEqual([
      [2, null, null],
      [null, null, 1],
      [2, null, null],
    ]);
  });

  it("draws a line for each of the largest, which goes on where there is nothing, and joins its provisional end", () => {
    const de = { country: "DE" };
    const points = [at(T0, 2, de), at(starts[2]!, 4, de, { state: "provisional" }), at(T0, 1, { country: "FR" })];
    const lines = linesOf(figures(points), ["country"]);
    expect(lines.map(({ text }) => text)).toEqual(["DE", "FR"]);
    expect(columnsOf(lines, starts).slice(1, 3)).toEqual([
      [2, 0, null],
      [null, 0, 4],
    ]);
  });

  it("divides what is running by the time that it has had", () => {
    const lines = linesOf(figures([at(T0, 60), at(starts[2]!, 60)]), []);
    const [line] = perSecond(lines, MINUTE, starts[2]! + 30_000);
    expect(line!.places.map(({ value }) => value)).toEqual([1, null, 2]);
  });
});
