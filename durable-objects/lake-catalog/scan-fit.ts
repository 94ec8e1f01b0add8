/** What a set of files too large to be told takes to read, and from which day on it would not be too much. */
import { DAY_US } from "../../r2-layout/time.ts";
import type { PlannedFile, PlannedScan, PlanRequest, ScanRequest, ScanTotals } from "./api.ts";
import type { Condition, FileSet } from "./plan-files.ts";
import { addScans, NO_SCAN, type ScanQuery, scanFrom, scanQuery } from "./scan-sums.ts";

type Fit = Pick<PlannedScan, "fitsFrom">;

/** Days that are looked at for a range that fits: two years and some. */
const DAYS_MAX = 1_100;

export function scanTotals(
  sql: SqlStorage,
  { table }: PlanRequest,
  { columns }: ScanRequest,
  { promoted = [] }: FileSet,
  conditions: readonly Condition[],
): ScanTotals {
  const query = scanQuery(table, columns, promoted);
  return conditions.map((condition) => summed(sql, query, condition)).reduce(addScans);
}

const sumsOf = ({ figures }: ScanQuery): string =>
  Object.entries(figures)
    .map(([name, expression]) => `coalesce(sum(${expression}), 0) AS "${name}"`)
    .join(", ");

function summed(sql: SqlStorage, query: ScanQuery, { text, values }: Condition): ScanTotals {
  const row = sql
    .exec<Record<string, number>>(`SELECT ${sumsOf(query)} FROM ${scanFrom(query, text)}`, ...values)
    .one();
  return { ...NO_SCAN, ...row };
}

function isTooMuch(totals: ScanTotals, { chunkBytes, files, requests }: ScanRequest["atMost"]): boolean {
  return totals.chunkBytes > chunkBytes || totals.files > files || totals.requests > requests;
}

/** Walks back from the newest day, so that it costs what fits, not what there is. */
export function fitsFrom(
  sql: SqlStorage,
  { table, from = 0, to = Number.MAX_SAFE_INTEGER }: PlanRequest,
  { columns, atMost }: ScanRequest,
  { promoted = [] }: FileSet,
  [oneDay, manyDays]: readonly Condition[],
  totals: ScanTotals,
): Fit {
  if (!isTooMuch(totals, atMost)) return {};
  const query = scanQuery(table, columns, promoted);
  const spanning = daysOf(sql, query, manyDays!);
  const first = sql
    .exec<{ oldest: number | null; newest: number | null }>(
      `SELECT min(min_time) AS oldest, max(max_time) AS newest FROM data_file WHERE ${oneDay!.text}`,
      ...oneDay!.values,
    )
    .one();
  const newest = Math.min(to - 1, Math.max(first.newest ?? 0, ...spanning.map(({ day }) => day)));
  const oldest = Math.max(from, Math.min(first.oldest ?? newest, ...spanning.map(({ day }) => day)));
  let sum = NO_SCAN;
  let fits: number | null = null;
  for (let day = startOfDay(newest), i = 0; day + DAY_US > oldest && i < DAYS_MAX; day -= DAY_US, i++) {
    const own = summed(sql, query, {
      text: `${oneDay!.text} AND min_time >= ? AND min_time < ?`,
      values: [...oneDay!.values, day, day + DAY_US],
    });
    sum = [own, ...spanning.filter((files) => files.day === day).map(({ costs }) => costs)].reduce(addScans, sum);
    if (isTooMuch(sum, atMost)) break;
    if (sum.files > 0) fits = day;
  }
  return fits === null || fits <= from ? {} : { fitsFrom: fits };
}

/** The same for files that are at hand. */
export function fitsFromOf(
  files: readonly { file: Pick<PlannedFile, "maxTime">; costs: ScanTotals }[],
  atMost: ScanRequest["atMost"],
  { from = 0, to = Number.MAX_SAFE_INTEGER }: PlanRequest,
): Fit {
  if (!isTooMuch(files.map(({ costs }) => costs).reduce(addScans, NO_SCAN), atMost)) return {};
  const byDay = Map.groupBy(files, ({ file }) => startOfDay(Math.min(file.maxTime, to - 1)));
  let sum = NO_SCAN;
  let fits: number | null = null;
  for (const day of [...byDay.keys()].sort((a, b) => b - a)) {
    sum = byDay.get(day)!.reduce((before, { costs }) => addScans(before, costs), sum);
    if (isTooMuch(sum, atMost)) break;
    fits = day;
  }
  return fits === null || fits <= from ? {} : { fitsFrom: fits };
}

const startOfDay = (us: number): number => Math.floor(us / DAY_US) * DAY_US;

/** Files of several days count on their last one: any range that reaches it reads them. */
function daysOf(sql: SqlStorage, query: ScanQuery, { text, values }: Condition): { day: number; costs: ScanTotals }[] {
  return sql
    .exec<Record<string, number>>(
      `SELECT max_time / ${DAY_US} AS day, ${sumsOf(query)} FROM ${scanFrom(query, text)} GROUP BY 1`,
      ...values,
    )
    .toArray()
    .map(({ day, ...costs }) => ({ day: day! * DAY_US, costs: { ...NO_SCAN, ...costs } }));
}
