/** The lake in Prometheus' text format: what it holds, and whether its rows are those that its cursors have applied. */
import { storedLedger } from "../../durable-objects/event-log/ledger.ts";
import type { CatalogStatus } from "../../durable-objects/lake-catalog/api.ts";

export function lakeMetricLines(status: CatalogStatus): string[] {
  const { rows, applied, rebuilt, retracted, expired } = storedLedger(status);
  const declared = (kind: string, name: string, help: string, samples: readonly string[]) => [
    `# HELP eventpile_${name} ${help}`,
    `# TYPE eventpile_${name} ${kind}`,
    ...samples.map((sample) => `eventpile_${name}${sample}`),
  ];
  const gauge = (name: string, help: string, ...samples: readonly string[]) => declared("gauge", name, help, samples);
  const conflicts = Object.entries(status.schema?.conflicts ?? {});
  return [
    ...gauge(
      "lake_rows",
      "Rows of the newest snapshot.",
      ...Object.entries(status.rows).map(([table, rows]) => `{table="${table}"} ${rows}`),
    ),
    ...gauge("lake_files", "Data files of the newest snapshot.", ` ${status.files}`),
    ...gauge("lake_bytes", "Bytes of these files.", ` ${status.bytes}`),
    ...gauge("lake_snapshot", "Number of the newest snapshot.", ` ${status.snapshot}`),
    ...gauge(
      "lake_rows_unaccounted",
      "Rows of events less those applied, rebuilt, not retracted and not expired: 0 where the lake is whole.",
      ` ${rows - (applied + rebuilt - retracted - expired)}`,
    ),
    "# HELP eventpile_lake_expired_events_total Events that retention has dropped from the lake.",
    "# TYPE eventpile_lake_expired_events_total counter",
    `eventpile_lake_expired_events_total ${expired}`,
    ...gauge("lake_schema_version", "Version of the lake's columns.", ` ${status.schema?.version ?? 1}`),
    ...declared(
      "counter",
      "lake_column_conflicts_total",
      "Values of properties that their promoted column could not take.",
      conflicts.map(([column, count]) => `{column="${column}"} ${count}`),
    ),
  ];
}
