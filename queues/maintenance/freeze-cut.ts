/**
 * The work on cuts: asks the catalog what is to be done next and does it, step by step, until nothing is due or the time is
 * up. Every step can be cut off anywhere and done again, by two at once too; what each of them relies on stands in
 * durable-objects/lake-catalog/cuts.ts. Only reading and merging files takes time; both keep what they have done.
 */
import type { EventLogStandingApi } from "../../durable-objects/event-log/api.ts";
import { partitionKey } from "../../durable-objects/lake-catalog/compaction-plan.ts";
import type {
  CutSettings,
  CutWork,
  LakeCutsApi,
  OpenCut,
  ShardMark,
} from "../../durable-objects/lake-catalog/cuts-api.ts";
import type { MinuteRollupApi } from "../../durable-objects/minute-rollup/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { DayTallying, TALLIED } from "../../r2-layout/day-tally.ts";
import { KEY_COLUMNS } from "../../r2-layout/key-tally.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import { eachShard } from "../replay/each-shard.ts";
import { type CompactDeps, compactDay } from "./compact.ts";
import { compareWithRollups } from "./compare-cut.ts";
import { dayRows } from "./day-rows.ts";

/** What the history of the lake needs besides the lake. */
export interface HistoryDeps {
  readonly logs: ObjectNamespace<Pick<EventLogStandingApi, "standing">>;
  readonly rollups: ObjectNamespace<Pick<MinuteRollupApi, "query" | "status">>;
  readonly shards: number;
  /** Splits that this Worker knows of. */
  readonly epoch: number;
}

export interface CutDeps extends CompactDeps {
  readonly catalog: CompactDeps["catalog"] & LakeCutsApi;
  readonly history: HistoryDeps;
  readonly settings: CutSettings;
}

/** @returns how many steps were done, and whether there is more that could be done now. */
export async function workOnCuts(deps: CutDeps, untilMs: number): Promise<{ steps: number; more: boolean }> {
  const now = deps.now ?? Date.now;
  for (let steps = 0; now() < untilMs; steps++) {
    const work = await deps.catalog.cutWork(deps.settings, now());
    if (!work) return { steps, more: false };
    await oneStep(deps, work, now);
  }
  return { steps: 1, more: true };
}

async function oneStep(deps: CutDeps, work: CutWork, now: () => number): Promise<void> {
  const { catalog, history, settings } = deps;
  const { name, version } = work.cut;
  switch (work.kind) {
    case "mark":
      return catalog.markCut(name, version, await marksOf(deps, work.cut), now());
    case "freeze": {
      const marks = await marksOf(deps, work.cut);
      const answer = await catalog.freezeCut(name, version, marks, settings, now());
      return told(work.cut, answer);
    }
    case "compact":
      return catalog.cutCompacted(name, version, partitionOf(work), await compacted(deps, work), now());
    case "tally":
      return tallied(deps, work, now);
    case "compare": {
      const comparison = await compareWithRollups(history, work, now());
      if (!comparison) return catalog.compareLater(name, version, now());
      if (!comparison.agrees) told(work.cut, { kind: "differs from the rollups", events: comparison.events });
      return catalog.compared(name, version, comparison, now());
    }
  }
}

function told({ name, version }: OpenCut, what: object): void {
  console.log(JSON.stringify({ at: "maintenance", cut: `${name}.v${version}`, ...what }));
}

/** @throws Error where there was a split that this Worker does not know of: a newer one is to go on. */
function marksOf({ history, settings }: Pick<CutDeps, "history" | "settings">, cut: OpenCut): Promise<ShardMark[]> {
  const { logs, shards, epoch } = history;
  const [from, to] = [cut.from / MICROS_PER_MS, cut.through / MICROS_PER_MS];
  // The same gaps for every version of the day: what shows later may be of a later day.
  const owedUntilMs = to + settings.delayMs;
  return eachShard(shards, async (shard) => {
    const log = logs.getByName(shardName(shard));
    const { head, gaps, range, epoch: known } = await log.standing(from, to, owedUntilMs);
    if (known > epoch) {
      throw new Error(`shards were split: the log of shard ${shard} knows of ${known}, this Worker of ${epoch}`);
    }
    return { shard, head, gaps, range };
  });
}

type Step<Kind extends CutWork["kind"]> = Extract<CutWork, { kind: Kind }>;

const partitionOf = ({ work: { table, day, partition } }: Step<"compact">): string =>
  partitionKey({ table, day, name: partition ?? null });

async function compacted(deps: CutDeps, { cut, work }: Step<"compact">): Promise<"made" | "failed" | "nothing"> {
  try {
    const { kind } = await compactDay(deps, work);
    return kind === "compacted" ? "made" : kind === "conflict" ? "failed" : "nothing";
  } catch (error) {
    console.error(JSON.stringify({ at: "maintenance", cut: cut.name, phase: "compact", error: String(error) }));
    return "failed";
  }
}

const TALLIED_COLUMNS = [...KEY_COLUMNS, ...TALLIED];

async function tallied(deps: CutDeps, { cut, step }: Step<"tally">, now: () => number): Promise<void> {
  const { name, version, from, through } = cut;
  const { file, sign, contents, number } = step;
  const tallying = new DayTallying(step.tally);
  try {
    const columns = contents || file.table === "quarantine" ? {} : { columns: TALLIED_COLUMNS };
    for await (const rows of dayRows(deps, { file, from, through, ...columns })) {
      for (const row of rows) {
        if (file.table === "events") tallying.event(row, sign, contents);
        else tallying.quarantined(row, sign, contents);
      }
    }
  } catch (error) {
    console.error(JSON.stringify({ at: "maintenance", cut: name, phase: "tally", error: String(error) }));
    return deps.catalog.tallyFailed(name, version, String(error), now());
  }
  await deps.catalog.tallied(name, version, number, tallying.tally(), now());
}
