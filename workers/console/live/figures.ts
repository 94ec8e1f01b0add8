/**
 * What one tile draws: points, the starts they stand at, and how they are to be read. The last hour comes from the hub; the last 24 hours
 * and 30 days from the same rollups by the hour and the day, asked for now and then. Pure.
 */
import type { Span } from "../../../durable-objects/dashboards/dashboard.ts";
import type { LiveBoard } from "./board.ts";
import { type Definition, fieldsOf, isAdditive } from "./definitions.ts";
import { MINUTE_MS, MINUTES_SHOWN } from "./minutes.ts";
import { lastStarts, NO_VALUE, type Only, type Point, passes, pointsOfMinute, total } from "./points.ts";
import type { Source } from "./source.ts";

const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** One question to GET /v1/rollups, apart from its time: `key` is its parameters. */
export interface PastQuery {
  readonly key: string;
  readonly grainMs: number;
  /** Starts, the running one included. */
  readonly count: number;
}

export type PastAnswer = ReadonlyMap<string, readonly Point[]>;

export type Unit = "count" | "money" | "share" | "number";

export interface Figures {
  readonly points: readonly Point[];
  /** Oldest first, the running one last. */
  readonly starts: readonly number[];
  readonly grainMs: number;
  readonly unit: Unit;
  /** Values of several starts or keys add up. */
  readonly additive: boolean;
  /** What its keys tell apart. */
  readonly fields: readonly string[];
  /** What does not add up, for a longer time as a whole: since then. */
  readonly whole: { readonly since: number; readonly points: readonly Point[] } | null;
}

const PAST = {
  "24h": { grain: "hour", grainMs: HOUR_MS, count: 24 },
  "30d": { grain: "day", grainMs: DAY_MS, count: 30 },
} as const;

type Counted = Extract<Source, { kind: "core" | "rollup" }>;
type Told = Pick<LiveBoard, "minutes" | "tile">;

export const isFunnel = (source: Source): boolean => source.kind === "rollup" && source.definition.measure === "funnel";

const addsUp = (source: Counted): boolean =>
  source.kind === "core" ? source.metric !== "users" : isAdditive(source.definition);

/** What is to be asked for beside what the hub tells. A funnel is of the last hour, whatever the dashboard shows. */
export function queriesOf(source: Source, span: Span): PastQuery[] {
  if ((source.kind !== "core" && source.kind !== "rollup") || isFunnel(source)) return [];
  const queries: PastQuery[] = [];
  const ask = (of: { grain: string; grainMs: number }, count: number) =>
    queries.push({ key: paramsOf(source, of.grain), grainMs: of.grainMs, count });
  if (span !== "60m") ask(PAST[span], PAST[span].count);
  const whole = wholeOf(span);
  if (!addsUp(source) && whole) ask(whole, 1);
  return queries;
}

const wholeOf = (span: Span) => ({ "60m": PAST["24h"], "24h": PAST["30d"], "30d": null })[span];

function paramsOf(source: Counted, grain: string): string {
  if (source.kind === "rollup") return `metric=${source.definition.id}&grain=${grain}`;
  return `metric=${source.metric}&grain=${grain}${source.by ? `&by=${source.by}` : ""}`;
}

/** @returns null until it is known. @param now by the server's clock */
export function figuresOf(source: Counted, span: Span, told: Told, past: PastAnswer, now: number): Figures | null {
  const additive = addsUp(source);
  const shape = { unit: unitOf(source), additive, fields: fieldsShown(source) };
  const only = onlyOf(source);
  const through = (points: readonly Point[] | undefined) => points?.filter((point) => passes(point, only));
  const wholeQuery = additive ? null : wholeOf(span);
  const wholePoints = wholeQuery && through(past.get(paramsOf(source, wholeQuery.grain)));
  const since = wholeQuery ? Math.floor(now / wholeQuery.grainMs) * wholeQuery.grainMs : 0;
  const whole = wholePoints ? { since, points: wholePoints.filter(({ start }) => start === since) } : null;

  const isLive = span === "60m" || isFunnel(source);
  const { grainMs, count } = isLive ? liveGrain(source) : PAST[span];
  const starts = lastStarts(now, grainMs, count);
  const known = isLive ? livePoints(source, told) : through(past.get(paramsOf(source, PAST[span].grain)));
  if (!known) return null;
  const shown = (isLive ? (through(known) ?? []) : known).filter(({ start }) => start >= starts[0]!);
  const points = source.kind === "core" ? shown.map(withoutNone) : shown;
  return { points: oneCurrency(points), starts, grainMs, whole, ...shape };
}

/** The hub's minutes leave out events without a value; so do the lists of a longer time. */
const withoutNone = (point: Point): Point =>
  Object.values(point.key).includes(NO_VALUE) ? { ...point, rest: true } : point;

function livePoints(source: Counted, told: Told): Point[] | undefined {
  if (source.kind === "rollup") return told.tile(source.definition.id)?.slice();
  const { metric, by, only } = source;
  if (!told.minutes) return undefined;
  return [...told.minutes.minutes].flatMap(([start, minute]) => pointsOfMinute(start, minute, metric, by, only));
}

/** An hour of coarser starts begins within one of them. */
function liveGrain(source: Counted): { grainMs: number; count: number } {
  const minutes = source.kind === "core" ? 1 : source.definition.grain_minutes;
  return { grainMs: minutes * MINUTE_MS, count: minutes === 1 ? MINUTES_SHOWN : 60 / minutes + 1 };
}

function fieldsShown(source: Counted): string[] {
  if (source.kind === "rollup") return source.definition.measure === "funnel" ? ["step"] : fieldsOf(source.definition);
  if (source.metric === "revenue") return ["currency"];
  return source.by ? [source.by] : [];
}

function onlyOf(source: Counted): Only {
  if (source.kind === "rollup") return source.only;
  return source.by && source.only ? { [source.by]: source.only } : {};
}

function unitOf(source: Counted): Unit {
  if (source.kind === "core") return source.metric === "revenue" ? "money" : "count";
  return unitOfDefinition(source.definition);
}

export function unitOfDefinition(definition: Definition): Unit {
  const { measure } = definition;
  if (measure === "ratio") return "share";
  if (measure !== "sum") return "count";
  return fieldsOf(definition).includes("currency") ? "money" : "number";
}

/** Amounts of several currencies do not add up: those of the one with the largest sum stay. */
function oneCurrency(points: readonly Point[]): readonly Point[] {
  const byCurrency = Map.groupBy(points, ({ key }) => key.currency);
  if (byCurrency.size < 2) return points;
  return [...byCurrency.values()].sort((one, other) => total(other) - total(one))[0]!;
}
