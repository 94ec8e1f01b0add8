/** Addresses of the rollups: figures by minute, hour and day, and what changed in them after they were final. */
import type { Hono } from "hono";
import type { MinuteRebuildApi, MinuteRollupApi } from "../../durable-objects/minute-rollup/api.ts";
import { readRollups } from "../../durable-objects/minute-rollup/read.ts";
import { readChanges } from "../../durable-objects/minute-rollup/read-changes.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import { problem } from "../problem.ts";

export interface RollupReading {
  readonly rollups: ObjectNamespace<Pick<MinuteRollupApi, "query"> & Pick<MinuteRebuildApi, "changes">>;
  readonly shards: number;
  /** Microseconds. */
  readonly now: () => number;
  /** @throws Refused where the request's token may not. */
  readonly allow: (request: Request) => void;
}

export function addRollups(app: Hono, { rollups, shards, now, allow }: RollupReading): void {
  const queryOf = (request: Request) => new URL(request.url).searchParams;

  app.get("/v1/rollups", async (c) => {
    allow(c.req.raw);
    const answer = await readRollups(rollups, shards, queryOf(c.req.raw), now() / MICROS_PER_MS);
    return answer.ok ? c.json(answer.value) : problem(answer.error);
  });

  app.get("/v1/rollups/changes", async (c) => {
    allow(c.req.raw);
    const answer = await readChanges(rollups, shards, queryOf(c.req.raw));
    return answer.ok ? c.json(answer.value) : problem(answer.error);
  });
}
