/**
 * The store `rollups`. The policy for counts: every hour in which an erased event counted is built anew from the lake's rows
 * (the rule job's windows, minutes, hours and days alike), and so are the tiles; there is no threshold below which somebody's
 * events may stay in a count. An hour whose rows cannot be read any more (expired in part, a segment that is lost) keeps
 * its counts, is no longer taken for the lake's, and the job's record names it: sums, and a sketch that lists nobody by name.
 *
 * What is left for this store: the records of what changed, which would tell minute by minute when the erased were active;
 * what the windows have kept for a way back; and the job that fills the tiles, which is to end first.
 */
import type { RollupErasureApi } from "../../../durable-objects/minute-rollup/erasure-api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import type { Job, ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { eachShard } from "../../replay/each-shard.ts";
import { tilesAfter } from "../../rollups/tiles-upkeep.ts";
import type { ErasureRun, ErasureStore } from "../erasure-store.ts";

export interface RollupsErasureDeps {
  readonly rollups: ObjectNamespace<RollupErasureApi>;
  readonly desk: Pick<ReplayDeskApi, "job">;
  readonly shards: number;
}

export function rollupsStore({ rollups, desk, shards }: RollupsErasureDeps): ErasureStore {
  const rollup = (run: ErasureRun, shard: number) => {
    run.calls.left--;
    return rollups.getByName(`core:${shardName(shard)}`);
  };
  return {
    name: "rollups",
    async erase(run) {
      const counts = await eachShard(shards, async (shard) => (await rollup(run, shard).forgetJob(run.id)).records);
      const removed = counts.reduce((sum, count) => sum + count, 0);
      return { done: true, position: null, found: { unit: "records", found: removed, removed, replaced: [] } };
    },
    /** @throws Error while the tiles' job has not come to its end */
    async verify(run) {
      const tiles = await desk.job(tilesAfter(run.id));
      run.calls.left--;
      if (tiles && !isThrough(tiles)) throw new Error(`the tiles' job ${tiles.id} is ${tiles.state}`);
      const found = await eachShard(shards, (shard) => rollup(run, shard).tracesOf(run.id, run.version));
      const traces = found.reduce((sum, { records, builds, isOwed }) => sum + records + builds + (isOwed ? 1 : 0), 0);
      const statement = `Every hour in which an erased event counted was built anew in ${shards} shard(s), custom rollups too${tiles ? ` (job ${tiles.id})` : ""}; no shard owes a rule up to version ${run.version}, or keeps what was before. GET /v1/rollups shows the counts as they are.`;
      return { done: true, position: null, traces, statement };
    },
  };
}

/** A cancelled one has left tiles as they were. */
const isThrough = ({ state }: Job): boolean => state === "done";
