/** POST /v1/sql: read the request, plan the statement, ask the catalog for files, let an engine run it. */

import type { LakeCatalogApi, Plan, PlannedFile, PlanRequest } from "../../durable-objects/lake-catalog/api.ts";
import { budgetName, type QueryBudgetApi } from "../../durable-objects/query-budget/api.ts";
import { SQL } from "../../r2-layout/limits.ts";
import type { PromotedColumn } from "../../r2-layout/promoted-columns.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { AsOf } from "./as-of.ts";
import type { EngineStatement, EngineTable, QueryEngineApi, StatementStats } from "./engine/statement.ts";
import type { EngineChoice } from "./engine-choice.ts";
import { type ParseSql, planStatement, type TableNeed } from "./plan/plan-statement.ts";
import { GONE_HEADER, problem, type QueryProblem, StatementFailed } from "./problem.ts";
import { readSqlRequest } from "./sql-request.ts";

export interface QueryParts {
  readonly parse: ParseSql;
  readonly choice: EngineChoice;
  readonly catalog: Pick<LakeCatalogApi, "plan">;
  readonly engine: (number: number) => QueryEngineApi;
  /** The budget of a token, by `budgetName`. */
  readonly budget: (name: string) => QueryBudgetApi;
  readonly timeoutMs: number;
  /** Keeps work going after the answer. */
  readonly later: (work: Promise<unknown>) => void;
}

export async function answerSql(parts: QueryParts, request: Request): Promise<Response> {
  const startedAt = Date.now();
  const body = await readSqlRequest(request);
  if (!body.ok) return problem(body.error);
  const { sql, format, as_of, explain } = body.value;
  const budget = parts.budget(budgetName(request.headers.get("x-eventpile-token") ?? "none"));
  const plan = planStatement(parts.parse, sql, startedAt * MICROS_PER_MS);
  // The token pays for a refused statement too; asked side by side, because each is a call to another object.
  const planned = () => (plan.ok ? plannedTables(parts.catalog, plan.value.tables, as_of) : null);
  const [allowed, tables] = await Promise.all([budget.begin(startedAt), planned()]);
  if (!allowed.allowed) {
    const detail = allowed.bound === "bytes" ? "bytes read today" : "statements in the last minute";
    return problem({ reason: "budget_exceeded", detail, retry_after_s: allowed.retry_after_s });
  }
  if (!plan.ok) return problem(plan.error);
  if (!tables?.ok) return problem(tables?.error ?? { reason: "internal", detail: "no plan" });
  const answered = (planned: PlannedTables): Promise<Response> => {
    const statement: EngineStatement = {
      id: crypto.randomUUID(),
      sql: plan.value.sql,
      format,
      explain,
      startedAt,
      timeoutMs: parts.timeoutMs,
      ...planned,
    };
    return runSomewhere(parts, statement, request.signal);
  };
  let answer = await answered(tables.value);
  if (answer.headers.get(GONE_HEADER) !== null) {
    // Between the plan and the read the file was replaced, and its time was over: the rows are elsewhere now, or out of reach.
    const again = await planned();
    if (!again?.ok) return problem(again?.error ?? { reason: "internal", detail: "no plan" });
    answer = await answered(again.value);
  }
  const bytes = bytesRead(answer);
  if (bytes > 0) parts.later(budget.spend(Date.now(), bytes));
  return answer;
}

type PlannedTables = Pick<EngineStatement, "snapshot" | "cut" | "tables">;

async function plannedTables(
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

const NOTHING_ASKED: ReadonlyMap<string, readonly string[]> = new Map([["event_name", ["-"]]]);

function planRequest({ table, from, to, values }: TableNeed, asOf: AsOf | undefined): PlanRequest {
  const equals: Record<string, readonly (string | number)[]> = {};
  for (const [column, literals] of values) {
    // No value at all passes: rare, and not worth a special case.
    if (column !== "event_name" && literals.length > 0) equals[column] = literals;
  }
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

/** The client's going is passed on, so that the engine is free for others. */
async function runSomewhere(parts: QueryParts, statement: EngineStatement, signal: AbortSignal): Promise<Response> {
  let busy: Response | null = null;
  for (const number of parts.choice.order(statement.sql)) {
    const engine = parts.engine(number);
    const gone = () => parts.later(engine.cancel(statement.id));
    signal.addEventListener("abort", gone);
    try {
      const answer = await parts.choice.during(number, () => engine.run(statement));
      if (answer.status !== 503) return answer;
      busy = answer;
    } catch (error) {
      console.error("engine failed", error);
      busy = problem({ reason: "engine_busy", retry_after_s: 1 });
    } finally {
      signal.removeEventListener("abort", gone);
    }
  }
  return busy ?? problem({ reason: "engine_busy", retry_after_s: 1 });
}

function bytesRead(answer: Response): number {
  const stats = answer.headers.get("x-eventpile-stats");
  return stats ? (JSON.parse(stats) as StatementStats).bytes_read : 0;
}
