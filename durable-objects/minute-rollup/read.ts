/** The whole answer of `GET /v1/rollups`: parses the parameters, asks every shard, merges. The edge only routes it. */
import { shardName } from "../../r2-layout/keys.ts";
import { HOUR_MS, INGEST, ROLLUP } from "../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import { MICROS_PER_MS, parseTime } from "../../r2-layout/time.ts";
import type { ObjectNamespace } from "../namespace.ts";
import {
  DIMENSIONS,
  GRAINS,
  METRICS,
  type MinuteRollupApi,
  type RollupParts,
  type RollupPoint,
  type RollupQuery,
} from "./api.ts";
import { GRAIN_MS, grainStart } from "./grains.ts";
import { leastComplete, mergeParts } from "./merge.ts";

export type RollupsProblem =
  | { readonly reason: "bad_parameter"; readonly parameter: string; readonly detail: string }
  | { readonly reason: "upstream_unavailable"; readonly retry_after_s: number };

export interface RollupsAnswer {
  readonly points: readonly RollupPoint[];
  /**
   * ISO 8601, UTC: everything that any shard's log took before it is in the points, and what ended half a minute before it is final. Null
   * while a shard has not been read yet.
   */
  readonly watermark: string | null;
}

/** A sketch is 4 kB at most: so many of them are held at a time, of all shards together. */
const SKETCHES_AT_ONCE = 2_048;

/** @param now milliseconds: the default of `to`, and what "kept 48 hours" is counted from */
export async function readRollups(
  rollups: ObjectNamespace<Pick<MinuteRollupApi, "query">>,
  shards: number,
  params: URLSearchParams,
  now: number,
): Promise<Result<RollupsAnswer, RollupsProblem>> {
  const parsed = parseRollupQuery(params, now);
  if (!parsed.ok) return parsed;
  const query = parsed.value;
  const points: RollupPoint[] = [];
  let completeUntil = Number.POSITIVE_INFINITY;
  try {
    for (const window of windows(query, shards)) {
      const parts = await askShards(rollups, shards, window);
      const merged = parts.some(({ cut }) => cut) ? null : mergeParts(query, parts);
      if (!merged || points.length + merged.length > ROLLUP.pointsPerAnswer) return err(tooManyPoints(query));
      for (const point of merged) points.push(point);
      completeUntil = Math.min(completeUntil, leastComplete(parts));
    }
  } catch (error) {
    console.error(JSON.stringify({ at: "read_rollups", error: String(error) }));
    return err({ reason: "upstream_unavailable", retry_after_s: INGEST.retryAfterSeconds });
  }
  return ok({ points, watermark: completeUntil > 0 ? new Date(completeUntil).toISOString() : null });
}

/**
 * metric=events|users|revenue, grain=minute|hour|day, by=<dimension>, from and to as ISO 8601 or epoch. By default: events
 * of the last hour, by minute. `from` is rounded down to the grain, `to` is exclusive: the minute that holds `to` is in.
 */
export function parseRollupQuery(params: URLSearchParams, now: number): Result<RollupQuery, RollupsProblem> {
  const metric = oneOf(params, "metric", METRICS, "events");
  if (!metric.ok) return metric;
  const grain = oneOf(params, "grain", GRAINS, "minute");
  if (!grain.ok) return grain;
  const by = params.has("by") ? oneOf(params, "by", DIMENSIONS, "event_name") : ok(undefined);
  if (!by.ok) return by;
  if (metric.value === "users" && by.value) return bad("by", "users are counted in total only");
  const to = timeParameter(params, "to", now);
  if (!to.ok) return to;
  const from = timeParameter(params, "from", to.value - HOUR_MS);
  if (!from.ok) return from;
  if (from.value >= to.value) return bad("from", "from must be before to");
  const start = grainStart(grain.value, from.value);
  if ((to.value - start) / GRAIN_MS[grain.value] > ROLLUP.pointsPerAnswer) {
    return bad(
      "from",
      `at most ${ROLLUP.pointsPerAnswer} ${grain.value}s in one answer: ask for less, or a coarser grain`,
    );
  }
  if (grain.value === "minute" && from.value < now - ROLLUP.minutesKeptMs) {
    return bad("from", `minutes are kept ${ROLLUP.minutesKeptMs / HOUR_MS} hours: ask for grain=hour or grain=day`);
  }
  return ok({
    metric: metric.value,
    grain: grain.value,
    from: start,
    to: to.value,
    ...(by.value && { by: by.value }),
  });
}

async function askShards(
  rollups: ObjectNamespace<Pick<MinuteRollupApi, "query">>,
  shards: number,
  query: RollupQuery,
): Promise<RollupParts[]> {
  return Promise.all(
    Array.from({ length: shards }, (_, shard) => rollups.getByName(`core:${shardName(shard)}`).query(query)),
  );
}

/** Users come as sketches, which are large: a long range is asked for in pieces. */
function* windows(query: RollupQuery, shards: number): Generator<RollupQuery> {
  const span = GRAIN_MS[query.grain];
  const step =
    query.metric === "users" ? Math.max(1, Math.floor(SKETCHES_AT_ONCE / shards)) * span : query.to - query.from;
  for (let from = query.from; from < query.to; from += step) {
    yield { ...query, from, to: Math.min(query.to, from + step) };
  }
}

const tooManyPoints = ({ by, grain }: RollupQuery): RollupsProblem => ({
  reason: "bad_parameter",
  parameter: by ? "by" : "from",
  detail: `more than ${ROLLUP.pointsPerAnswer} points: ask for a shorter range${grain === "day" ? "" : " or a coarser grain"}`,
});

function oneOf<const T extends string>(
  params: URLSearchParams,
  parameter: string,
  allowed: readonly T[],
  otherwise: T,
): Result<T, RollupsProblem> {
  const value = params.get(parameter) ?? otherwise;
  return allowed.includes(value as T) ? ok(value as T) : bad(parameter, `one of ${allowed.join(", ")}`);
}

/** Milliseconds. */
export function timeParameter(
  params: URLSearchParams,
  parameter: string,
  otherwise: number,
): Result<number, RollupsProblem> {
  const text = params.get(parameter);
  if (text === null || text === "") return ok(otherwise);
  const us = parseTime(text);
  return us === null ? bad(parameter, "an ISO 8601 time or an epoch number") : ok(us / MICROS_PER_MS);
}

export const bad = (parameter: string, detail: string): { readonly ok: false; readonly error: RollupsProblem } =>
  err({ reason: "bad_parameter", parameter, detail });
