/** The files that a statement's tables need, asked of the catalog: every table at the same state of the lake. */
import type {
  LakeCatalogApi,
  Plan,
  PlannedFile,
  PlannedScan,
  PlanRequest,
} from "../../durable-objects/lake-catalog/api.ts";
import { SQL } from "../../r2-layout/limits.ts";
import type { PromotedColumn } from "../../r2-layout/promoted-columns.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import { isMasked, type Sight } from "../sight.ts";
import type { AsOf } from "./as-of.ts";
import type { EngineStatement, EngineTable } from "./engine/statement.ts";
import { estimateOf, hasRowGroupFilter, LIMITS } from "./estimate/estimate.ts";
import { elsewhere, narrower } from "./estimate/narrower.ts";
import { type Alternatives, tooLarge } from "./estimate/refusal.ts";
import type { StatementPlan, TableNeed } from "./plan/plan-statement.ts";
import { type QueryProblem, StatementFailed } from "./problem.ts";

export type PlannedTables = Pick<EngineStatement, "snapshot" | "cut" | "tables" | "estimate" | "alternatives">;

export async function plannedTables(
  catalog: Pick<LakeCatalogApi, "plan">,
  statement: Pick<StatementPlan, "sql" | "tables" | "places">,
  asOf: AsOf | undefined,
  sight: Sight | null = null,
): Promise<Result<PlannedTables, QueryProblem>> {
  try {
    return ok(await planTables(catalog, statement, asOf, sight));
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
  { sql, tables: needs, places }: Pick<StatementPlan, "sql" | "tables" | "places">,
  asOf: AsOf | undefined,
  sight: Sight | null,
): Promise<PlannedTables> {
  // A statement without a table still says which snapshot it stood on.
  const asked =
    needs.length > 0
      ? needs.map((need) => seenNeed(need, sight))
      : [{ table: "events" as const, columns: null, scans: 0, values: NOTHING_ASKED }];
  let state = asOf;
  let snapshot = 0;
  let cut: Plan["cut"];
  const tables: EngineTable[] = [];
  const scans: { need: TableNeed; scan: PlannedScan }[] = [];
  for (const need of asked) {
    const plan = await catalog.plan(planRequest(need, state));
    ({ snapshot, cut } = plan);
    state = cut ? { cut: cut.name } : { asOf: snapshot };
    const scan = plan.scan ?? untold(plan);
    if (needs.length > 0) scans.push({ need, scan });
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
      pruned: scan.pruned,
      ...(sight && { sight }),
    });
  }
  const estimate = estimateOf(scans);
  const alternatives = alternativesOf(sql, places, scans);
  const refused = tooLarge(estimate, alternatives);
  // Where row groups may be left out the engine decides, by the footers, as long as these can be read.
  const isOpen = estimate.files <= LIMITS.files && asked.some(hasRowGroupFilter);
  if (refused && !isOpen) throw new StatementFailed(refused);
  return {
    snapshot,
    ...(cut && { cut: cut.name }),
    tables: needs.length > 0 ? tables : [],
    estimate,
    ...(refused && { alternatives }),
  };
}

/**
 * What the statement says of a masked column it says of pseudonyms, which no file's bounds and filters know. And who sees some
 * sources is not to learn from the number of files whether others have a value: only times and names of events leave files out.
 */
function seenNeed(need: TableNeed, sight: Sight | null): TableNeed {
  if (!sight) return need;
  const isTold = (column: string) => (sight.sources ? column === "event_name" : !isMasked(sight, need.table, column));
  return {
    ...need,
    values: new Map([...need.values].filter(([column]) => isTold(column))),
    columns: need.columns && sight.sources ? new Set([...need.columns, "source"]) : need.columns,
  };
}

/** Of a catalog that does not foretell: the files, and their whole bytes. */
function untold({ files, matched }: Plan): PlannedScan {
  const {
    files: count,
    rows,
    bytes,
  } = matched ?? {
    files: files.length,
    rows: files.reduce((sum, file) => sum + file.rows, 0),
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
  };
  return {
    files: count,
    rows,
    fileBytes: bytes,
    rowGroups: count,
    footerBytes: 0,
    readBytes: bytes,
    // Told by the footers only.
    chunkBytes: 0,
    requests: count,
    untold: count,
    pruned: { byTime: 0, byName: 0, byBounds: 0 },
  };
}

/** Of the table that is largest. */
function alternativesOf(
  sql: string,
  places: StatementPlan["places"],
  scans: readonly { need: TableNeed; scan: PlannedScan }[],
): Alternatives {
  const largest = scans.toSorted((a, b) => b.scan.readBytes - a.scan.readBytes)[0];
  const fits = largest?.scan.fitsFrom;
  return {
    narrower: fits === undefined ? null : narrower(sql, places, largest!.need.table, fits, largest!.need.to),
    elsewhere: elsewhere(sql, places),
  };
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

function planRequest(
  { table, from, to, values, columns, names, scans }: TableNeed,
  asOf: AsOf | undefined,
): PlanRequest {
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
    scan: {
      columns: columns && [...columns, ...(names ?? [])],
      atMost: {
        chunkBytes: LIMITS.bytes,
        files: LIMITS.files,
        requests: Math.floor(LIMITS.requests / Math.max(1, scans)),
      },
    },
  };
}
