/** The answer to `explain`: what a statement would read, by the footers of its files, without reading more than those. */
import type { EngineStatement, StatementStats } from "../engine/statement.ts";
import type { LakeReader } from "../prefetch/lake-reader.ts";
import { dollarsOf, engineMsOf } from "./dollars.ts";

export function explainBody(
  { sql, tables, estimate }: EngineStatement,
  reader: Pick<LakeReader, "foretold" | "rowGroups">,
  scanBytes: number,
  stats: StatementStats,
) {
  const sum = (of: (table: EngineStatement["tables"][number]) => number) =>
    tables.reduce((total, table) => total + of(table), 0);
  const { bytes, requests } = reader.foretold();
  return {
    sql,
    route: "engine",
    files: sum(({ files }) => files.length),
    row_groups: reader.rowGroups.kept,
    bytes,
    requests,
    dollars: dollarsOf({ requests, engineMs: engineMsOf({ bytes, requests }) }),
    pruned: {
      table_files: sum(({ tableFiles }) => tableFiles),
      by_time: sum(({ pruned }) => pruned?.byTime ?? 0),
      by_name: sum(({ pruned }) => pruned?.byName ?? 0),
      by_bounds: sum(({ pruned }) => pruned?.byBounds ?? 0),
      /** Row groups that bounds and Bloom filters in the files rule out. */
      by_filter: reader.rowGroups.planned - reader.rowGroups.kept,
    },
    /** As foretold before any footer was read. */
    ...(estimate && { estimate }),
    scan_bytes: scanBytes,
    tables: tables.map(({ table, files, tableFiles, tableBytes, columns, from, to, eventNames }) => ({
      table,
      columns,
      from: from ?? null,
      to: to ?? null,
      event_names: eventNames ?? null,
      files: files.map(({ key, bytes, rows }) => ({ key, bytes, rows })),
      table_files: tableFiles,
      table_bytes: tableBytes,
    })),
    stats,
  };
}
