/** What the rollups tell SQL as the lake's counts, against the lake: whatever has become of either store, it is so or it is refused. */
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { LakePlaceApi } from "../../durable-objects/lake-catalog/place-api.ts";
import { ALL_TIME, type Dimension, NO_VALUE } from "../../durable-objects/minute-rollup/api.ts";
import type { RollupTallyApi } from "../../durable-objects/minute-rollup/tally-api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { shardName } from "../../r2-layout/keys.ts";
import type { Fail } from "./audit.ts";
import type { World } from "./world.ts";

interface CountsEnv {
  readonly LAKE_CATALOG: ObjectNamespace<LakePlaceApi>;
  readonly MINUTE_ROLLUP: ObjectNamespace<RollupTallyApi>;
}

/** @param events what the lake must have. */
export async function auditCounts(
  world: World,
  env: CountsEnv,
  events: readonly EventRow[],
  fail: Fail,
): Promise<void> {
  const place = await env.LAKE_CATALOG.getByName(LAKE_CATALOG_NAME).place();
  if (!place.whole || place.expired.length > 0) {
    world.weather.count("counted", "the lake is in doubt");
    return;
  }
  for (const [shard, seq] of place.cursors) {
    const own = events.filter(({ log_shard }) => log_shard === shard);
    const rollup = env.MINUTE_ROLLUP.getByName(`core:${shardName(shard)}`);
    for (const grain of ["hour", "day"] as const) {
      for (const by of [undefined, "event_name", "country"] as const) {
        const ranges = [{ grain, from: ALL_TIME.from, to: ALL_TIME.to }];
        const tally = await rollup.tally({ ranges, bucket: null, ...(by && { by }), seq, rules: place.rules });
        world.weather.count("counted", tally.exact ? "exactly" : tally.why);
        if (!tally.exact) continue;
        const found = new Map(tally.counts.map(([, value, count]) => [value, count]));
        const due = countsOf(own, by);
        for (const value of new Set([...found.keys(), ...due.keys()])) {
          const [there, wanted] = [found.get(value) ?? 0, due.get(value) ?? 0];
          if (there !== wanted)
            fail(`counts of shard ${shard} by ${grain}: ${value} is ${there}, the lake's ${wanted}`);
        }
      }
    }
  }
}

function countsOf(events: readonly EventRow[], by: Dimension | undefined): Map<string | null, number> {
  const counts = new Map<string | null, number>();
  for (const event of events) {
    const value = by ? (event[by] ?? NO_VALUE) : null;
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return counts;
}
