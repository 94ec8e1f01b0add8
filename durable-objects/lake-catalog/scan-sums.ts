/**
 * What reading some columns of files takes, added up inside SQLite from what their footers told when they came: of 73,000
 * files in the time of a plan, for any set of files that a WHERE clause can name. The expressions say what
 * r2-layout/scan-policy.ts says. A file that did not tell, of before there was this table, counts whole.
 *
 * Never below what is read: gaps and requests are bounded from above where the sums do not tell them exactly.
 */
import type { ChunkSizes } from "../../r2-layout/chunk-sizes.ts";
import { TABLES, type TableName } from "../../r2-layout/event-columns.ts";
import { LAKE, MiB, SCHEMA } from "../../r2-layout/limits.ts";
import { FIRST_PROMOTED_ID, type PromotedColumn, tableColumns } from "../../r2-layout/promoted-columns.ts";
import {
  GAP_BYTES,
  REQUEST_BYTES,
  TAIL_BYTES,
  WHOLE_FILE_BYTES,
  WHOLE_GROUP_BYTES,
} from "../../r2-layout/scan-policy.ts";
import { addColumns } from "../add-columns.ts";
import type { ScanTotals } from "./api.ts";

const BASE_IDS = [...new Set(Object.values(TABLES).flatMap((columns) => Object.values(columns).map(({ id }) => id)))];
const PROMOTED_IDS = Array.from({ length: SCHEMA.promotedColumns }, (_, i) => FIRST_PROMOTED_ID + i);
const slot = (id: number): string => `f${id}`;

/** A row a file: its footer's bytes, its row groups, all its column chunks, and those of each column by its field id. */
export function createScanTable(sql: SqlStorage): void {
  sql.exec(`CREATE TABLE IF NOT EXISTS data_chunk (
    of_file INTEGER PRIMARY KEY, footer INTEGER NOT NULL, row_groups INTEGER NOT NULL, chunk_bytes INTEGER NOT NULL)`);
  // All places that a lake may ever take: a row is as long as the columns its file has.
  addColumns(sql, "data_chunk", Object.fromEntries([...BASE_IDS, ...PROMOTED_IDS].map((id) => [slot(id), "INTEGER"])));
}

/** @param promoted by name; what is not among the table's columns is only part of the sum. */
export function addScanSizes(
  sql: SqlStorage,
  file: number,
  table: TableName,
  sizes: ChunkSizes,
  promoted: readonly PromotedColumn[],
): void {
  const columns = tableColumns(table, promoted);
  const all = Object.values(sizes.columns).reduce((sum, bytes) => sum + bytes, 0);
  const known = Object.entries(sizes.columns).filter(([name]) => Object.hasOwn(columns, name));
  const names = ["of_file", "footer", "row_groups", "chunk_bytes", ...known.map(([name]) => slot(columns[name]!.id))];
  sql.exec(
    `INSERT INTO data_chunk (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
    file,
    sizes.footer,
    sizes.rowGroups,
    all,
    ...known.map(([, bytes]) => bytes),
  );
}

export function forgetScanSizes(sql: SqlStorage, files: readonly number[]): void {
  sql.exec("DELETE FROM data_chunk WHERE of_file IN (SELECT value FROM json_each(?))", JSON.stringify(files));
}

/** Of one file, or added up: the same names. */
export const NO_SCAN: ScanTotals = {
  files: 0,
  rows: 0,
  fileBytes: 0,
  rowGroups: 0,
  footerBytes: 0,
  readBytes: 0,
  chunkBytes: 0,
  requests: 0,
  untold: 0,
};

export function addScans(a: ScanTotals, b: ScanTotals): ScanTotals {
  return {
    files: a.files + b.files,
    rows: a.rows + b.rows,
    fileBytes: a.fileBytes + b.fileBytes,
    rowGroups: a.rowGroups + b.rowGroups,
    footerBytes: a.footerBytes + b.footerBytes,
    readBytes: a.readBytes + b.readBytes,
    chunkBytes: a.chunkBytes + b.chunkBytes,
    requests: a.requests + b.requests,
    untold: a.untold + b.untold,
  };
}

export interface ScanQuery {
  /** What a row of `data_file LEFT JOIN data_chunk` is to be asked for first: each expression below looks at it often. */
  readonly inner: string;
  /** Of one file, over a row of `inner`. */
  readonly figures: Readonly<Record<keyof ScanTotals, string>>;
}

/** @param more further columns of `data_file`. @returns a FROM clause; a subquery that SQLite does not merge into its outer. */
export const scanFrom = ({ inner }: ScanQuery, where: string, more: string = ""): string =>
  `(SELECT bytes, row_count, spans_days, of_file, footer, row_groups, max_time${more}${inner}
    FROM data_file LEFT JOIN data_chunk ON of_file = id WHERE ${where} LIMIT -1 OFFSET 0)`;

/** Row groups of a file that did not tell: one of many days has one a day, any other one per 100,000 rows or 12 MiB; twice that. */
const ROW_GROUPS = `coalesce(row_groups, CASE WHEN spans_days THEN ${LAKE.rowGroupsPerFile}
  ELSE 1 + row_count / ${LAKE.rowGroupRows / 2} + bytes / ${6 * MiB} END)`;

/**
 * @param asked columns that are read, null for all; names that the table does not have say nothing.
 * @param promoted those that the table has.
 */
export function scanQuery(
  table: TableName,
  asked: readonly string[] | null,
  promoted: readonly PromotedColumn[],
): ScanQuery {
  const known = tableColumns(table, promoted);
  let columns = asked?.filter((name) => Object.hasOwn(known, name)) ?? null;
  // Where files may differ in their columns, counting rows reads the first one.
  if (columns?.length === 0 && promoted.length > 0) columns = [Object.keys(known)[0]!];
  const { inner, gaps, runs } = columnSums(table, columns, promoted);
  const isWhole = `bytes <= ${WHOLE_FILE_BYTES}`;
  const byGroups = `bytes - footer <= row_groups * ${WHOLE_GROUP_BYTES}`;
  const isRead = columns === null || columns.length > 0;
  const common = {
    files: "1",
    rows: "row_count",
    fileBytes: "bytes",
    rowGroups: ROW_GROUPS,
    footerBytes: `coalesce(footer, min(bytes, ${TAIL_BYTES}))`,
    untold: "of_file IS NULL",
  };
  if (!isRead) {
    // Row counts are in the footers.
    const requests = "CASE WHEN of_file IS NULL THEN 2 ELSE 1 END";
    return { inner: "", figures: { ...common, chunkBytes: "0", readBytes: "coalesce(footer, bytes)", requests } };
  }
  const figures = {
    ...common,
    chunkBytes: "CASE WHEN of_file IS NULL THEN bytes ELSE chunks END",
    readBytes: `CASE WHEN ${isWhole} THEN bytes WHEN of_file IS NULL THEN bytes + ${TAIL_BYTES}
      WHEN ${byGroups} THEN bytes ELSE footer + chunks + ${gaps} END`,
    requests: `CASE WHEN ${isWhole} THEN 1 WHEN ${byGroups} THEN 2 + bytes / ${REQUEST_BYTES}
      ELSE 2 + ${ROW_GROUPS} * (${runs}) + bytes / ${REQUEST_BYTES} END`,
  };
  return { inner, figures };
}

/** Of the wanted columns of a file: their bytes, those of the gaps that are read along, and runs in each row group. */
function columnSums(table: TableName, columns: readonly string[] | null, promoted: readonly PromotedColumn[]) {
  if (columns === null) return { inner: ", chunk_bytes AS chunks", gaps: "0", runs: "1" };
  const wanted = new Set(columns);
  const chunks: string[] = [];
  const inner: string[] = [];
  const gaps: string[] = [];
  const runs: string[] = ["1"];
  let between: string[] = [];
  for (const [name, { id }] of Object.entries(tableColumns(table, promoted))) {
    const bytes = `coalesce(${slot(id)}, 0)`;
    if (!wanted.has(name)) {
      if (chunks.length > 0) between.push(bytes);
      continue;
    }
    if (between.length > 0) {
      const gap = `gap_${gaps.length}`;
      inner.push(`, ${between.join(" + ")} AS ${gap}, ${slot(id)} IS NULL AS lacks_${gaps.length}`);
      // Where the file lacks the column, its neighbours are farther apart than either gap says.
      runs.push(`(lacks_${gaps.length} OR ${gap} > row_groups * ${GAP_BYTES})`);
      gaps.push(`CASE WHEN ${gap} <= row_groups * ${GAP_BYTES} THEN ${gap} ELSE 0 END`);
    }
    chunks.push(bytes);
    between = [];
  }
  inner.push(`, ${chunks.join(" + ") || "0"} AS chunks`);
  return { inner: inner.join(""), gaps: gaps.join(" + ") || "0", runs: runs.join(" + ") };
}
