/**
 * The tables as DuckDB sees them: a view over the planned files, with every column of the table in its order, whatever
 * the files have. A file older than a column reads null, and a column younger than the snapshot is not there (promise 6). Files are grouped by the columns they have, a scan
 * each, instead of `union_by_name`, which opens every file when the statement is bound and keeps all footers in memory.
 */
import { TIME_COLUMN } from "../../../r2-layout/data-file.ts";
import type { Columns, TableName } from "../../../r2-layout/event-columns.ts";
import { SQL_TYPES } from "../../../r2-layout/sql-types.ts";
import { isoMicros } from "../../../r2-layout/time.ts";
import { isIdentifier, isMasked, PSEUDONYM, type Sight } from "../../sight.ts";
import { stringText } from "../plan/string-text.ts";

export interface ViewFile {
  readonly key: string;
  /** Columns the file has. */
  readonly columns: readonly string[];
  /** Its rows count only if their time is before this, microseconds; absent: all of them. */
  readonly before?: number;
}

/**
 * @param tableColumns as of the snapshot. @param sight absent: everything is seen. @returns the SELECT of the view; with no file,
 * an empty table of the right types.
 */
export function tableView(table: TableName, tableColumns: Columns, files: readonly ViewFile[], sight?: Sight): string {
  const rows = allRows(table, tableColumns, files);
  return sight ? seenRows(table, tableColumns, rows, sight) : rows;
}

/**
 * Rows of the sources, with masked values replaced. The limit, which no table reaches, is a wall: DuckDB moves no condition of
 * the statement below it, where it would be tried on rows that are not to be seen, and fail with a value of theirs.
 */
function seenRows(table: TableName, tableColumns: Columns, rows: string, sight: Sight): string {
  const list = Object.entries(tableColumns).map(([name, { type }]) => {
    if (!isMasked(sight, table, name)) return name;
    if (!isIdentifier(name)) return `NULL::${SQL_TYPES[type]} AS ${name}`;
    const hash = `left(sha256(${stringText(sight.pseudonymKey)} || ${name}), ${PSEUDONYM.digits})`;
    return `${stringText(PSEUDONYM.prefix)} || ${hash} AS ${name}`;
  });
  const seen = `SELECT ${list.join(", ")} FROM (${rows})`;
  if (!sight.sources) return seen;
  return `${seen} WHERE source IN (${sight.sources.map(stringText).join(", ")}) LIMIT 9223372036854775807`;
}

function allRows(table: TableName, tableColumns: Columns, files: readonly ViewFile[]): string {
  const columns = Object.entries(tableColumns);
  const groups = new Map<string, { list: string; where: string; keys: string[] }>();
  for (const file of files) {
    const has = new Set(file.columns);
    const list = columns
      .map(([name, column]) => (has.has(name) ? name : `NULL::${SQL_TYPES[column.type]} AS ${name}`))
      .join(", ");
    const scan = { list, where: file.before === undefined ? "" : ` WHERE ${beforeTime(table, file.before)}` };
    const group = JSON.stringify(scan);
    const known = groups.get(group);
    if (known) known.keys.push(file.key);
    else groups.set(group, { ...scan, keys: [file.key] });
  }
  if (groups.size === 0) {
    return `SELECT ${columns.map(([name, column]) => `NULL::${SQL_TYPES[column.type]} AS ${name}`).join(", ")} WHERE false`;
  }
  return [...groups.values()]
    .map(({ list, where, keys }) => `SELECT ${list} FROM read_parquet([${keys.map(stringText).join(", ")}])${where}`)
    .join(" UNION ALL ");
}

const beforeTime = (table: TableName, us: number): string =>
  `${TIME_COLUMN[table]} < TIMESTAMP '${isoMicros(us).replace("T", " ").replace("Z", "")}'`;
