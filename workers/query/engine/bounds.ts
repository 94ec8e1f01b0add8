/** How heap, pages and result share an isolate's memory. Pure. */
import { MiB, SQL } from "../../../r2-layout/limits.ts";
import { StatementFailed } from "../problem.ts";

/** Fewer pages than this and every read would wait. */
export const PAGES_MIN_BYTES = 4 * MiB;

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
