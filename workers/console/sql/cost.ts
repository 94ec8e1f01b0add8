/** Figures of an estimate, whichever server gave it. Pure. */
import type { Explained } from "./statement.ts";

export interface Cost {
  readonly files: number;
  readonly tableFiles: number;
  readonly bytes: number;
  readonly rowGroups: number | null;
  readonly requests: number | null;
  readonly dollars: number | null;
}

export function costOf(explained: Explained): Cost {
  const { tables = [] } = explained;
  const sum = (of: (table: (typeof tables)[number]) => number) => tables.reduce((total, table) => total + of(table), 0);
  return {
    files: explained.files ?? sum(({ files }) => files.length),
    tableFiles: explained.pruned?.table_files ?? sum(({ table_files }) => table_files),
    bytes: explained.bytes ?? explained.scan_bytes ?? 0,
    rowGroups: explained.row_groups ?? null,
    requests: explained.requests ?? null,
    dollars: explained.dollars ?? null,
  };
}

/** Two figures that say something; what costs less than a hundredth of a cent says just that. */
export function formatDollars(dollars: number): string {
  if (dollars === 0) return "$0";
  if (dollars < 0.0001) return "under $0.0001";
  const digits = dollars >= 1 ? 2 : Math.min(4, 1 - Math.floor(Math.log10(dollars)));
  return `$${dollars.toFixed(digits)}`;
}

/** Where an answer comes from, in words; null for the engine, which goes without saying. */
export function routeWords(route: string | undefined): string | null {
  if (route === "rollups") return "from the rollups";
  if (route === "cache") return "from the cache";
  if (route === "distributed") return "by the larger engine";
  return null;
}
