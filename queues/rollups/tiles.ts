/**
 * Custom rollups, applied in the rollups sink's own step: after the shard's MinuteRollup has taken it and said by which list of
 * definitions, before the cursor moves. Without definitions the object says nothing, and nothing of this happens.
 *
 * The shard's TileRollup keeps a last seq of its own and is the judge (durable-objects/tile-rollup/tile-store.ts):
 *
 *     crash between the two objects      the step is read again: the MinuteRollup has it and names the list, the TileRollup takes it
 *     crash before the cursor moves      the step is read again, both have it; cut elsewhere, the rest is summed from its rows alone
 *     list read before a definition      the object refuses the batch and says which list it has; it is computed by that one
 *     definition of which the object     the object is told by whoever comes first, the sink or the job that fills it (tiles-job.ts)
 *       has not heard
 *     object wiped, or a seq missing     the batch is taken, the registry is told, and every tile is filled anew
 *     the segment goes bad between       the MinuteRollup has it, so it is no hole, and is moved over: tiles lack what nobody can
 *       the two objects                  read, until a rebuild that leaves it out says so
 *     tiles refused for what they are    as a step of the rollups: tried for a minute, then the segment is passed over, because the
 *                                        MinuteRollup has it; tiles lack it, as above. States are cut to their caps, calls to so many events
 *
 * A rule that is raised meanwhile is the fills' concern: hours that it has touched are filled anew (tiles-job.ts).
 */

import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import {
  TILE_REGISTRY_NAME,
  type TileList,
  type TileRegistryApi,
  type TileRollupApi,
} from "../../durable-objects/tile-rollup/api.ts";
import { type CompiledTile, compileTile, tileDeltas } from "../../durable-objects/tile-rollup/tile-delta.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { TILES } from "../../r2-layout/limits.ts";
import type { SinkStep } from "../sink.ts";

export interface TilesSinkDeps {
  readonly tiles: ObjectNamespace<Pick<TileRollupApi, "apply" | "define">>;
  readonly registry: ObjectNamespace<Pick<TileRegistryApi, "list" | "lost">>;
}

export interface CompiledList {
  readonly version: number;
  readonly list: TileList;
  readonly tiles: readonly CompiledTile[];
}

/** Lists never change under their name. A few: those of before and after a change. */
const KEPT = 4;
const compiled = new Map<string, CompiledList>();

export const tilesName = (shard: number): string => `tiles:${shardName(shard)}`;

/** How often a batch is computed anew because the object knows another list. */
const ATTEMPTS = 4;

/** @param tag the list that the shard's MinuteRollup names @throws where an object is away; time cures it */
export async function applyTiles(
  deps: TilesSinkDeps,
  tag: string,
  step: Pick<SinkStep, "shard" | "from" | "to" | "completeUntil" | "events">,
): Promise<void> {
  const { shard, to, completeUntil } = step;
  const tile = deps.tiles.getByName(tilesName(shard));
  let { version, list, tiles } = compiled.get(tag) ?? (await newestList(deps));
  let after = step.from;
  for (let attempt = 0; attempt < ATTEMPTS; ) {
    const part = nextPart(step, after);
    const answer = await tile.apply({
      ...{ shard, from: after + 1, to: part.to, version },
      // What lies behind the part is not here yet.
      completeUntil: part.to === to ? completeUntil : 0,
      deltas: tileDeltas(tiles, part.events),
    });
    if (answer.lost) await deps.registry.getByName(TILE_REGISTRY_NAME).lost();
    if (answer.version === undefined) {
      after = Math.max(answer.lastSeq, answer.applied ? part.to : after);
      if (after >= to) return;
      continue;
    }
    attempt++;
    if (answer.version > version) ({ version, list, tiles } = await newestList(deps));
    // Its first list is told by the job before the sink hears of it: an object that knows none has lost what it had.
    else await tellList(deps, shard, list, answer.version === 0);
  }
  throw new Error(`tiles of shard ${shard} know another list of definitions than the registry has`);
}

/**
 * Whole segments, of so many events that what they count for all tiles fits one call, one segment at least.
 * @param after what the object has
 */
function nextPart(
  { to, events }: Pick<SinkStep, "to" | "events">,
  after: number,
): { to: number; events: readonly EventRow[] } {
  const first = events.findIndex(({ log_seq }) => log_seq > after);
  if (first < 0) return { to, events: [] };
  const beyond = events[first + TILES.stepEvents];
  if (!beyond) return { to, events: events.slice(first) };
  // The segment that goes beyond is the next part's, unless it is all there is of this one.
  const end = beyond.log_seq > events[first]!.log_seq ? beyond.log_seq - 1 : beyond.log_seq;
  return { to: end, events: events.filter(({ log_seq }) => log_seq > after && log_seq <= end) };
}

/** Content-addressed, so that it is right for every caller. */
async function newestList({ registry }: Pick<TilesSinkDeps, "registry">): Promise<CompiledList> {
  const list = await registry.getByName(TILE_REGISTRY_NAME).list();
  const known = compiled.get(list.tag);
  if (known) return known;
  const tiles = list.records.map(({ definition }) => compileTile(definition));
  const made = { version: list.version, list, tiles };
  compiled.set(list.tag, made);
  if (compiled.size > KEPT) compiled.delete(compiled.keys().next().value!);
  return made;
}

async function tellList(deps: TilesSinkDeps, shard: number, list: TileList, isLost: boolean): Promise<void> {
  const definitions = list.records.map(({ definition }) => definition);
  await deps.tiles.getByName(tilesName(shard)).define(list.version, definitions);
  if (!isLost) return;
  console.error(JSON.stringify({ at: "tiles", reason: "lost", shard }));
  await deps.registry.getByName(TILE_REGISTRY_NAME).lost();
}
