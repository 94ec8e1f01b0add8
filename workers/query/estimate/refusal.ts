/** Why a statement that would read too much is not run: with its figures, the range that would fit, and where else to ask. */
import { type QueryProblem, StatementFailed } from "../problem.ts";
import { type Estimate, LIMITS, tooLargeReason } from "./estimate.ts";
import type { Narrower } from "./narrower.ts";

export interface Alternatives {
  readonly narrower: Narrower | null;
  /** The same question for other engines over the lake's Iceberg tables. */
  readonly elsewhere: Readonly<Record<string, string>>;
}

export type TooLarge = Extract<QueryProblem, { reason: "scan_too_large" | "too_many_files" | "too_many_reads" }>;

/** @returns null where it is within the limits. */
export function tooLarge(estimate: Estimate, alternatives: Alternatives | undefined): TooLarge | null {
  const reason = tooLargeReason(estimate);
  if (!reason) return null;
  const [what, advice] = ADVICE[reason](estimate);
  const fits = alternatives?.narrower;
  return {
    reason,
    detail: `the statement would read ${what}; ${fits ? `${fits.condition} would fit` : advice}`,
    files: estimate.files,
    scan_bytes: estimate.scan_bytes,
    estimate,
    limit: LIMITS,
    ...(reason === "scan_too_large" && { limit_bytes: LIMITS.bytes }),
    narrower: fits ?? null,
    ...(alternatives && { elsewhere: alternatives.elsewhere }),
  };
}

const ADVICE: Record<TooLarge["reason"], (estimate: Estimate) => readonly [what: string, advice: string]> = {
  scan_too_large: ({ scan_bytes }) => [
    `${scan_bytes} bytes of column data`,
    "narrow event_time, or name fewer columns",
  ],
  too_many_files: ({ files }) => [`${files} files`, "narrow event_time; maintenance will merge small files"],
  too_many_reads: ({ requests }) => [`in ${requests} requests`, "narrow event_time, or name fewer columns"],
};

/** By the footers, once they are read. @throws StatementFailed */
export function refuseTooLarge(estimate: Estimate, alternatives: Alternatives | undefined): void {
  const problem = tooLarge(estimate, alternatives);
  if (problem) throw new StatementFailed(problem);
}
