/** What one statement may read, and how heap, pages and result share an isolate's memory. Pure. */
import { MiB, SQL } from "../../../r2-layout/limits.ts";
import { StatementFailed } from "../problem.ts";

/** Fewer pages than this and every read would wait. */
export const PAGES_MIN_BYTES = 4 * MiB;

/** @param scanBytes of column chunks, by the footers. @throws StatementFailed */
export function refuseLargeScan(scanBytes: number, files: number): void {
  if (scanBytes <= SQL.scanBytes) return;
  throw new StatementFailed({
    reason: "scan_too_large",
    detail: `the statement would read ${scanBytes} bytes of column data; narrow event_time, or name fewer columns`,
    scan_bytes: scanBytes,
    limit_bytes: SQL.scanBytes,
    files,
  });
}

/** Bytes of pages that may be held beside heap and result. */
export function pageCapacity(heapBytes: number, resultBytes: number): number {
  const room = SQL.engineBytes - heapBytes - resultBytes;
  return Math.min(SQL.prefetchBytes, Math.max(PAGES_MIN_BYTES, room));
}

/** @throws StatementFailed where even the fewest pages do not fit beside heap and result. */
export function refuseLargeResult(heapBytes: number, resultBytes: number): void {
  if (heapBytes + resultBytes + PAGES_MIN_BYTES <= SQL.engineBytes) return;
  const detail = "the result and what it is made from do not fit together; aggregate, or take less with LIMIT";
  throw new StatementFailed({ reason: "memory_exceeded", detail });
}
