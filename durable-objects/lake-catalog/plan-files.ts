/**
 * Which files a question has to read: a range of one index, whatever the size of the lake. First they are counted, which
 * reads the index alone; they are told only where they can be read in one statement, because a year of files is
 * megabytes that nobody could use.
 */
import { TABLES } from "../../r2-layout/event-columns.ts";
import { SQL } from "../../r2-layout/limits.ts";
import type { PromotedColumn } from "../../r2-layout/promoted-columns.ts";
import { DAY_US } from "../../r2-layout/time.ts";
import type { ColumnBounds, FileTotals, Plan, PlannedFile, PlannedScan, PlanRequest, ScanTotals } from "./api.ts";
import { mayHold, mayReach } from "./prune.ts";
import { fitsFrom, fitsFromOf, scanTotals } from "./scan-fit.ts";
import { addScans, NO_SCAN, scanFrom, scanQuery } from "./scan-sums.ts";

/** A set of files: those of a snapshot, or those that a cut at a snapshot names now (cuts.ts). */
export interface FileSet {
  readonly seq: number;
  readonly cut?: boolean;
  /** Promoted columns that the table has then; absent: none. */
  readonly promoted?: readonly PromotedColumn[];
  /** How many it has, as far as that is counted. */
  readonly tableFiles?: number;
}

/** Has every column that the counting looks at, so that it reads no row: a file's row is some thousand bytes long. */
export const PLAN_INDEX = `CREATE INDEX IF NOT EXISTS data_file_plan ON data_file
  (tbl, spans_days, min_time, max_time, added_seq, removed_seq, partition_name, row_count, bytes)`;

/** From which snapshot on a file's rows are the lake's, and up to which (exclusive): the same in fewer files are the same. */
export const SINCE = "coalesce(rows_since, added_seq)";
export const GONE = "coalesce(rows_gone, removed_seq)";
/** Of a cut's snapshot, twice. */
export const IN_CUT = `${SINCE} <= ? AND (${GONE} IS NULL OR ${GONE} > ?)`;

export interface Condition {
  readonly text: string;
  readonly values: readonly (string | number)[];
}

type PlannedRow = {
  id: number;
  key: string;
  bytes: number;
  row_count: number;
  min_time: number;
  max_time: number;
  schema_version?: number;
  rules?: number;
  log_shard?: string | null;
  log_seq?: string | null;
  footer?: number | null;
} & Partial<Omit<ScanTotals, "bytes">> & { [bounds: `bounds_${number}`]: string | null };

export type PlannedFiles = Required<Pick<Plan, "files" | "matched">> & Pick<Plan, "scan">;

/** Files of a set that may hold a row asked for, oldest first, and what they amount to. */
export function plannedFiles(sql: SqlStorage, request: PlanRequest, set: FileSet): PlannedFiles {
  // Two ranges of the index: a file of one day starts at most a day before any time in it, one of many at any time.
  const ranges = [0, 1].map((spansDays) => conditionsOf(sql, request, set, spansDays));
  const asked = askedColumns(request, set);
  const { filesMax, scan } = request;
  const indexed = filesMax !== undefined || scan ? ranges.map((range) => counted(sql, range)).reduce(addTotals) : null;
  if (filesMax !== undefined && indexed!.files > filesMax) {
    // Unless what the index knows is not all that decides; and bounds of very many files are not looked at one by one.
    const decides = asked.length === 0 || indexed!.files > SQL.filesLookedAt;
    if (decides && !request.log) {
      if (!scan) return { files: [], matched: indexed! };
      const totals = scanTotals(sql, request, scan, set, ranges);
      const fits = fitsFrom(sql, request, scan, set, ranges, totals);
      return {
        files: [],
        matched: indexed!,
        scan: { ...totals, ...fits, pruned: prunedOf(sql, request, set, indexed!) },
      };
    }
  }
  const found = ranges.flatMap((range) => selected(sql, request, set, asked, range));
  found.sort((a, b) => a.file.minTime - b.file.minTime || a.file.id - b.file.id);
  const files = found.map(({ file }) => file);
  const matched = files.map(({ rows, bytes }) => ({ files: 1, rows, bytes })).reduce(addTotals, NO_FILES);
  const told = filesMax !== undefined && files.length > filesMax ? [] : files;
  if (!scan) return { files: told, matched };
  const totals = found.reduce((sum, { costs }) => addScans(sum, costs!), NO_SCAN);
  const pruned = { ...prunedOf(sql, request, set, indexed!), byBounds: indexed!.files - files.length };
  const fits = fitsFromOf(found as { file: PlannedFile; costs: ScanTotals }[], scan.atMost, request);
  return { files: told, matched, scan: { ...totals, ...fits, pruned } };
}

function prunedOf(sql: SqlStorage, request: PlanRequest, set: FileSet, indexed: FileTotals): PlannedScan["pruned"] {
  const { eventNames, ...anyName } = request;
  const inTime = eventNames
    ? [0, 1].map((spansDays) => counted(sql, conditionsOf(sql, anyName, set, spansDays))).reduce(addTotals).files
    : indexed.files;
  return {
    byTime: Math.max(0, (set.tableFiles ?? inTime) - inTime),
    byName: inTime - indexed.files,
    byBounds: 0,
  };
}

interface AskedColumn {
  readonly name: string;
  readonly sought: readonly (string | number)[];
  /** A file of an older schema lacks the column: all null, and nothing equals null. */
  readonly since: number;
}

/** Columns asked for by value, those that the table has: a planner does not know the promoted ones, and asks for what may be one. */
function askedColumns({ table, equals }: PlanRequest, { promoted = [] }: FileSet): AskedColumn[] {
  return Object.entries(equals ?? {}).flatMap(([name, sought]) => {
    const since = promoted.find((column) => column.name === name)?.schemaVersion ?? 0;
    return since > 0 || Object.hasOwn(TABLES[table], name) ? [{ name, sought, since }] : [];
  });
}

const NO_FILES: FileTotals = { files: 0, rows: 0, bytes: 0 };

const addTotals = (a: FileTotals, b: FileTotals): FileTotals => ({
  files: a.files + b.files,
  rows: a.rows + b.rows,
  bytes: a.bytes + b.bytes,
});

function conditionsOf(
  sql: SqlStorage,
  { table, from, to, eventNames }: PlanRequest,
  { seq, cut = false }: FileSet,
  spansDays: number,
): Condition {
  const parts: Condition[] = [
    { text: "tbl = ? AND spans_days = ?", values: [table, spansDays] },
    { text: "min_time < ?", values: [to ?? Number.MAX_SAFE_INTEGER] },
  ];
  if (from !== undefined) {
    parts.push({ text: "max_time >= ?", values: [from] });
    if (spansDays === 0) parts.push({ text: "min_time >= ?", values: [from - DAY_US] });
  }
  parts.push(inSet(sql, seq, cut));
  if (eventNames) {
    const asked = JSON.stringify(eventNames);
    parts.push({
      text: `CASE WHEN partition_name IS NOT NULL THEN partition_name IN (SELECT value FROM json_each(?))
        ELSE event_names IS NULL
          OR EXISTS (SELECT 1 FROM json_each(event_names) AS held WHERE held.value IN (SELECT value FROM json_each(?)))
        END`,
      values: [asked, asked],
    });
  }
  return { text: parts.map(({ text }) => text).join(" AND "), values: parts.flatMap(({ values }) => values) };
}

function inSet(sql: SqlStorage, seq: number, cut: boolean): Condition {
  let text = cut ? IN_CUT : "added_seq <= ? AND (removed_seq IS NULL OR removed_seq > ?)";
  const values: (string | number)[] = [seq, seq];
  // Only a revert ever writes such a row.
  if (sql.exec("SELECT 1 FROM file_absence LIMIT 1").toArray().length > 0) {
    text += " AND NOT EXISTS (SELECT 1 FROM file_absence WHERE file = id AND from_seq <= ? AND to_seq > ?)";
    values.push(seq, seq);
  }
  return { text, values };
}

function counted(sql: SqlStorage, { text, values }: Condition): FileTotals {
  return sql
    .exec<{ files: number; rows: number; bytes: number }>(
      `SELECT count(*) AS files, coalesce(sum(row_count), 0) AS rows, coalesce(sum(bytes), 0) AS bytes
       FROM data_file WHERE ${text}`,
      ...values,
    )
    .one();
}

/** Only what is asked for leaves SQLite: a file's statistics are mostly of other columns. */
function selected(
  sql: SqlStorage,
  { table, log, scan }: PlanRequest,
  { promoted = [] }: FileSet,
  asked: readonly AskedColumn[],
  { text, values }: Condition,
): { file: PlannedFile; costs?: ScanTotals }[] {
  const query = scan && scanQuery(table, scan.columns, promoted);
  const wanted = [
    asked.length > 0 ? ", schema_version" : "",
    ...asked.map((_, i) => `, json_extract(columns, ?) AS bounds_${i}`),
    log
      ? ", rules, json_extract(columns, '$.log_shard') AS log_shard, json_extract(columns, '$.log_seq') AS log_seq"
      : "",
  ].join("");
  const found: { file: PlannedFile; costs?: ScanTotals }[] = [];
  for (const row of sql.exec<PlannedRow>(
    query
      ? `SELECT *${COSTS.map((name) => `, ${query.figures[name]} AS "${name}"`).join("")} FROM ${scanFrom(query, text, `, id, key, min_time${wanted}`)}`
      : `SELECT id, key, bytes, row_count, min_time, max_time${wanted} FROM data_file WHERE ${text}`,
    ...asked.map(({ name }) => `$.${JSON.stringify(name)}`),
    ...values,
  )) {
    const boundsOf = (i: number) => parsed<ColumnBounds>(row[`bounds_${i}`]) ?? undefined;
    const fits = ({ sought, since }: AskedColumn, i: number) =>
      row.schema_version! >= since && mayHold(boundsOf(i), row.row_count, sought);
    if (!asked.every(fits)) continue;
    const places = log && logBounds(row);
    if (places && !mayReach(places, [[log.shard, log]])) continue;
    const file: PlannedFile = {
      id: row.id,
      key: row.key,
      bytes: row.bytes,
      rows: row.row_count,
      minTime: row.min_time,
      maxTime: row.max_time,
      ...(places && {
        rules: row.rules!,
        ...(typeof places.log_seq?.min === "number" && { minSeq: places.log_seq.min }),
        ...(typeof places.log_seq?.max === "number" && { maxSeq: places.log_seq.max }),
      }),
      ...(typeof row.footer === "number" && { footerBytes: row.footer }),
    };
    found.push(query ? { file, costs: costsOf(row) } : { file });
  }
  return found;
}

const COSTS = Object.keys(NO_SCAN) as (keyof ScanTotals)[];

const costsOf = (row: PlannedRow): ScanTotals =>
  Object.fromEntries(COSTS.map((name) => [name, row[name]])) as unknown as ScanTotals;

function logBounds({ log_shard, log_seq }: PlannedRow): Record<string, ColumnBounds> {
  const bounds = { log_shard: parsed<ColumnBounds>(log_shard), log_seq: parsed<ColumnBounds>(log_seq) };
  return Object.fromEntries(
    Object.entries(bounds).filter((entry): entry is [string, ColumnBounds] => entry[1] !== null),
  );
}

const parsed = <T>(text: string | null | undefined): T | null =>
  text === null || text === undefined ? null : (JSON.parse(text) as T);
