/** What a Trino client is told: errors with a name, a number and a kind, as Trino's own (StandardErrorCode). */
import type { QueryProblem } from "../problem.ts";

export type ErrorType = "USER_ERROR" | "INTERNAL_ERROR" | "INSUFFICIENT_RESOURCES" | "EXTERNAL";

export interface TrinoError {
  readonly message: string;
  readonly errorCode: number;
  readonly errorName: ErrorName;
  readonly errorType: ErrorType;
  readonly failureInfo: { type: string; message: string; suppressed: never[]; stack: never[] };
  readonly errorLocation?: { lineNumber: number; columnNumber: number };
}

const RESOURCES = 0x2_0000;
const INTERNAL = 0x1_0000;
const CODES = {
  GENERIC_USER_ERROR: 0,
  SYNTAX_ERROR: 1,
  USER_CANCELED: 3,
  NOT_FOUND: 5,
  FUNCTION_NOT_FOUND: 6,
  INVALID_FUNCTION_ARGUMENT: 7,
  DIVISION_BY_ZERO: 8,
  INVALID_CAST_ARGUMENT: 9,
  NOT_SUPPORTED: 13,
  INVALID_SESSION_PROPERTY: 14,
  NUMERIC_VALUE_OUT_OF_RANGE: 19,
  CATALOG_NOT_FOUND: 44,
  SCHEMA_NOT_FOUND: 45,
  TABLE_NOT_FOUND: 46,
  COLUMN_NOT_FOUND: 47,
  INVALID_PARAMETER_USAGE: 78,
  TYPE_MISMATCH: 58,
  GENERIC_INTERNAL_ERROR: INTERNAL,
  SERVER_SHUTTING_DOWN: INTERNAL + 9,
  QUERY_QUEUE_FULL: RESOURCES + 2,
  EXCEEDED_TIME_LIMIT: RESOURCES + 3,
  EXCEEDED_LOCAL_MEMORY_LIMIT: RESOURCES + 7,
  EXCEEDED_SCAN_LIMIT: RESOURCES + 9,
} as const;
export type ErrorName = keyof typeof CODES;

export function trinoError(errorName: ErrorName, message: string): TrinoError {
  const errorCode = CODES[errorName];
  const errorType =
    errorCode >= RESOURCES ? "INSUFFICIENT_RESOURCES" : errorCode >= INTERNAL ? "INTERNAL_ERROR" : "USER_ERROR";
  const place = /at Line: (\d+), Column: (\d+)/i.exec(message);
  return {
    message,
    errorCode,
    errorName,
    errorType,
    ...(place && { errorLocation: { lineNumber: Number(place[1]), columnNumber: Number(place[2]) } }),
    failureInfo: { type: "io.trino.spi.TrinoException", message, suppressed: [], stack: [] },
  };
}

/** Thrown where a statement cannot go on; the client gets the error. */
export class TrinoFailed extends Error {
  readonly error: TrinoError;
  constructor(name: ErrorName, message: string) {
    super(message);
    this.error = trinoError(name, message);
  }
}

/** The error for a problem document of the pipeline. */
export function errorOfProblem(problem: { reason: string; title?: string; detail?: string }): TrinoError {
  const name = NAMES[problem.reason as QueryProblem["reason"]] ?? "GENERIC_USER_ERROR";
  const { title, detail, reason } = problem;
  const text = title && detail ? `${title}: ${detail}` : (detail ?? title ?? reason);
  return trinoError(problem.reason === "sql_error" ? sqlErrorName(problem.detail ?? "") : name, text);
}

/** DuckDB says in words what was wrong. */
function sqlErrorName(message: string): ErrorName {
  for (const [pattern, name] of SAYINGS) if (pattern.test(message)) return name;
  return "SYNTAX_ERROR";
}

const SAYINGS: readonly (readonly [RegExp, ErrorName])[] = [
  [/Referenced column|Referenced table|does not have a column|not found in FROM clause/i, "COLUMN_NOT_FOUND"],
  [/Scalar Function with name|Aggregate Function with name|function .* does not exist/i, "FUNCTION_NOT_FOUND"],
  [/No function matches|Cannot compare|Cannot mix/i, "TYPE_MISMATCH"],
  [/Conversion Error/i, "INVALID_CAST_ARGUMENT"],
  [/Out of Range/i, "NUMERIC_VALUE_OUT_OF_RANGE"],
  [/Incorrect number of parameters/i, "INVALID_PARAMETER_USAGE"],
];

const NAMES: Partial<Record<QueryProblem["reason"], ErrorName>> = {
  empty_statement: "SYNTAX_ERROR",
  statement_too_large: "NOT_SUPPORTED",
  statement_too_complex: "NOT_SUPPORTED",
  several_statements: "SYNTAX_ERROR",
  not_a_select: "NOT_SUPPORTED",
  unsupported_syntax: "NOT_SUPPORTED",
  table_not_allowed: "TABLE_NOT_FOUND",
  table_function_not_allowed: "FUNCTION_NOT_FOUND",
  function_not_allowed: "FUNCTION_NOT_FOUND",
  bad_parameter: "INVALID_SESSION_PROPERTY",
  unknown_snapshot: "NOT_FOUND",
  unknown_cut: "NOT_FOUND",
  scan_too_large: "EXCEEDED_SCAN_LIMIT",
  too_many_files: "EXCEEDED_SCAN_LIMIT",
  result_too_large: "EXCEEDED_LOCAL_MEMORY_LIMIT",
  memory_exceeded: "EXCEEDED_LOCAL_MEMORY_LIMIT",
  statement_timeout: "EXCEEDED_TIME_LIMIT",
  statement_cancelled: "USER_CANCELED",
  engine_busy: "QUERY_QUEUE_FULL",
  budget_exceeded: "QUERY_QUEUE_FULL",
  store_unavailable: "GENERIC_INTERNAL_ERROR",
  internal: "GENERIC_INTERNAL_ERROR",
};
