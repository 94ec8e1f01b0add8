/**
 * The lake follows a rule: file by file, each a step of a job, then one swap. A reader sees the lake before the rule or
 * after it, and nothing between.
 *
 *     crash before a file is staged      its pages and its object come again; the first object is an orphan
 *     crash after                        the catalog knows that the job has looked at it
 *     an append meanwhile                has read the rule, or is refused: it is nobody's concern here
 *     a file goes or comes meanwhile     the swap is refused ("conflict") and says what is to be looked at again
 */
import type { CatalogAnswer, LakeStagingApi } from "../../durable-objects/lake-catalog/api.ts";
import { LAKE_CATALOG_NAME } from "../../durable-objects/lake-catalog/api.ts";
import type { LakeSchemaApi } from "../../durable-objects/lake-catalog/schema-api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { RuleAt } from "../../r2-layout/rule.ts";
import { type ChangedPage, type RewriteDeps, type RulePeople, rewriteFile } from "./rewrite.ts";

export interface CorrectDeps extends RewriteDeps {
  readonly catalog: ObjectNamespace<
    Pick<LakeStagingApi, "candidates" | "stage" | "swap"> & Pick<LakeSchemaApi, "schema">
  >;
}

export interface Correction {
  readonly job: string;
  readonly version: number;
  /** Of each shard all rules up to `version`: a file goes through those that it has not passed. */
  readonly rules: ReadonlyMap<number, readonly RuleAt[]>;
  readonly people?: RulePeople;
}

export interface Corrected {
  /** `more`: time was over, call again. */
  readonly kind: "done" | "more";
  /** In this call: files looked at, rows changed, and of these rows retracted. */
  readonly files: number;
  readonly rows: number;
  readonly retracted: number;
}

/**
 * Goes over the files that the rule may concern, one at least in each call.
 * @param onPage gets every row that changes, before and after, in pages of at most `LAKE.batchRows`; a page may come
 *   twice, under the same number. A file is staged once all its pages were taken.
 */
export async function correctLake(
  deps: CorrectDeps,
  { job, version, rules, people }: Correction,
  onPage: (page: ChangedPage) => Promise<void>,
  untilMs: number,
): Promise<Corrected> {
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  const now = deps.now ?? Date.now;
  const done = { files: 0, rows: 0, retracted: 0 };
  for (let afterId = 0; ; ) {
    const files = await catalog.candidates({ belowRules: version, afterId, job });
    if (files.length === 0) return { kind: "done", ...done };
    // After the files: it has every column that one of them has.
    const { promoted } = await catalog.schema();
    for (const file of files) {
      if (done.files > 0 && now() >= untilMs) return { kind: "more", ...done };
      const lakeRules = { version, byShard: rules, ...(people && { people }) };
      const outcome = await rewriteFile(deps, file, lakeRules, onPage, promoted);
      if (outcome.kind === "unchanged") await catalog.stage(job, file.id, [], { keep: [file.id] });
      else {
        const { replacement, changed, retracted } = outcome;
        await catalog.stage(job, file.id, replacement ? [replacement] : [], { remove: [file.id] });
        done.rows += changed;
        done.retracted += retracted;
      }
      done.files++;
      afterId = file.id;
    }
  }
}

/** One commit. After "conflict": `correctLake` again, then this. Safe to repeat. */
export function swapCorrection(
  deps: Pick<CorrectDeps, "catalog">,
  { job, version }: Pick<Correction, "job" | "version">,
): Promise<CatalogAnswer> {
  const catalog = deps.catalog.getByName(LAKE_CATALOG_NAME);
  return catalog.swap(job, { remove: [], keep: [], rules: version, operation: "correct" });
}
