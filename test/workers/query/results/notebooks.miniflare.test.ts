/** The notebooks' snippets of docs/sql.md, run as they stand where that can be, else asked as they ask. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { tableFromIPC } from "apache-arrow";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Native, nativeDuckDb } from "../native.ts";
import { lakeFile, type QueryRig, startRig } from "../rig.ts";
import { shopRows } from "../shop-rows.ts";

const DOCS = readFileSync(join(import.meta.dirname, "../../../../docs/sql.md"), "utf8");
const block = (language: string): string => new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(DOCS)![1]!;

let rig: QueryRig;
let native: Native;

beforeAll(async () => {
  rig = await startRig({ cache: true });
  const { paths } = await rig.commit([
    await lakeFile("events", [...shopRows({ seed: 1, rows: 2_000, firstDay: 0, days: 3 })]),
  ]);
  native = await nativeDuckDb(paths);
});

afterAll(async () => {
  native?.close();
  await rig?.stop();
});

it("Observable's data loader writes a Parquet file with the rows of its question", async () => {
  const script = join(rig.folder, "orders.parquet.mjs");
  writeFileSync(script, block("js"));
  const env = { ...process.env, EVENTPILE_URL: String(rig.url("/")).replace(/\/$/, ""), EVENTPILE_TOKEN: "any" };
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env, encoding: "buffer" });
  const path = join(rig.folder, "orders.parquet");
  writeFileSync(path, stdout);
  const rows = await native.rows(`select * from read_parquet('${path}')`);
  expect(rows.length).toBeGreaterThan(10);
  expect(rows).toEqual(
    await native.rows(
      "select date_trunc('hour', event_time), event_name, count(*) from events where event_time >= '2026-11-20' group by 1, 2 order by 1, 2",
    ),
  );
});

it("Jupyter's question is answered in Arrow with the rows that native DuckDB finds", async () => {
  const code = block("python");
  const sql = /sql="([^"]*)"/.exec(code)![1]!;
  const params = JSON.parse(/params=(\{.*\}),\n/.exec(code)![1]!) as unknown;
  expect(code).toContain('json={"format": "arrow", **question}');
  const response = await rig.post({ format: "arrow", sql, params });
  const table = tableFromIPC(new Uint8Array(await response.arrayBuffer()));
  expect(table.schema.fields.map(({ name }) => name)).toEqual(["event_name", "country", "revenue", "event_time"]);
  const [[count]] = (await native.rows(
    "select count(*) from events where event_time >= '2026-11-20' and event_name in ('Order Completed', 'Product Viewed')",
  )) as [[number]];
  expect(count).toBeGreaterThan(100);
  expect(table.numRows).toBe(count);
});
