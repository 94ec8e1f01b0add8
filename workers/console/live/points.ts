/**
 * The one form that tiles draw: a value of a start and a key. The hub's minutes, the points of a rollup definition and the answers of
 * GET /v1/rollups all become it. Pure: times are arguments.
 */
import type { Dimension, LiveMinute } from "./minutes.ts";

export interface Point {
  /** Milliseconds. */
  readonly start: number;
  readonly key: Readonly<Record<string, string>>;
  /** Null: a ratio of nothing. */
  readonly value: number | null;
  readonly state: "provisional" | "final";
  /** Above 1: it changed after it was final. */
  readonly version: number;
  readonly approximate?: boolean;
  /** What the values that are told apart leave over: part of the total, no value of its own. */
  readonly rest?: boolean;
}

/** As GET /v1/rollups and the hub's tile frames have it. */
export interface PointJson {
  readonly start: string;
  readonly key: Readonly<Record<string, string>>;
  readonly value: number | null;
  readonly state: "provisional" | "final";
  readonly version: number;
  readonly approximate?: boolean;
}

/** How the rollups name what a column lacks, and what a full list no longer tells apart. */
export const NO_VALUE = "(none)";
const OTHERS = "(other)";

export const pointOf = ({ start, key, value, state, version, approximate }: PointJson): Point => ({
  start: Date.parse(start),
  key,
  value,
  state,
  version,
  ...(approximate && { approximate }),
  ...(Object.values(key).includes(OTHERS) && { rest: true }),
});

/** Which values of which fields are let through; a field that is absent is not looked at. */
export type Only = Readonly<Record<string, readonly string[]>>;

export const passes = ({ key }: Point, only: Only): boolean =>
  Object.entries(only).every(([field, values]) => key[field] !== undefined && values.includes(key[field]));

/** A frame lists so many values of a dimension: one that is missing from a full list may still have events. */
const LISTED = 20;

export type MinuteMetric = "events" | "users" | "revenue";

/** @param by the dimension whose values are told apart. @param only of that dimension. */
export function pointsOfMinute(
  start: number,
  minute: LiveMinute,
  metric: MinuteMetric,
  by: Dimension | null = null,
  only: readonly string[] | null = null,
): Point[] {
  const { state, version } = minute;
  const common = { start, state, version } as const;
  if (metric === "users") return [{ ...common, key: {}, value: minute.users }];
  if (metric === "revenue") {
    return Object.entries(minute.revenue).map(([currency, value]) => ({ ...common, key: { currency }, value }));
  }
  if (by === null) return [{ ...common, key: {}, value: minute.events }];
  const listed = new Map(minute[by]);
  if (only) {
    return only.map((value) => ({
      ...common,
      key: { [by]: value },
      value: listed.get(value) ?? 0,
      ...(!listed.has(value) && listed.size >= LISTED && { approximate: true }),
    }));
  }
  const rest = minute.events - [...listed.values()].reduce((sum, events) => sum + events, 0);
  return [
    ...[...listed].map(([value, events]) => ({ ...common, key: { [by]: value }, value: events })),
    ...(rest > 0 ? [{ ...common, key: { [by]: OTHERS }, value: rest, rest: true }] : []),
  ];
}

/** What a key says, by the fields that are told apart. */
export const keyText = (key: Point["key"], fields: readonly string[]): string =>
  fields.map((field) => key[field] ?? NO_VALUE).join(" · ");

/** One place of a chart: all keys of a start, added up; `value` null where there is nothing. */
export interface Bucket {
  readonly start: number;
  readonly value: number | null;
  readonly state: "provisional" | "final" | null;
  readonly version: number;
  readonly approximate: boolean;
}

/** One bucket for each start, whether it has points or not. Values that cannot be added up are for one key at most. */
export function buckets(points: readonly Point[], starts: readonly number[]): Bucket[] {
  const byStart = Map.groupBy(points, ({ start }) => start);
  return starts.map((start) => {
    const here = byStart.get(start) ?? [];
    const values = here.flatMap(({ value }) => (value === null ? [] : [value]));
    return {
      start,
      value: values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0),
      state: here.length === 0 ? null : here.some(({ state }) => state === "provisional") ? "provisional" : "final",
      version: here.reduce((highest, { version }) => Math.max(highest, version), 1),
      approximate: here.some(({ approximate }) => approximate),
    };
  });
}

export interface Ranked {
  readonly key: Point["key"];
  readonly text: string;
  readonly value: number;
}

/** Values over all starts added up by their keys, largest first; what is left over and what has no value is not among them. */
export function ranked(points: readonly Point[], fields: readonly string[]): Ranked[] {
  const sums = new Map<string, { key: Point["key"]; value: number }>();
  for (const { key, value, rest } of points) {
    if (value === null || rest) continue;
    const text = keyText(key, fields);
    sums.set(text, { key, value: (sums.get(text)?.value ?? 0) + value });
  }
  return [...sums]
    .map(([text, { key, value }]) => ({ key, text, value }))
    .filter(({ value }) => value !== 0)
    .sort((one, other) => other.value - one.value || (one.text < other.text ? -1 : 1));
}

export const total = (points: readonly Point[]): number => points.reduce((sum, { value }) => sum + (value ?? 0), 0);

/** Starts of the last `count` lengths of time, oldest first, the running one last. */
export function lastStarts(now: number, grainMs: number, count: number): number[] {
  const current = Math.floor(now / grainMs) * grainMs;
  return Array.from({ length: count }, (_, i) => current - (count - 1 - i) * grainMs);
}
