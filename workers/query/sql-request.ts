/** The body of POST /v1/sql, checked field by field. */
import { SQL } from "../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import { type AsOf, parseAsOf } from "./as-of.ts";
import type { QueryProblem } from "./problem.ts";
import { FORMATS, type ResultFormat } from "./results/encode.ts";

export interface SqlRequest {
  readonly sql: string;
  readonly format: ResultFormat;
  /** The state of the lake that is asked; the newest when absent. */
  readonly as_of?: AsOf;
  readonly explain: boolean;
  /** Values for `?` and `$1` (a list), or for `$name` (by name); the values themselves are checked where they are bound. */
  readonly params?: readonly unknown[] | Readonly<Record<string, unknown>>;
  /** Seconds by which the answer may be out of date; 0 or absent: not at all. */
  readonly max_staleness_s?: number;
  /** By an engine, from the files, whoever else could answer. */
  readonly route?: "engine";
  /** The asker's name for the statement, to look after it and to cancel it. */
  readonly id?: string;
  /** Rows at most; what is beyond is left out, and the stats say so. */
  readonly limit?: number;
  /** The answer is to be a file of this name, to which the format is added. */
  readonly download?: string;
}

/** JSON may write a character in six. */
export const BODY_BYTES = SQL.statementBytes * 6 + 1_024;

export async function readSqlRequest(request: Request): Promise<Result<SqlRequest, QueryProblem>> {
  const text = await boundedText(request, BODY_BYTES);
  if (text === null) return err({ reason: "body_too_large", limit_bytes: BODY_BYTES });
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    return err({ reason: "bad_json", detail: error instanceof Error ? error.message : "not JSON" });
  }
  return parseSqlRequest(body);
}

export function parseSqlRequest(body: unknown): Result<SqlRequest, QueryProblem> {
  const wrong = (parameter: string, detail: string) => err({ reason: "bad_parameter" as const, parameter, detail });
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    return err({ reason: "bad_json", detail: 'the body is an object: {"sql": "..."}' });
  }
  const given = body as Record<string, unknown>;
  for (const name of Object.keys(given)) {
    if (!PARAMETERS.has(name))
      return wrong(name, `there is no such parameter; there are ${[...PARAMETERS].join(", ")}`);
  }
  const { sql, format = "json", as_of, explain = false, params, max_staleness_s, route, id, limit, download } = given;
  if (typeof sql !== "string") return wrong("sql", "a text");
  if (!FORMATS.some((known) => known === format)) return wrong("format", `one of ${FORMATS.join(", ")}`);
  if (typeof explain !== "boolean") return wrong("explain", "true or false");
  const at = as_of === undefined || as_of === null ? undefined : parseAsOf(as_of);
  if (at === null) return wrong("as_of", "the number of a snapshot, a time (ISO 8601 or epoch), or the name of a cut");
  if (params !== undefined && (typeof params !== "object" || params === null)) {
    return wrong("params", "a list of values for ? and $1, or an object of values for $name");
  }
  if (max_staleness_s !== undefined && !isWithin(max_staleness_s, SQL.stalenessMaxS)) {
    return wrong("max_staleness_s", `whole seconds, 0 to ${SQL.stalenessMaxS}`);
  }
  if (route !== undefined && route !== "engine") return wrong("route", "engine, or nothing");
  if (id !== undefined && !(typeof id === "string" && STATEMENT_ID.test(id))) {
    return wrong("id", "1 to 64 letters, digits, - and _");
  }
  if (limit !== undefined && !isWithin(limit, SQL.resultRows)) {
    return wrong("limit", `a number of rows, 0 to ${SQL.resultRows}`);
  }
  if (limit !== undefined && (format === "arrow" || format === "parquet")) {
    return wrong("limit", `not for ${format}: write LIMIT into the statement`);
  }
  if (download !== undefined && !(typeof download === "string" && FILE_NAME.test(download))) {
    return wrong("download", "a file's name of 1 to 100 letters, digits, spaces, dots, - and _, without its ending");
  }
  return ok({
    sql,
    format: format as ResultFormat,
    explain,
    ...(at && { as_of: at }),
    ...(params !== undefined && { params: params as readonly unknown[] | Record<string, unknown> }),
    ...(max_staleness_s !== undefined && { max_staleness_s }),
    ...(route === "engine" && { route }),
    ...(id !== undefined && { id }),
    ...(limit !== undefined && { limit }),
    ...(download !== undefined && { download }),
  });
}

const PARAMETERS = new Set([
  "sql",
  "format",
  "as_of",
  "explain",
  "params",
  "max_staleness_s",
  "route",
  "id",
  "limit",
  "download",
]);
export const STATEMENT_ID = /^[\w-]{1,64}$/;

const FILE_NAME = /^[\w-][\w .-]{0,99}$/;

const isWithin = (value: unknown, max: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;

/** @returns null where the body is longer than `limit` bytes. */
async function boundedText(request: Request, limit: number): Promise<string | null> {
  const reader = request.body?.getReader();
  if (!reader) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.length;
    if (bytes > limit) {
      await reader.cancel();
      return null;
    }
    text += decoder.decode(value, { stream: true });
  }
}
