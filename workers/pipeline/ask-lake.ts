/** Statements that the pipeline asks on nobody's behalf: they have a budget of their own at the query Worker. */
import { SqlRefused } from "../../queues/contract-health/evaluate-hours.ts";
import type { AskSql, SqlRows } from "../../queues/contract-health/hour-sql.ts";

/** The owner of the budget, where others have the hash of a token. */
const ASKER = "contract-health";
/** The query Worker tells paths apart, and no hosts. */
const ADDRESS = "https://query/v1/sql";
const TOO_BUSY = 429;
const SERVER_FAULT = 500;

export function askLake(query: Pick<Fetcher, "fetch">): AskSql {
  return async (sql) => {
    const headers = { "content-type": "application/json", "x-eventpile-token": ASKER };
    const body = JSON.stringify({ sql, format: "json", route: "engine" });
    const response = await query.fetch(ADDRESS, { method: "POST", headers, body });
    if (response.ok) return ((await response.json()) as { rows: SqlRows }).rows;
    const { title = "", detail = "" } = (await response.json().catch(() => ({}))) as {
      title?: string;
      detail?: string;
    };
    const told = `${response.status} ${title}: ${detail}`;
    if (response.status === TOO_BUSY || response.status >= SERVER_FAULT) throw new Error(told);
    throw new SqlRefused(told);
  };
}
