/** The files that a statement's tables need, asked of the catalog: every table at the same state of the lake. */
import type { LakeCatalogApi, Plan, PlannedFile, PlanRequest } from "../../durable-objects/lake-catalog/api.ts";
import { SQL } from "../../r2-layout/limits.ts";
import type { PromotedColumn } from "../../r2-layout/promoted-columns.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import type { AsOf } from "./as-of.ts";
import type { EngineStatement, EngineTable } from "./engine/statement.ts";
import type { TableNeed } from "./plan/plan-statement.ts";
import { type QueryProblem, StatementFailed } from "./problem.ts";

export type PlannedTables = Pick<EngineStatement, "snapshot" | "cut" | "tables">;

export async function plannedTables(
  catalog: Pick<LakeCatalogApi, "plan">,
  needs: readonly TableNeed[],
  asOf: AsOf | undefined,
): Promise<Result<PlannedTables, QueryProblem>> {
  try {
    return ok(await planTables(catalog, needs, asOf));
  } catch (error) {
    if (error instanceof StatementFailed) return err(error.problem);
    if (error instanceof RangeError) {
      return err({ reason: asOf?.cut === undefined ? "unknown_snapshot" : "unknown_cut", detail: error.message });
    }
    console.error("catalog failed", error);
    return err({ reason: "store_unavailable", detail: "the catalog does not answer", retry_after_s: 2 });
  }
}

/** Every table at the same snapshot, or cut: the first answer names it for the others. @throws RangeError for an unknown one. */
async function planTables(
  catalog: Pick<LakeCatalogApi, "plan">,
  needs: readonly TableNeed[],
  asOf: AsOf | undefined,
): Promise<PlannedTables> {
  // A statement without a table still says which snapshot it stood on.
  const asked = needs.length > 0 ? needs : [{ table: "events" as const, columns: null, values: NOTHING_ASKED }];
  let state = asOf;
  let snapshot = 0;
  let cut: Plan["cut"];
  const tables: EngineTable[] = [];
  for (const need of asked) {
    const plan = await catalog.plan(planRequest(need, state));
    ({ snapshot, cut } = plan);
    state = cut ? { cut: cut.name } : { asOf: snapshot };
    const files = plan.matched?.files ?? plan.files.length;
    if (files > SQL.filesPerStatement) {
      throw new StatementFailed({
        reason: "too_many_files",
        detail: "narrow event_time; maintenance will merge small files",
        files,
        limit: SQL.filesPerStatement,
      });
    }
    const { promoted = [] } = plan;
    tables.push({
      table: need.table,
      ...(promoted.length > 0 && { promoted }),
      files: plan.files.toSorted(newestFirst),
      tableFiles: plan.tableFiles,
      tableBytes: plan.tableBytes,
      columns: need.columns && [...need.columns, ...namesOf(promoted).filter((name) => need.names?.has(name))],
      ...(cut?.through != null && { before: cut.through }),
      from: need.from,
      to: need.to,
      eventNames: eventNamesOf(need),
      equals: equalsOf(need),
    });
  }
  return { snapshot, ...(cut && { cut: cut.name }), tables: needs.length > 0 ? tables : [] };
}

/**
 * Files are read newest first: `select * … limit 10` shows what came last, and for `order by event_time desc limit 10`
 * the first rows that are seen are the ones that stay, which spares DuckDB from sorting and keeping all others.
 */
const newestFirst = (a: PlannedFile, b: PlannedFile): number => b.maxTime - a.maxTime || b.id - a.id;

const namesOf = (promoted: readonly PromotedColumn[]): string[] => promoted.map(({ name }) => name);

const eventNamesOf = ({ values }: Pick<TableNeed, "values">): string[] | undefined =>
  values.get("event_name")?.map(String);

function equalsOf({ values }: Pick<TableNeed, "values">): Record<string, readonly (string | number)[]> {
  const equals: Record<string, readonly (string | number)[]> = {};
  for (const [column, literals] of values) {
    // No value at all passes: rare, and not worth a special case.
    if (column !== "event_name" && literals.length > 0) equals[column] = literals;
  }
  return equals;
}

const NOTHING_ASKED: ReadonlyMap<string, readonly string[]> = new Map([["event_name", ["-"]]]);

function planRequest({ table, from, to, values }: TableNeed, asOf: AsOf | undefined): PlanRequest {
  const equals = equalsOf({ values });
  const eventNames = eventNamesOf({ values });
  return {
    table,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(eventNames && eventNames.length > 0 && { eventNames }),
    ...(Object.keys(equals).length > 0 && { equals }),
    ...asOf,
    filesMax: SQL.filesPerStatement,
  };
}
