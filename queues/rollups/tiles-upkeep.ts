/**
 * Jobs of custom rollups: who asks for one, and those that nobody asks for. Called by the cron; doing it twice is doing it once, or a
 * job that finds all of it done.
 *
 *     the edge died between a definition and its job    the cron makes one
 *     a shard's object lost rows (tiles.ts)             all tiles are filled anew
 *     shards were split                                 the new ones are told of the list, and what they had before is filled in
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { ReplayDeskApi, TilesSpec } from "../../durable-objects/replay-desk/api.ts";
import { TILE_REGISTRY_NAME, type TileRecord, type TileRegistryApi } from "../../durable-objects/tile-rollup/api.ts";
import { MINUTE_MS, REPLAY, TILES } from "../../r2-layout/limits.ts";
import { type HourRange, mergeRanges } from "../replay/hour-ranges.ts";

export interface TilesUpkeepDeps {
  readonly desk: Pick<ReplayDeskApi, "create">;
  readonly registry: ObjectNamespace<Pick<TileRegistryApi, "list" | "assign">>;
  readonly shards: number;
}

type Work = Pick<TilesSpec, "tiles" | "windows"> & Partial<Pick<TilesSpec, "firstShard">>;

/** Twice is once. @returns false where the desk takes no more jobs just now. */
export async function createTilesJob(desk: Pick<ReplayDeskApi, "create">, id: string, work: Work): Promise<boolean> {
  const answer = await desk.create({ id, spec: { kind: "tiles", firstShard: 0, rate: REPLAY.rate, ...work } });
  return answer.kind === "created" || answer.kind === "known";
}

export async function createTileJobs(
  { desk, registry: registries, shards }: TilesUpkeepDeps,
  nowMs: number,
): Promise<void> {
  const registry = registries.getByName(TILE_REGISTRY_NAME);
  const { version, records } = await registry.list();
  const minute = Math.floor(nowMs / MINUTE_MS);
  const create = async (id: string, due: readonly TileRecord[], firstShard: number) => {
    if (due.length === 0) return;
    const tiles = due.map(({ definition }) => definition.id);
    if (await createTilesJob(desk, id, { tiles, windows: null, firstShard })) await registry.assign(tiles, id);
  };
  const unfilled = records.filter(
    ({ filled, job, createdAt }) => !filled && job === null && createdAt < nowMs - MINUTE_MS,
  );
  await create(`tiles-fill-v${version}-${minute}`, unfilled, 0);
  // One that has its job waits for it, or for somebody who resumes it.
  const split = `tiles-split-${shards}-`;
  const lacking = records.filter((record) => record.filled && record.shards < shards && !record.job?.startsWith(split));
  const first = Math.min(...lacking.map((record) => record.shards));
  await create(`${split}v${version}-${minute}`, lacking, first);
}

/** The job that `refillTiles` makes. */
export const tilesAfter = (cause: string): string => `tiles-after-${cause}`;

/**
 * After a correction or a rebuild: these hours of all tiles, in a job named by the one that has touched them.
 * @throws Error where the desk takes no more jobs just now: time cures it
 */
export async function refillTiles(
  { desk, registry }: Pick<TilesUpkeepDeps, "desk" | "registry">,
  cause: string,
  windows: readonly HourRange[],
): Promise<void> {
  if (windows.length === 0 || (await registry.getByName(TILE_REGISTRY_NAME).list()).records.length === 0) return;
  const work = { tiles: null, windows: mergeRanges(windows, TILES.windows) };
  if (await createTilesJob(desk, tilesAfter(cause), work)) return;
  throw new Error("the replay desk takes no more jobs just now, and custom rollups are to follow this one");
}
