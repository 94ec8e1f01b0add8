/** First statements of tools that cannot be run here, as they send them, through the protocol as a client speaks it. */
import type { RunningSystem } from "../../system/harness.ts";

interface Page {
  readonly nextUri?: string;
  readonly data?: readonly (readonly unknown[])[];
  readonly error?: { readonly message: string };
}

/** @throws Error with the statement's error. */
export async function trinoRows(system: RunningSystem, sql: string): Promise<readonly (readonly unknown[])[]> {
  const headers = { authorization: `Bearer ${system.token}`, "x-trino-user": "grafana", "x-trino-source": "grafana" };
  const rows: (readonly unknown[])[] = [];
  const post = () => fetch(`${system.url}/v1/statement`, { method: "POST", headers, body: sql });
  // A connection that was kept open may have been closed at the other end: once more, on another.
  let response = await post().catch(post);
  for (;;) {
    if (!response.ok) throw new Error(`${sql}: ${response.status} ${await response.text()}`);
    const { data = [], error, nextUri } = (await response.json()) as Page;
    if (error) throw new Error(`${sql}: ${error.message}`);
    rows.push(...data);
    if (nextUri === undefined) return rows;
    response = await fetch(nextUri, { headers });
  }
}

const LONG_AGO = "TIMESTAMP '2020-01-01 00:00:00' AND TIMESTAMP '2040-01-01 00:00:00'";

/** grafana-trino: its health check, its query builder's lists, its macros as it writes them out. */
export const GRAFANA = {
  health: "SELECT 1",
  lists: [
    ["SHOW CATALOGS", "eventpile,system"],
    ["SHOW SCHEMAS FROM eventpile", "default,information_schema"],
    ["SHOW TABLES FROM eventpile.default", "events,quarantine"],
  ],
  describe: "DESCRIBE eventpile.default.events",
  /** `$__timeGroup(event_time, '1h')`, `$__timeFilter(event_time)`. */
  series: `SELECT FROM_UNIXTIME(FLOOR(TO_UNIXTIME(event_time)/3600)*3600) AS time, event_name, count(*) AS n FROM eventpile.default.events WHERE event_time BETWEEN ${LONG_AGO} GROUP BY 1, 2 ORDER BY 1`,
  /** `$__dateTrunc`-like, `$__unixEpochFilter(...)`. */
  epochs:
    "SELECT count(*) FROM eventpile.default.events WHERE to_unixtime(event_time) BETWEEN 1577836800 AND 2208988800",
} as const;
