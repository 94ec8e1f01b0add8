/** The objects that the query Worker asks, the real ones, and a door for tests to commit files through. */
import { DurableObject } from "cloudflare:workers";
import type { LakeCatalogApi, LakeHistoryApi, NewDataFile } from "../../../durable-objects/lake-catalog/api.ts";
import { minuteDeltas, type RolledEvent } from "../../../durable-objects/minute-rollup/minute-delta.ts";
import type { MinuteRollup } from "../../../durable-objects/minute-rollup/minute-rollup.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { NewPromotedColumn } from "../../../r2-layout/promoted-columns.ts";

export { LakeCatalog } from "../../../durable-objects/lake-catalog/lake-catalog.ts";
export { MinuteRollup } from "../../../durable-objects/minute-rollup/minute-rollup.ts";
export { QueryBudget } from "../../../durable-objects/query-budget/query-budget.ts";

/** Nobody watches. */
export class LiveHub extends DurableObject {
  async publish(): Promise<void> {}
}

interface Env {
  readonly MINUTE_ROLLUP: DurableObjectNamespace<MinuteRollup>;
  readonly LAKE_CATALOG: ObjectNamespace<LakeCatalogApi & LakeHistoryApi>;
}

/**
 * POST with a list of data files: one commit, after what shard 0's cursor has. Answers with the snapshot. POST /columns
 * with one column: adds it. POST /cuts with a day: freezes it as it is. POST /rollups with events: the next batch of shard 0's rollups.
 */
export default {
  async fetch(request, env): Promise<Response> {
    const catalog = env.LAKE_CATALOG.getByName("lake");
    if (new URL(request.url).pathname === "/columns") {
      return Response.json(await catalog.addColumn((await request.json()) as NewPromotedColumn));
    }
    if (new URL(request.url).pathname === "/rollups") {
      const rollup = env.MINUTE_ROLLUP.getByName("core:000");
      const seq = (await rollup.status()).lastSeq + 1;
      const minutes = minuteDeltas((await request.json()) as RolledEvent[]);
      return Response.json(await rollup.apply({ shard: 0, from: seq, to: seq, completeUntil: 0, minutes }));
    }
    if (new URL(request.url).pathname === "/cuts") {
      const { day } = (await request.json()) as { day: string };
      const now = Date.now();
      const { version } = (await catalog.requestCut({ day }, now))!;
      await catalog.markCut(day, version, [], now);
      return Response.json(
        await catalog.freezeCut(day, version, [], { delayMs: 0, waitMs: 0, versionEveryMs: 0 }, now),
      );
    }
    const add = (await request.json()) as NewDataFile[];
    const lease = await catalog.lease(0, "rig", 10_000);
    if (!lease) return new Response("leased", { status: 409 });
    const answer = await catalog.append({
      shard: 0,
      token: lease.token,
      from: lease.cursor,
      to: lease.cursor + 1,
      applied: { events: 0, quarantined: 0 },
      add,
    });
    await catalog.release(0, lease.token);
    return Response.json(answer);
  },
} satisfies ExportedHandler<Env>;
