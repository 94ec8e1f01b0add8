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
  const { sql, format = "json", as_of, explain = false } = given;
  if (typeof sql !== "string") return wrong("sql", "a text");
  if (!FORMATS.some((known) => known === format)) return wrong("format", `one of ${FORMATS.join(", ")}`);
  if (typeof explain !== "boolean") return wrong("explain", "true or false");
  const at = as_of === undefined || as_of === null ? undefined : parseAsOf(as_of);
  if (at === null) return wrong("as_of", "the number of a snapshot, a time (ISO 8601 or epoch), or the name of a cut");
  return ok({
    sql,
    format: format as ResultFormat,
    explain,
    ...(at && { as_of: at }),
  });
}

const PARAMETERS = new Set(["sql", "format", "as_of", "explain"]);

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
