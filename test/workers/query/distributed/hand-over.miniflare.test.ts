import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tableFromIPC } from "apache-arrow";
import { afterAll, beforeAll, expect, it } from "vitest";
import { handOver } from "../../../../workers/query/distributed/hand-over.ts";
import { type DistributedSettings, distributedSettings } from "../../../../workers/query/distributed/settings.ts";
import type { ResultFormat } from "../../../../workers/query/results/encode.ts";
import { lakeFile, type QueryRig, startRig } from "../rig.ts";
import { shopRows } from "../shop-rows.ts";
import { parse } from "../sql-parser-module.ts";

let rig: QueryRig;
let trino: DistributedSettings;
const REFUSAL = { reason: "too_many_files", detail: "too much", files: 9, scan_bytes: 9 } as const;

beforeAll(async () => {
  rig = await startRig();
  await rig.commit([await lakeFile("events", [...shopRows({ seed: 5, rows: 3_000, firstDay: 0, days: 2 })])]);
  // Our own protocol is a Trino server, too.
  trino = { kind: "trino", url: rig.url("/").origin, user: "ann", token: undefined, namespace: "eventpile.default" };
});
afterAll(() => rig?.stop());

function ask(
  sql: string,
  format: ResultFormat = "json",
  settings: DistributedSettings | null = trino,
  more: object = {},
) {
  const question = { sql, format, explain: false, ...more };
  const signal = new AbortController().signal;
  return handOver(parse, settings, REFUSAL, { question, sql, startedAt: Date.now(), signal });
}

const SQL = `SELECT event_name, count(*) AS n, sum(revenue) AS r, max(event_time) AS t, min(client_seq) AS s,
  count(DISTINCT user_id) > 3 AS b FROM events WHERE event_time < TIMESTAMP '2026-11-21 12:00:00' GROUP BY event_name ORDER BY event_name`;

it.each(["json", "ndjson", "csv", "arrow"] as const)("answers in %s as our own engine does", async (format) => {
  const [there, here] = [await ask(SQL, format), await rig.post({ sql: SQL, format })];
  expect(there?.headers.get("content-type")).toBe(here.headers.get("content-type"));
  expect(JSON.parse(there!.headers.get("x-eventpile-stats")!)).toMatchObject({ route: "distributed", rows: 5 });
  if (format === "arrow") {
    const [a, b] = [tableFromIPC(await there!.arrayBuffer()), tableFromIPC(await here.arrayBuffer())];
    expect(a.toString()).toBe(b.toString());
  } else if (format === "json") {
    const [a, b] = [(await there!.json()) as object, (await here.json()) as object];
    expect({ ...a, stats: 0 }).toEqual({ ...b, stats: 0 });
  } else {
    expect(await there!.text()).toBe(await here.text());
  }
});

it("keeps lists, maps, nulls and numbers beyond 2^53 over many pages", async () => {
  const sql =
    "SELECT event_id, flags, properties, city, 9007199254740993 AS big, CAST(1.5 AS DECIMAL(10, 2)) AS d FROM events ORDER BY event_id";
  const [there, here] = [await ask(sql, "ndjson"), await rig.post({ sql, format: "ndjson" })];
  expect(await there!.text()).toBe(await here.text());
});

it("leaves out what is beyond the limit, and says so", async () => {
  const answer = await ask("SELECT event_id FROM events", "json", trino, { limit: 7 });
  expect(await answer!.json()).toMatchObject({ stats: { rows: 7, truncated: true } });
});

it("leaves the refusal as it is where nothing is configured, for the past, and for a price", async () => {
  expect(await ask(SQL, "json", null)).toBeNull();
  expect(await ask(SQL, "json", trino, { as_of: { asOf: 1 } })).toBeNull();
  expect(await ask(SQL, "json", trino, { explain: true })).toBeNull();
});

it("says with the refusal what the engine cannot take, or does not", async () => {
  const untold = await ask("SELECT histogram(source) FROM events");
  expect(untold?.status).toBe(422);
  expect(await untold!.json()).toMatchObject({
    reason: "too_many_files",
    detail: "too much; and the distributed engine cannot take it: histogram() is not supported here",
  });
  const wrong = await ask("SELECT nope FROM events");
  expect(((await wrong!.json()) as { detail: string }).detail).toContain("the distributed engine refuses it");
});

it("asks nobody else where its pages send it", async () => {
  const server = await serve(() => ({ id: "x", nextUri: "http://127.0.0.1:1/v1/statement/x", stats: {} }));
  const answer = await ask(SQL, "json", { ...trino, url: server.url } as DistributedSettings);
  server.close();
  expect(((await answer!.json()) as { detail: string }).detail).toContain("another host");
});

/** As the service answered, `rows` as objects and a schema beside them. */
const RECORDED = {
  success: true,
  errors: [],
  result: {
    request_id: "dqe-prod-01",
    schema: [
      { name: "source", descriptor: { type: { name: "string" } } },
      { name: "n", descriptor: { type: { name: "int64" } } },
      { name: "t", descriptor: { type: { name: "timestamp" } } },
    ],
    rows: [
      { source: "shop", n: 12, t: "2026-11-20T00:00:00.5Z" },
      { source: null, n: 3, t: null },
    ],
    metrics: { r2_requests_count: 2, files_scanned: 1, bytes_scanned: 100 },
  },
};

it("asks R2 SQL over the mirrored catalog, and answers in our format", async () => {
  const asked: { query?: string; authorization?: string | undefined }[] = [];
  const server = await serve((body, authorization) => {
    asked.push({ ...(JSON.parse(body) as object), authorization });
    return RECORDED;
  });
  const settings = { kind: "r2-sql", url: server.url, token: "secret", namespace: "eventpile" } as const;
  const sql = "SELECT source, count(*) AS n, max(event_time) AS t FROM events GROUP BY source";
  const answer = await ask(sql, "json", settings);
  server.close();
  expect(asked).toEqual([
    {
      query: "SELECT source, count(*) AS n, max(event_time) AS t FROM eventpile.events AS events GROUP BY source",
      authorization: "Bearer secret",
    },
  ]);
  expect(await answer!.json()).toMatchObject({
    columns: [
      { name: "source", type: "VARCHAR" },
      { name: "n", type: "BIGINT" },
      { name: "t", type: "TIMESTAMP" },
    ],
    rows: [
      ["shop", 12, "2026-11-20T00:00:00.500000Z"],
      [null, 3, null],
    ],
    stats: { route: "distributed" },
  });
});

it("passes on why R2 SQL refuses", async () => {
  const server = await serve(() => ({ success: false, result: null, errors: [{ code: 10_002, message: "too much" }] }));
  const settings = { kind: "r2-sql", url: server.url, token: "secret", namespace: "eventpile" } as const;
  const answer = await ask("SELECT count(*) FROM events", "json", settings);
  server.close();
  expect(((await answer!.json()) as { detail: string }).detail).toContain("refuses it: too much");
});

it("is configured whole or not at all", () => {
  expect(distributedSettings({})).toBeNull();
  expect(distributedSettings({ DISTRIBUTED_ENGINE: "" })).toBeNull();
  expect(() => distributedSettings({ DISTRIBUTED_ENGINE: "trino" })).toThrow("DISTRIBUTED_TRINO_URL");
  expect(() => distributedSettings({ DISTRIBUTED_ENGINE: "r2-sql", DISTRIBUTED_R2_BUCKET: "b" })).toThrow(
    "belong together",
  );
  expect(() => distributedSettings({ DISTRIBUTED_ENGINE: "spark" })).toThrow("trino or r2-sql");
  expect(
    distributedSettings({
      DISTRIBUTED_ENGINE: "r2-sql",
      DISTRIBUTED_R2_ACCOUNT_ID: "acc",
      DISTRIBUTED_R2_BUCKET: "eventpile",
      DISTRIBUTED_R2_TOKEN: "t",
    }),
  ).toMatchObject({ url: "https://api.sql.cloudflarestorage.com/api/v1/accounts/acc/r2-sql/query/eventpile" });
});

async function serve(answer: (body: string, authorization: string | undefined) => unknown) {
  const server: Server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer(body, request.headers.authorization)));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => void server.close() };
}
