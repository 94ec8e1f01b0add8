/**
 * Custom rollups that are defined, and some of them deleted and defined again, while a run goes on, beside all that its seed draws
 * (`--tiles`), and what they must then say: what adding up the log says, in every shard, whatever crashed while their past was filled
 * in, whatever was corrected, rebuilt or split. Drawn from a chance of their own, so that a seed without them stays the run that it is.
 */
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { REPLAY_DESK_NAME, type ReplayDeskApi } from "../../durable-objects/replay-desk/api.ts";
import { TILE_REGISTRY_NAME, type TileRegistryApi, type TileRollupApi } from "../../durable-objects/tile-rollup/api.ts";
import { levelsOf, type TileDefinition } from "../../durable-objects/tile-rollup/definition.ts";
import { mergeTileParts } from "../../durable-objects/tile-rollup/merge.ts";
import { tilesName } from "../../queues/rollups/tiles.ts";
import { createTilesJob } from "../../queues/rollups/tiles-upkeep.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { Random } from "../../scripts/demo/random.ts";
import { tileOf } from "../durable-objects/tile-rollup/events.ts";
import { plainPoints, shownPoints } from "../durable-objects/tile-rollup/reference.ts";
import type { Fail } from "./audit.ts";
import { Process } from "./platform/scheduler.ts";
import type { Hang } from "./platform/weather.ts";
import type { World } from "./world.ts";

const SECOND_MS = 1_000;

const TILES: readonly TileDefinition[] = [
  tileOf({ measure: "count", by: ["event_name", "country"], grain_minutes: 60 }),
  tileOf({ measure: "sum", column: "revenue", by: ["country"], grain_minutes: 5 }),
  tileOf({ measure: "distinct", column: "anonymous_id", grain_minutes: 60 }),
  tileOf({ measure: "ratio", numerator: { country: ["DE", "AT"] }, by: ["app_version"] }),
];

/** A batch that is under way while its list is announced, and comes once a fill has begun. */
export const TILE_HANGS: readonly Hang[] = [
  {
    ...{ target: /^TileRollup\.apply$/, chance: 0.3, times: 6, until: /^TileRollup\.begin$/ },
    ...{ fromMs: SECOND_MS, toMs: 15 * SECOND_MS, withAll: 0 },
  },
];

interface TileBindings {
  readonly REPLAY_DESK: ObjectNamespace<ReplayDeskApi>;
  readonly TILE_REGISTRY: ObjectNamespace<TileRegistryApi>;
}

export function planTiles(world: World, seed: number): void {
  const random = new Random(seed ^ 0x711e);
  for (const tile of TILES) {
    if (random.chance(0.25)) continue;
    world.pending++;
    let deletes = random.chance(0.3);
    const begin = (inMs: number): void => {
      const process = new Process(`who defines ${tile.measure}`);
      let over = false;
      const next = (more: boolean) => {
        if (over) return;
        over = true;
        if (more) begin(random.next() * 30 * SECOND_MS);
        else world.pending--;
      };
      process.onDeath.push(() => next(true));
      world.scheduler.after(inMs, process, process.name, () => {
        const env = world.bindings("edge", process) as unknown as TileBindings;
        const work = deletes ? defineAndDelete(env, tile) : define(env, tile);
        work.then(
          () => {
            const more = deletes;
            deletes = false;
            next(more);
          },
          () => next(true),
        );
      });
    };
    begin(random.next() * random.pick([5, 30, 300]) * SECOND_MS);
  }
}

/** As the edge does it. */
async function define({ TILE_REGISTRY, REPLAY_DESK }: TileBindings, tile: TileDefinition): Promise<void> {
  const registry = TILE_REGISTRY.getByName(TILE_REGISTRY_NAME);
  const answer = await registry.define(tile);
  if (answer.kind === "full") throw new Error("full");
  const id = `tiles-${tile.id}-v${answer.version}`;
  const made = await createTilesJob(REPLAY_DESK.getByName(REPLAY_DESK_NAME), id, { tiles: [tile.id], windows: null });
  if (made && answer.record.job === null) await registry.assign([tile.id], id);
}

async function defineAndDelete(env: TileBindings, tile: TileDefinition): Promise<void> {
  await define(env, tile);
  const version = await env.TILE_REGISTRY.getByName(TILE_REGISTRY_NAME).remove(tile.id);
  const desk = env.REPLAY_DESK.getByName(REPLAY_DESK_NAME);
  if (version !== null) await createTilesJob(desk, `tiles-without-v${version}`, { tiles: [], windows: null });
}

export interface TileAuditEnv {
  readonly TILE_REGISTRY: ObjectNamespace<Pick<TileRegistryApi, "list">>;
  readonly TILE_ROLLUP: ObjectNamespace<Pick<TileRollupApi, "query">>;
}

/** @param events as the rollups have to have them */
export async function auditTiles(
  world: World,
  env: TileAuditEnv,
  events: readonly EventRow[],
  fail: Fail,
): Promise<void> {
  const { scheduler, shards, damaged, weather } = world;
  // A tile that is new goes without what nobody can read any more, though the rollups had read it; its job says so.
  if (damaged.size > 0) {
    weather.count("unaudited", "tiles");
    return;
  }
  const { records } = await env.TILE_REGISTRY.getByName(TILE_REGISTRY_NAME).list();
  // By hours and days: minutes of the run's beginning may be gone by its end.
  const range = { from: 0, to: Math.floor(scheduler.now) + 400 * 24 * 3_600 * SECOND_MS };
  for (const { definition, filled, job } of records) {
    if (!filled) fail(`tile ${definition.id} was never filled, its job is ${job}`);
    for (const level of levelsOf(definition).filter((one) => one >= 60)) {
      for (let shard = 0; shard < shards; shard++) {
        const parts = await env.TILE_ROLLUP.getByName(tilesName(shard)).query({ tile: definition.id, level, ...range });
        const found = shownPoints(mergeTileParts(definition, [parts], level));
        const due = plainPoints(
          definition,
          level,
          events.filter(({ log_shard }) => log_shard === shard),
        );
        const [text, dueText] = [found.join("; "), due.join("; ")];
        if (text !== dueText) fail(`tile ${definition.measure} of shard ${shard} by ${level}: ${text}, not ${dueText}`);
      }
    }
  }
}
