/**
 * The lake's side of a replay: a part of the log is written into new files beside the live ones, as the sink would write
 * it, compared with what the lake has of that part, and swapped in by one commit.
 *
 * The part is cut at the lake's cursors when the rebuild begins: what comes later comes live, and the two never meet. The
 * files that hold rows of the part are found by their places in the log, not by when they were added, so it does not
 * matter how they came about: one that lies wholly in the part goes, another is written anew without those rows.
 *
 *     plan, add, add, ...      files staged, named by nobody; `plan` goes on where the steps end
 *     compare                  each live file of the part is looked at once (a step of its own), tallies are added up
 *     swap                     refused where a live file came or went since: looked at again, then tried again
 *     a rule raised meanwhile  swap throws "rules:": the build has not passed it; discard, begin anew
 *     a column added meanwhile the steps that follow derive it, those before do not, as for rows from before the column;
 *                              a rebuild that begins after it gives it to every row that it reads
 */
import type { EventLogPlacesApi } from "../../durable-objects/event-log/api.ts";
import type {
  DataFile,
  LakeCatalogApi,
  LakeStagingApi,
  LogReach,
  NewDataFile,
} from "../../durable-objects/lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { AnyRow } from "../../r2-layout/arrow-rows.ts";
import { TABLES } from "../../r2-layout/event-columns.ts";
import { addTallies, EMPTY_TALLY, KEY_COLUMNS, tallyDifferences, tallyOf } from "../../r2-layout/key-tally.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { LAKE } from "../../r2-layout/limits.ts";
import { decodeParquet } from "../../r2-layout/parquet-reader.ts";
import type { ReplayComparison, ReplayJob, ReplayRead, ReplayStep, ReplayTarget } from "../replay/target.ts";
import { fileParts } from "./file-parts.ts";
import { type RewriteDeps, type RowFate, rebuiltFile } from "./rewrite.ts";
import { storedParts } from "./sink.ts";

export interface LakeRebuildDeps extends RewriteDeps {
  readonly catalog: ObjectNamespace<Pick<LakeCatalogApi, "status" | "schema"> & LakeStagingApi>;
  readonly logs: ObjectNamespace<Pick<EventLogPlacesApi, "between">>;
}

/** Steps that read the log are numbered within their shard, steps that look at a file by the file: none has two meanings. */
const STEPS_PER_SHARD = 2 ** 32;
/** The last time that a Date can tell. */
const LAST_TIME_MS = 8.64e15;
/** A swap that finds the lake moved looks again so often; what moves it so fast is for the driver's next attempt. */
const SWAP_ATTEMPTS = 3;

export function createLakeRebuild(deps: LakeRebuildDeps): ReplayTarget {
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  const now = deps.now ?? Date.now;

  async function revert(id: string): Promise<void> {
    const answer = await catalog.revert(id);
    if (answer.kind === "rules") throw behindRules(id, answer.version);
    if (answer.kind !== "committed") throw new RangeError(`job ${id}: what it put in has been replaced since`);
  }

  return {
    sink: "lake",

    /** What lies at or below the cursor is in the lake, or in a hole and the redrive's; what lies above comes live. */
    fill: async () => 0,

    async plan(job) {
      const { state, reads } = await catalog.staged(job.id);
      if (state === "swapped" || state === "confirmed") return [];
      const { reach } = await catalog.begin(job.id, state === "none" ? await partsOf(deps, job) : {});
      return Object.entries(reach).flatMap(([name, { after, to }]): ReplayRead[] => {
        const shard = Number(name);
        const done = reads[shard] ?? { steps: 0, to: after };
        return done.to < to ? [{ shard, after: done.to, to, steps: done.steps }] : [];
      });
    },

    async add(job, step) {
      const { shard, to, rules, events, quarantine } = step;
      // Asked for with each step: never older than what the live files had when the rebuild began.
      const { promoted } = await catalog.schema();
      const { files } = await storedParts(deps, step, now(), promoted);
      const add = files.map((file) => ({ ...file, rules }));
      await catalog.stage(job.id, stepNumber(step), add, { read: { shard, to }, after: tallyOf(events, quarantine) });
    },

    async compare(job) {
      const { state } = await catalog.staged(job.id);
      if (state === "open") await lookAtFiles(deps, job.id);
      const { before, after } = await catalog.tallies(job.id);
      const differences = tallyDifferences(before, after, LAKE.differences);
      return {
        identical: differences.length === 0,
        before: before.events.rows,
        after: after.events.rows,
        differences,
      } satisfies ReplayComparison;
    },

    async swap({ id }) {
      for (let attempt = 0; attempt < SWAP_ATTEMPTS; attempt++) {
        const { rules = 0 } = await catalog.status();
        const answer = await catalog.swap(id, { remove: [], keep: [], rules, operation: "rebuild" });
        if (answer.kind === "committed") return;
        if (answer.kind === "rules") throw behindRules(id, answer.version);
        await lookAtFiles(deps, id);
      }
      throw new Error(`job ${id}: the lake's files moved during each of ${SWAP_ATTEMPTS} swaps`);
    },

    revert: ({ id }) => revert(id),

    async confirm({ id }) {
      await catalog.confirm(id);
      return "done";
    },

    async discard({ id }) {
      if ((await catalog.staged(id)).state === "swapped") await revert(id);
      else await catalog.discard(id);
      return "done";
    },

    async abandon({ id }) {
      const { state } = await catalog.staged(id);
      if (state === "swapped") await catalog.confirm(id);
      else if (state === "open" || state === "none") await catalog.discard(id);
      return state === "swapped" || state === "confirmed" ? "built" : "before";
    },
  };
}

const stepNumber = ({ shard, step }: ReplayStep): number => shard * STEPS_PER_SHARD + step;

const behindRules = (job: string, version: number) =>
  new Error(`rules: what job ${job} built has not passed rule ${version}`);

/** The parts of the log that a job means, as far as the log still has them; rows of the lake from before that stay. */
async function partsOf({ logs }: LakeRebuildDeps, job: ReplayJob): Promise<Record<number, LogReach>> {
  const { from, to, range } = job;
  const parts: Record<number, LogReach> = {};
  for (let shard = 0; shard < job.shards; shard++) {
    if (range && range.shard !== shard) continue;
    const place = await logs.getByName(shardName(shard)).between(from ?? 0, to ?? LAST_TIME_MS);
    const asked = range ?? place.range;
    if (asked) parts[shard] = { after: Math.max(asked.from, place.oldest) - 1, to: asked.to };
  }
  return parts;
}

/** Every live file that may hold rows of the job's part of the log, each as a step: what goes, what is written anew. */
async function lookAtFiles(deps: LakeRebuildDeps, job: string): Promise<void> {
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  const { reach } = await catalog.begin(job);
  for (let afterId = 0; ; ) {
    const files = await catalog.replaceable(job, afterId);
    if (files.length === 0) return;
    for (const file of files) {
      await lookAtFile(deps, job, reach, file);
      afterId = file.id;
    }
  }
}

async function lookAtFile(
  deps: LakeRebuildDeps,
  job: string,
  reach: Readonly<Record<number, LogReach>>,
  file: DataFile,
): Promise<void> {
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  const parts = await fileParts(deps.bucket, file);
  const known = KEY_COLUMNS.filter((name) => name in TABLES[file.table]);
  const marks: Uint8Array[] = [];
  let before = EMPTY_TALLY;
  let rowsInside = 0;
  for (const part of parts) {
    const rows = decodeParquet(deps.parquet, file.table, await part.read(), ["log_shard", "log_seq", ...known]);
    const inside: AnyRow[] = [];
    const ofPart = new Uint8Array(rows.length);
    for (let i = 0; i < rows.length; i++) {
      const row = rows.row(i);
      const asked = reach[row.log_shard as number];
      const seq = row.log_seq as number;
      if (!asked || seq <= asked.after || seq > asked.to) continue;
      ofPart[i] = 1;
      inside.push(row);
    }
    marks.push(ofPart);
    rowsInside += inside.length;
    before = addTallies([before, file.table === "events" ? tallyOf(inside, []) : tallyOf([], inside)]);
  }
  const step = -file.id;
  if (rowsInside === 0) return catalog.stage(job, step, [], { keep: [file.id] });
  let left: NewDataFile | null = null;
  if (rowsInside < file.rows) {
    const { promoted } = await catalog.schema();
    const fates = marks.map((ofPart): RowFate | null =>
      ofPart.includes(1) ? (row) => (ofPart[row] ? "drop" : "keep") : null,
    );
    left = await rebuiltFile(deps, file, parts, fates, file.rules, promoted);
  }
  await catalog.stage(job, step, left ? [left] : [], { remove: [file.id], before });
}
