/** Runs a statement, and what its answer looks like. */
import { err, ok, type Result } from "../../../r2-layout/result.ts";
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";

export interface ResultColumn {
  readonly name: string;
  readonly type: string;
}

/** A value as JSON: a time is text, a MAP an object, a LIST an array, an integer beyond 2^53 text. */
export type Cell = string | number | boolean | null | readonly Cell[] | { readonly [key: string]: Cell };

export interface QueryStats {
  /** From the request's coming to the last row, milliseconds on the server. */
  readonly elapsed_ms: number;
  /** Fetched from storage for this statement; what was in memory already is not counted. */
  readonly bytes_read: number;
  /** Files read, of all that the tables have. */
  readonly files: number;
  readonly table_files: number;
}

export interface QueryResult {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly (readonly Cell[])[];
  readonly stats: QueryStats;
}

export interface FinishedQuery extends QueryResult {
  /** From pressing Run to the last byte, milliseconds. */
  readonly tookMs: number;
}

/** @returns null where `signal` fired. */
export async function runStatement(sql: string, signal: AbortSignal): Promise<Result<FinishedQuery, Problem> | null> {
  const started = performance.now();
  const body = JSON.stringify({ sql, format: "json" });
  const headers = { "Content-Type": "application/json" };
  try {
    const answer = await request<QueryResult>("/v1/sql", { method: "POST", body, headers, signal });
    if (!answer.ok) return err(answer.error);
    return ok({ ...answer.value, tookMs: performance.now() - started });
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}
