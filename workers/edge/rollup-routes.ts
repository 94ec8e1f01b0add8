/** Addresses of the rollups: figures by minute, hour and day, and what changed in them after they were final. */
import type { Hono } from "hono";
import type { MinuteRebuildApi, MinuteRollupApi } from "../../durable-objects/minute-rollup/api.ts";
import { readRollups } from "../../durable-objects/minute-rollup/read.ts";
import { readChanges } from "../../durable-objects/minute-rollup/read-changes.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { TILE_REGISTRY_NAME, type TileRegistryApi, type TileRollupApi } from "../../durable-objects/tile-rollup/api.ts";
import { isTileId } from "../../durable-objects/tile-rollup/definition.ts";
import { readTile } from "../../durable-objects/tile-rollup/read.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import { problem } from "../problem.ts";

export interface RollupReading {
  readonly rollups: ObjectNamespace<Pick<MinuteRollupApi, "query"> & Pick<MinuteRebuildApi, "changes">>;
  readonly tiles: ObjectNamespace<Pick<TileRollupApi, "query">>;
  readonly registry: ObjectNamespace<Pick<TileRegistryApi, "definition">>;
  readonly shards: number;
  /** Microseconds. */
  readonly now: () => number;
  /** @throws Refused where the request's token may not. */
  readonly allow: (request: Request) => void;
}

export function addRollups(app: Hono, { rollups, tiles, registry, shards, now, allow }: RollupReading): void {
  const queryOf = (request: Request) => new URL(request.url).searchParams;

  app.get("/v1/rollups", async (c) => {
    allow(c.req.raw);
    const query = queryOf(c.req.raw);
    const metric = query.get("metric") ?? "";
    if (isTileId(metric)) {
      const definition = await registry.getByName(TILE_REGISTRY_NAME).definition(metric);
      if (!definition) return problem({ reason: "not_found" });
      const points = await readTile(tiles, shards, definition, query, now() / MICROS_PER_MS);
      return points.ok ? c.json(points.value) : problem(points.error);
    }
    const answer = await readRollups(rollups, shards, query, now() / MICROS_PER_MS);
    return answer.ok ? c.json(answer.value) : problem(answer.error);
  });

  app.get("/v1/rollups/changes", async (c) => {
    allow(c.req.raw);
    const answer = await readChanges(rollups, shards, queryOf(c.req.raw));
    return answer.ok ? c.json(answer.value) : problem(answer.error);
  });
}
