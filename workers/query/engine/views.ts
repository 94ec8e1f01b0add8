/**
 * The tables as DuckDB sees them: a view over the planned files, with every column of the table in its order, whatever
 * the files have. A file older than a column reads null, and a column younger than the snapshot is not there (promise 6). Files are grouped by the columns they have, a scan
 * each, instead of `union_by_name`, which opens every file when the statement is bound and keeps all footers in memory.
 */
import { TIME_COLUMN } from "../../../r2-layout/data-file.ts";
import type { Columns, TableName } from "../../../r2-layout/event-columns.ts";
import { SQL_TYPES } from "../../../r2-layout/sql-types.ts";
import { isoMicros } from "../../../r2-layout/time.ts";
import { stringText } from "../plan/string-text.ts";

export interface ViewFile {
  readonly key: string;
  /** Columns the file has. */
  readonly columns: readonly string[];
  /** Its rows count only if their time is before this, microseconds; absent: all of them. */
  readonly before?: number;
}

/** @param tableColumns as of the snapshot. @returns the SELECT of the view; with no file, an empty table of the right types. */
export function tableView(table: TableName, tableColumns: Columns, files: readonly ViewFile[]): string {
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
