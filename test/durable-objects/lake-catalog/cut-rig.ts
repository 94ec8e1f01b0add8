/** Cuts without queues: the catalog is asked what is to be done, and told that it was. */
import type { CompactionWork } from "../../../durable-objects/lake-catalog/api.ts";
import { partitionKey } from "../../../durable-objects/lake-catalog/compaction-plan.ts";
import type { CutSettings, ShardMark } from "../../../durable-objects/lake-catalog/cuts-api.ts";
import { CUT } from "../../../r2-layout/limits.ts";
import { bindings } from "../../bindings.ts";

export const SETTINGS: CutSettings = {
  delayMs: CUT.delayMs,
  waitMs: CUT.waitMs,
  versionEveryMs: CUT.versionEveryMs,
};
export const lake = () => bindings.LAKE_CATALOG.getByName("lake");
export const mark = (part: Partial<ShardMark> = {}): ShardMark => ({
  shard: 0,
  head: 0,
  gaps: 0,
  range: null,
  ...part,
});
export const keyOf = ({ table, day, partition }: CompactionWork): string =>
  partitionKey({ table, day, name: partition ?? null });

/**
 * Does all there is to do: nothing is merged, tallies say what the test tells.
 * @param until the step before which it stops, as `tally 2026-11-22.v2`. @returns what it was, in order.
 */
export async function settle(nowMs: number, tallyOf = (rows: number) => rows, until = ""): Promise<string[]> {
  const done: string[] = [];
  // A call looks at a few days only.
  for (let idle = 0; idle < 10; ) {
    const work = await lake().cutWork(SETTINGS, nowMs);
    idle = work ? 0 : idle + 1;
    if (!work) continue;
    const { name, version } = work.cut;
    const step = `${work.kind} ${name}.v${version}`;
    if (step === until) return done;
    done.push(step);
    if (work.kind === "mark") await lake().markCut(name, version, [mark()], nowMs);
    if (work.kind === "freeze") await lake().freezeCut(name, version, [mark()], SETTINGS, nowMs);
    if (work.kind === "compact") await lake().cutCompacted(name, version, keyOf(work.work), "nothing", nowMs);
    if (work.kind === "tally") {
      const { number, tally, file, sign } = work.step;
      const rows = tally.events.rows + sign * tallyOf(file.rows);
      const events = { rows, low: rows * 3, high: rows * 5 };
      await lake().tallied(name, version, number, { ...tally, events }, nowMs);
    }
    if (work.kind === "compare") {
      const none = { cut: 0, rollups: 0 };
      const comparison = { at: nowMs, agrees: true, events: none, event_name: [], country: [], beyond: {} };
      await lake().compared(name, version, comparison, nowMs);
    }
  }
  return done;
}
