/** A statement that the edge itself asks on somebody's behalf: it counts against his token's budget. */
import { INGEST } from "../../r2-layout/limits.ts";
import type { Fetches } from "./env.ts";
import { Refused } from "./parameters.ts";

export interface SqlAnswer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly unknown[])[];
  readonly stats: { readonly snapshot?: number };
}

/** @param token hash of the asker's. @throws Refused `upstream_unavailable`, or `not_countable` where the statement is refused. */
export async function askSql(query: Fetches, url: string, token: string, sql: string): Promise<SqlAnswer> {
  const headers = new Headers({ "content-type": "application/json", "x-eventpile-token": token });
  const body = JSON.stringify({ sql, format: "json" });
  const response = await query.fetch(new Request(new URL("/v1/sql", url), { method: "POST", headers, body }));
  if (response.ok) return response.json();
  const { title, detail } = (await response.json().catch(() => ({}))) as { title?: string; detail?: string };
  if (response.status >= 500 || response.status === 429) {
    throw new Refused({ reason: "upstream_unavailable", retry_after_s: INGEST.retryAfterSeconds });
  }
  throw new Refused({ reason: "not_countable", detail: [title, detail].filter(Boolean).join(": ") });
}
