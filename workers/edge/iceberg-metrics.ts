/** How far other engines' view of the lake is behind, in Prometheus' text format. */
import type { PublishedTable } from "../../durable-objects/lake-catalog/iceberg-api.ts";

export function icebergMetricLines(tables: readonly PublishedTable[], nowMs: number): string[] {
  const gauge = (name: string, help: string, of: (table: PublishedTable) => number) => [
    `# HELP eventpile_${name} ${help}`,
    `# TYPE eventpile_${name} gauge`,
    ...tables.map((table) => `eventpile_${name}{table="${table.table}"} ${of(table)}`),
  ];
  return [
    ...gauge(
      "iceberg_lake_snapshot",
      "The lake's snapshot that the Iceberg table shows.",
      ({ lakeSnapshot }) => lakeSnapshot,
    ),
    ...gauge(
      "iceberg_unpublished_seconds",
      "How long ago the oldest commit of the lake was made that the Iceberg table does not show; 0 where there is none.",
      ({ unpublishedSince }) => (unpublishedSince === null ? 0 : Math.max(0, (nowMs - unpublishedSince) / 1_000)),
    ),
  ];
}
