/** Runs, prices, watches and cancels a statement; what the answers look like. */
import { err, ok, type Result } from "../../../r2-layout/result.ts";
import { request } from "../shell/api.ts";
import type { Problem } from "../shell/problem.ts";
import type { requestParameters } from "./parameter-values.ts";

export interface ResultColumn {
  readonly name: string;
  readonly type: string;
}

/** A value as JSON: a time is text, a MAP an object, a LIST an array, an integer beyond 2^53 text. */
export type Cell = string | number | boolean | null | readonly Cell[] | { readonly [key: string]: Cell };

export type Row = readonly Cell[];

export interface QueryStats {
  /** From the request's coming to the last row, milliseconds on the server. */
  readonly elapsed_ms: number;
  /** Fetched from storage for this statement; what was in memory already is not counted. */
  readonly bytes_read: number;
  /** Files read, of all that the tables have. */
  readonly files: number;
  readonly table_files: number;
  readonly requests?: number;
  /** Where it was answered. */
  readonly route?: Route;
  readonly dollars?: number;
  /** Of an answer from the cache: when it was made. */
  readonly age_ms?: number;
  /** There are more rows than the request's limit. */
  readonly truncated?: boolean;
}

export type Route = "engine" | "rollups" | "cache" | "distributed";

export interface QueryResult {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly Row[];
  readonly stats: QueryStats;
}

export interface FinishedQuery extends QueryResult {
  /** From pressing Run to the last byte, milliseconds. */
  readonly tookMs: number;
}

/** What a statement would cost, and what it leaves out. */
export interface Explained {
  readonly sql: string;
  readonly files: number;
  readonly row_groups: number;
  /** Footers, column chunks, and what lies between them and is read along. */
  readonly bytes: number;
  /** Reads of storage. */
  readonly requests: number;
  readonly dollars: number;
  readonly route: Route;
  readonly pruned: Pruned;
  readonly tables: readonly ExplainedTable[];
}

/** Files left out, by their reason; `by_filter` counts row groups of those that are read. */
export interface Pruned {
  readonly table_files: number;
  readonly by_time: number;
  readonly by_name: number;
  readonly by_bounds: number;
  readonly by_filter: number;
}

export interface ExplainedTable {
  readonly table: string;
  /** Null: all. */
  readonly columns: readonly string[] | null;
  /** Microseconds since 1970, or null without a bound. */
  readonly from: number | null;
  readonly to: number | null;
  readonly event_names: readonly string[] | null;
  readonly files: readonly { readonly key: string; readonly bytes: number; readonly rows: number }[];
  readonly table_files: number;
  readonly table_bytes: number;
}

/** How far a statement has come. */
export interface Progress {
  readonly state: "queued" | "running" | "done" | "failed" | "cancelled";
  readonly bytes_read: number;
  readonly bytes_planned: number;
  /** Of those planned, what the engine has gone through: it moves also where everything was in memory. */
  readonly bytes_scanned?: number;
}

export interface Question {
  readonly sql: string;
  readonly params?: ReturnType<typeof requestParameters>;
}

/** Rows that are asked for: what a grid is scrolled through. Files have all of them. */
export const ROWS_ASKED = 100_000;

const JSON_HEADERS = { "Content-Type": "application/json" };
const post = (body: object, signal: AbortSignal) => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: JSON_HEADERS,
  signal,
});

/** `crypto.randomUUID` is there on secure origins only; an id need not be secret, for the server ties it to the token. */
export const statementId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param id the page's own, to ask after and to cancel by. @returns null where `signal` fired. */
export async function runStatement(
  question: Question,
  id: string,
  signal: AbortSignal,
): Promise<Result<FinishedQuery, Problem> | null> {
  const started = performance.now();
  const answer = await orNull(
    signal,
    request<QueryResult>("/v1/sql", post({ ...question, id, limit: ROWS_ASKED, format: "json" }, signal)),
  );
  if (answer === null) return null;
  return answer.ok ? ok({ ...answer.value, tookMs: performance.now() - started }) : err(answer.error);
}

/** What it would read, without running it. @returns null where `signal` fired. */
export function explainStatement(question: Question, signal: AbortSignal): Promise<Result<Explained, Problem> | null> {
  return orNull(signal, request<Explained>("/v1/sql", post({ ...question, explain: true }, signal)));
}

/** @returns null while the server does not know it, or where `signal` fired. */
export async function statementProgress(id: string, signal: AbortSignal): Promise<Progress | null> {
  const answer = await orNull(signal, request<Progress>(`/v1/sql/${id}`, { signal }));
  return answer?.ok ? answer.value : null;
}

/** Its answer does not matter: the page has let go of the statement already. */
export function cancelStatement(id: string): void {
  request(`/v1/sql/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});
}

async function orNull<T>(signal: AbortSignal, asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}
