/** The figures of an answer that did not have to be made: it took time, but no engine and no byte. */

import type { EngineStatement, StatementStats } from "../engine/statement.ts";
import { dollarsOf } from "../estimate/dollars.ts";

/** @param mark where it came from. */
export function ownFigures(
  made: StatementStats,
  { startedAt, snapshot, cut }: Pick<EngineStatement, "startedAt" | "snapshot" | "cut">,
  mark: { route: "cache"; age_ms: number } | { shared: true },
  now: number,
): StatementStats {
  const { cut: _, ...rest } = made;
  return {
    ...rest,
    elapsed_ms: now - startedAt,
    engine_ms: 0,
    wait_ms: 0,
    boot_ms: 0,
    cold: false,
    snapshot,
    ...(cut !== undefined && { cut }),
    bytes_read: 0,
    requests: 0,
    waves: 0,
    fallback_reads: 0,
    dollars: dollarsOf({ requests: 0, engineMs: 0 }),
    ...mark,
  };
}
