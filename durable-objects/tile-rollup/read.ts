/** The answer of `GET /v1/rollups` for a custom rollup: parses the parameters, asks every shard, merges. The edge only routes it. */
import { shardName } from "../../r2-layout/keys.ts";
import { DAY_MS, HOUR_MS, INGEST, MINUTE_MS, ROLLUP, TILES } from "../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import { bad, type RollupsProblem, timeParameter } from "../minute-rollup/read.ts";
import type { ObjectNamespace } from "../namespace.ts";
import type { TilePoint, TileQuery, TileRollupApi } from "./api.ts";
import { levelMs, levelStart, levelsOf, type TileDefinition, type TileLevel } from "./definition.ts";
import { mergeTileParts } from "./merge.ts";

export interface TilesAnswer {
  readonly points: readonly TilePoint[];
  /** As in RollupsAnswer. */
  readonly watermark: string | null;
}

const GRAINS: Readonly<Record<string, TileLevel>> = { minute: 1, "5minutes": 5, hour: 60, day: 1440 };
const NAMES: Readonly<Record<TileLevel, string>> = { 1: "minute", 5: "5minutes", 60: "hour", 1440: "day" };
/** By default so many starts. */
const RANGE_MS: Readonly<Record<TileLevel, number>> = { 1: HOUR_MS, 5: DAY_MS, 60: DAY_MS, 1440: 30 * DAY_MS };

/** @param now milliseconds */
export async function readTile(
  tiles: ObjectNamespace<Pick<TileRollupApi, "query">>,
  shards: number,
  definition: TileDefinition,
  params: URLSearchParams,
  now: number,
): Promise<Result<TilesAnswer, RollupsProblem>> {
  const parsed = parseTileQuery(definition, params, now);
  if (!parsed.ok) return parsed;
  const query = parsed.value;
  try {
    const parts = await Promise.all(
      Array.from({ length: shards }, (_, shard) => tiles.getByName(`tiles:${shardName(shard)}`).query(query)),
    );
    const points = parts.some(({ cut }) => cut) ? null : mergeTileParts(definition, parts, query.level);
    if (!points || points.length > ROLLUP.pointsPerAnswer) {
      return bad("from", `more than ${ROLLUP.pointsPerAnswer} points: ask for a shorter range or a coarser grain`);
    }
    const completeUntil = Math.min(...parts.map((part) => part.completeUntil));
    return ok({ points, watermark: completeUntil > 0 ? new Date(completeUntil).toISOString() : null });
  } catch (error) {
    console.error(JSON.stringify({ at: "read_tile", error: String(error) }));
    return err({ reason: "upstream_unavailable", retry_after_s: INGEST.retryAfterSeconds });
  }
}

/**
 * grain=minute|5minutes|hour|day, the tile's own by default, and none finer; from and to as for the other rollups. A funnel has a point for
 * the hour that ends with each minute, or for each hour.
 */
export function parseTileQuery(
  definition: TileDefinition,
  params: URLSearchParams,
  now: number,
): Result<TileQuery, RollupsProblem> {
  const isFunnel = definition.measure === "funnel";
  const levels: readonly TileLevel[] = isFunnel ? [1, 60] : levelsOf(definition);
  const level = GRAINS[params.get("grain") ?? NAMES[levels[0]!]];
  if (level === undefined || !levels.includes(level)) {
    return bad("grain", `this rollup has ${levels.map((one) => NAMES[one]).join(", ")}`);
  }
  for (const name of ["by", "filter"]) {
    if (params.has(name)) return bad(name, "a custom rollup has its dimensions and its filter for good");
  }
  const to = timeParameter(params, "to", now);
  if (!to.ok) return to;
  const from = timeParameter(params, "from", to.value - (isFunnel && level === 1 ? MINUTE_MS : RANGE_MS[level]));
  if (!from.ok) return from;
  if (from.value >= to.value) return bad("from", "from must be before to");
  const start = levelStart(level, from.value);
  const starts = (to.value - start) / levelMs(level);
  if (isFunnel && starts > TILES.funnelHours) {
    return bad("from", `at most ${TILES.funnelHours} hours of a funnel in one answer: ask for less, or for grain=hour`);
  }
  if (starts > ROLLUP.pointsPerAnswer) {
    return bad("from", `at most ${ROLLUP.pointsPerAnswer} starts in one answer: ask for less, or a coarser grain`);
  }
  const keptMs = level === 60 && !isFunnel ? TILES.hoursKeptMs : TILES.minutesKeptMs;
  if (level !== 1440 && from.value < now - keptMs) {
    return bad("from", `${NAMES[level]}s of this rollup are kept ${keptMs / HOUR_MS} hours: ask for a coarser grain`);
  }
  return ok({ tile: definition.id, level, from: start, to: to.value });
}
