/** What a client is told when a statement is not answered: problem documents with a stable `reason`, as at the edge. */
import { problemDocument } from "../problem-document.ts";
import type { Refusal } from "./plan/refusal.ts";

export type QueryProblem =
  | Refusal
  | { reason: "bad_json"; detail: string }
  | { reason: "bad_parameter"; parameter: string; detail: string }
  | { reason: "body_too_large"; limit_bytes: number }
  | { reason: "method_not_allowed"; allow: string }
  | { reason: "not_found" }
  | { reason: "unknown_snapshot"; detail: string }
  | { reason: "unknown_cut"; detail: string }
  | {
      /** What it would read, by estimate/refusal.ts. */
      reason: "scan_too_large" | "too_many_files" | "too_many_reads";
      detail: string;
      files: number;
      scan_bytes: number;
      limit_bytes?: number;
      estimate?: object;
      limit?: object;
      narrower?: object | null;
      elsewhere?: object;
    }
  | { reason: "result_too_large"; detail: string; limit_rows: number; limit_bytes: number }
  | { reason: "memory_exceeded"; detail: string }
  | { reason: "engine_broken"; detail: string }
  | { reason: "statement_timeout"; detail: string; limit_ms: number }
  | { reason: "statement_cancelled" }
  | { reason: "reader_too_slow"; limit_ms: number }
  | { reason: "engine_busy"; retry_after_s: number }
  | { reason: "budget_exceeded"; detail: string; limit: number; retry_after_s: number }
  | { reason: "statement_id_in_use"; detail: string; retry_after_s: number }
  | { reason: "unknown_statement" }
  | { reason: "store_unavailable"; detail: string; retry_after_s: number }
  | { reason: "internal"; detail: string };

const PROBLEMS = {
  empty_statement: { status: 400, title: "There is no statement" },
  statement_too_large: { status: 413, title: "The statement is too large" },
  statement_too_complex: { status: 400, title: "The statement is too complex" },
  several_statements: { status: 400, title: "Only one statement at a time" },
  not_a_select: { status: 400, title: "Only a SELECT is answered" },
  unsupported_syntax: { status: 400, title: "This syntax is not supported" },
  table_not_allowed: { status: 400, title: "There is no such table" },
  table_function_not_allowed: { status: 400, title: "This function may not stand in FROM" },
  function_not_allowed: { status: 400, title: "This function may not be called" },
  sql_error: { status: 400, title: "The statement is wrong" },
  bad_json: { status: 400, title: "The body cannot be read" },
  bad_parameter: { status: 400, title: "A parameter is wrong" },
  body_too_large: { status: 413, title: "The body is too large" },
  method_not_allowed: { status: 405, title: "This method is not for this address" },
  not_found: { status: 404, title: "There is nothing here" },
  unknown_snapshot: { status: 404, title: "There is no such snapshot" },
  unknown_cut: { status: 404, title: "There is no such cut" },
  scan_too_large: { status: 422, title: "The statement reads too much" },
  too_many_files: { status: 422, title: "The statement reads too many files" },
  too_many_reads: { status: 422, title: "The statement takes too many reads" },
  result_too_large: { status: 422, title: "The result is too large" },
  memory_exceeded: { status: 422, title: "The statement needs too much memory" },
  engine_broken: { status: 422, title: "The engine cannot run this statement" },
  statement_timeout: { status: 408, title: "The statement took too long" },
  statement_cancelled: { status: 499, title: "The statement was cancelled" },
  reader_too_slow: { status: 408, title: "The answer was not read" },
  engine_busy: { status: 503, title: "All engines are busy" },
  budget_exceeded: { status: 429, title: "This token's budget is used up" },
  statement_id_in_use: { status: 409, title: "This id belongs to a statement that has not ended" },
  unknown_statement: { status: 404, title: "There is no such statement of this token" },
  store_unavailable: { status: 503, title: "The lake cannot be read right now" },
  internal: { status: 500, title: "Something broke here" },
} as const satisfies Record<QueryProblem["reason"], { status: number; title: string }>;

export function problem(cause: QueryProblem): Response {
  return problemDocument(PROBLEMS[cause.reason], cause);
}

/** Marks the answer of an engine that found a data file gone, for the planner; no client sees the first of them. */
export const GONE_HEADER = "x-eventpile-file-gone";

/** Thrown where a statement ends early; the engine object answers with it. */
export class StatementFailed extends Error {
  readonly problem: QueryProblem;
  /** A data file of the plan is not there any more. */
  readonly fileGone: boolean;
  constructor(cause: QueryProblem, fileGone = false) {
    super(cause.reason);
    this.problem = cause;
    this.fileGone = fileGone;
  }

  answer(): Response {
    const answer = problem(this.problem);
    if (this.fileGone) answer.headers.set(GONE_HEADER, "1");
    return answer;
  }
}
