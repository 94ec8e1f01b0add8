/**
 * What running a statement would read, foretold from what the catalog has added up (scan-sums.ts): never below what a cold
 * run reads, provided that it meets each table as often as it names it. A recursive query may read a table again in each of
 * its steps, which nobody knows beforehand.
 */
import type { PlannedScan } from "../../../durable-objects/lake-catalog/api.ts";
import { MiB, SQL } from "../../../r2-layout/limits.ts";
import type { TableNeed } from "../plan/plan-statement.ts";
import { dollarsOf, engineMsOf } from "./dollars.ts";

export interface Estimate {
  readonly files: number;
  readonly row_groups: number;
  /** Footers, column chunks, and what lies between them and is read along. */
  readonly bytes: number;
  /** Column chunks alone, once: what `SQL.scanBytes` bounds. */
  readonly scan_bytes: number;
  /** R2 reads. */
  readonly requests: number;
  readonly dollars: number;
}

export const LIMITS = {
  bytes: SQL.scanBytes,
  files: SQL.filesPerStatement,
  requests: SQL.readsPerStatement,
} as const;

/** Columns that have Bloom filters in large files. */
const FILTERED = ["user_id", "anonymous_id"] as const;
/** What is read twice may be served from memory the second time, unless memory is as short as it can be. */
const KEPT_BYTES = MiB;

export function estimateOf(tables: readonly { readonly need: TableNeed; readonly scan: PlannedScan }[]): Estimate {
  const sum = { files: 0, row_groups: 0, bytes: 0, scan_bytes: 0, requests: 0 };
  const held = tables.reduce((total, { scan }) => total + scan.footerBytes, 0) <= SQL.heldFooterBytes;
  for (const { need, scan } of tables) {
    const filters = FILTERED.filter((column) => need.values.has(column)).length;
    const footers = held ? 0 : scan.footerBytes;
    const times = scan.readBytes > KEPT_BYTES ? Math.max(1, need.scans) : 1;
    sum.files += scan.files;
    sum.row_groups += scan.rowGroups;
    // The reader asks filters only where they cost less than a quarter of the columns.
    sum.bytes += (scan.readBytes + footers) * times + (filters > 0 ? Math.ceil(scan.chunkBytes / 4) * filters : 0);
    sum.scan_bytes += scan.chunkBytes;
    sum.requests += (scan.requests + (held ? 0 : scan.files)) * times + filters * scan.rowGroups;
  }
  const engineMs = engineMsOf(sum);
  return { ...sum, dollars: dollarsOf({ requests: sum.requests, engineMs }) };
}

/** Which limit it is over, null for none. */
export function tooLargeReason(
  estimate: Pick<Estimate, "files" | "scan_bytes" | "requests">,
): "too_many_files" | "scan_too_large" | "too_many_reads" | null {
  if (estimate.files > LIMITS.files) return "too_many_files";
  if (estimate.scan_bytes > LIMITS.bytes) return "scan_too_large";
  return estimate.requests > LIMITS.requests ? "too_many_reads" : null;
}

/** Whether row groups may be left out, which only the footers tell: then a figure over the limit is not the last word. */
export const hasRowGroupFilter = ({ from, to, values }: TableNeed): boolean =>
  from !== undefined || to !== undefined || values.size > 0;
