import { afterAll, beforeAll, expect, it } from "vitest";
import { type Native, nativeDuckDb } from "../native.ts";
import { lakeFile, type QueryRig, startRig } from "../rig.ts";
import { shopRows } from "../shop-rows.ts";

interface Answer {
  readonly id: string;
  readonly nextUri?: string;
  readonly columns?: readonly { name: string; type: string; typeSignature: { rawType: string } }[];
  readonly data?: readonly (readonly unknown[])[];
  readonly stats: { readonly state: string };
  readonly error?: { readonly errorName: string; readonly errorType: string; readonly message: string };
  readonly updateType?: string;
}

let rig: QueryRig;
let native: Native;
const ROWS = 12_000;

beforeAll(async () => {
  rig = await startRig();
  const rows = [...shopRows({ seed: 7, rows: ROWS, firstDay: 0, days: 3 })];
  const { paths } = await rig.commit([await lakeFile("events", rows)]);
  native = await nativeDuckDb(paths);
});

afterAll(async () => {
  native?.close();
  await rig?.stop();
});

const asked = (headers: Record<string, string> = {}) => ({ "x-eventpile-token": "ann", ...headers });

async function send(url: string | URL, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, { headers: asked(), ...init });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()) as Answer;
}

const post = (sql: string, headers: Record<string, string> = {}) =>
  send(rig.url("/v1/statement"), { method: "POST", body: sql, headers: asked(headers) });

/** All pages, as a client reads them. */
async function run(sql: string, headers: Record<string, string> = {}) {
  let answer = await post(sql, headers);
  const rows: (readonly unknown[])[] = [];
  let columns = answer.columns;
  let pages = 0;
  for (;;) {
    rows.push(...(answer.data ?? []));
    if (answer.data) pages++;
    columns ??= answer.columns;
    if (answer.error || !answer.nextUri) return { rows, columns: columns ?? [], pages, error: answer.error };
    answer = await send(answer.nextUri);
  }
}

it("answers what native DuckDB does, in Trino's words", async () => {
  const answer = await run(
    "select event_name, count(*), approx_distinct(user_id) > 0 from eventpile.default.events where date_diff('day', timestamp '2026-11-20 00:00:00', event_time) < 2 group by 1 order by 1",
  );
  const expected = await native.rows(
    "select event_name, count(*), true from events where event_time < timestamp '2026-11-22' group by 1 order by 1",
  );
  expect(answer.rows.map(([name, count]) => [name, Number(count)])).toEqual(
    expected.map(([name, count]) => [name, Number(count)]),
  );
  expect(answer.columns.map(({ name, type }) => [name, type])).toEqual([
    ["event_name", "varchar"],
    ["_col1", "bigint"],
    ["_col2", "boolean"],
  ]);
});

it("gives a large result page by page, each row once", async () => {
  const answer = await run("select event_id, page_url, properties from events");
  expect(answer.pages).toBeGreaterThan(1);
  expect(new Set(answer.rows.map(([id]) => id)).size).toBe(ROWS);
});

it("unnests lists and maps beside their row", async () => {
  const flags = await run("select f, n from events cross join unnest(flags) with ordinality as t(f, n)");
  const [[pairs] = []] = await native.rows("select sum(len(flags)) from events");
  expect(flags.rows.length).toBe(Number(pairs));
  expect(new Set(flags.rows.map(([flag, at]) => `${flag} ${at}`))).toEqual(
    new Set(["bot 1", "late 1", "clock_skewed 2"]),
  );
  const kept = await run(
    "select count(*) from (select * from events where event_id like '%7') e left join unnest(e.flags) as t(f) on true",
  );
  const [[all] = []] = await native.rows(
    "select sum(greatest(coalesce(len(flags), 0), 1)) from events where event_id like '%7'",
  );
  expect(kept.rows).toEqual([[Number(all)]]);
});

it("tells each type by its signature, and its values as Trino's JSON has them", async () => {
  const { columns, rows } = await run(
    "select 9223372036854775807, 1.50, 0.1e0, nan(), timestamp '2026-01-01 00:00:00.000001', date '2026-01-02', time '01:02:03', array[1, null], map(array['a'], array[1.5]), row(1, 'x'), cast('a' as varbinary), null, sum(cast(1 as bigint))",
  );
  expect(columns.map(({ type }) => type)).toEqual([
    "bigint",
    "decimal(3, 2)",
    "double",
    "double",
    "timestamp(6)",
    "date",
    "time(6)",
    "array(integer)",
    "map(varchar, decimal(2, 1))",
    expect.stringMatching(/^row\(.* integer, .* varchar\)$/),
    "varbinary",
    expect.any(String),
    "bigint",
  ]);
  const [row] = rows;
  expect(row?.slice(1)).toEqual([
    "1.50",
    0.1,
    "NaN",
    "2026-01-01 00:00:00.000001",
    "2026-01-02",
    "01:02:03.000000",
    [1, null],
    { a: "1.5" },
    [1, "x"],
    "YQ==",
    null,
    1,
  ]);
});

it("keeps to Trino's meaning where DuckDB's is another", async () => {
  const { rows } = await run(
    `select date_trunc('day', timestamp '2026-06-01 23:30:00' at time zone 'Europe/Paris'),
      date_diff('day', timestamp '2026-01-01 23:00:00', timestamp '2026-01-02 01:00:00'),
      7 / 2, date_add('month', 1, date '2026-01-31'), to_unixtime(from_unixtime(1.5)),
      date_format(timestamp '2026-01-02 13:05:00', '%Y-%m-%d %H:%i'), json_extract_scalar('{"a": {"b": "x"}}', '$.a.b'),
      element_at(map(array['a'], array['b']), 'c'), cardinality(array[1, 2]), regexp_replace('a1b2', '[0-9]', ''),
      if(false, 1), url_extract_host('https://shop.example:8443/a?b=c'), day_of_week(date '2026-11-22'), truncate(1.9)`,
  );
  expect(rows).toEqual([
    [
      "2026-06-02 00:00:00.000000",
      0,
      3,
      "2026-02-28",
      1.5,
      "2026-01-02 13:05",
      "x",
      null,
      2,
      "ab",
      null,
      "shop.example",
      7,
      expect.anything(),
    ],
  ]);
});

it("prepares, describes and executes with parameters, the client keeping what was prepared", async () => {
  const prepared = await fetch(rig.url("/v1/statement"), {
    method: "POST",
    body: "PREPARE p FROM select count(*) as n from events where event_name = ? and client_seq > ?",
    headers: asked(),
  });
  expect(await prepared.json()).toMatchObject({ updateType: "PREPARE", stats: { state: "FINISHED" } });
  const session = { "x-trino-prepared-statement": prepared.headers.get("x-trino-added-prepare")! };
  const [[count] = []] = await native.rows(
    "select count(*) from events where event_name = 'Order Completed' and client_seq > 5",
  );
  expect((await run("EXECUTE p USING 'Order Completed', 5", session)).rows).toEqual([[Number(count)]]);
  expect((await run("DESCRIBE INPUT p", session)).rows).toEqual([
    [0, "unknown"],
    [1, "unknown"],
  ]);
  expect((await run("DESCRIBE OUTPUT p", session)).rows).toEqual([["n", "", "", "", "bigint", "0", "false"]]);
  expect((await run("EXECUTE IMMEDIATE 'select ? || ''!''' USING 'it''s'")).rows).toEqual([["it's!"]]);
  expect((await run("EXECUTE q USING 1")).error).toMatchObject({ errorName: "NOT_FOUND" });
});

it("tells about its tables as drivers ask", async () => {
  expect((await run("SHOW CATALOGS")).rows).toEqual([["eventpile"], ["system"]]);
  expect((await run('SHOW SCHEMAS FROM "eventpile"')).rows).toEqual([["default"], ["information_schema"]]);
  expect((await run(`SHOW TABLES FROM "default" LIKE 'ev%'`)).rows).toEqual([["events"]]);
  const { rows } = await run('DESCRIBE "eventpile"."default"."events"');
  expect(rows.find(([name]) => name === "properties")).toEqual([
    "properties",
    "map(varchar, varchar)",
    "",
    expect.any(String),
  ]);
  await rig.addColumn({ name: "plan", type: "string", property: "plan", doc: "Tariff" });
  const columns = await run(
    "select count(*) from information_schema.columns where table_name = 'events' and column_name in ('plan', 'event_id')",
  );
  expect(columns.rows).toEqual([[2]]);
  const types = await run("select type_name from system.jdbc.types where data_type = -5");
  expect(types.rows).toEqual([["bigint"]]);
});

it.each([
  ["selct 1", "SYNTAX_ERROR"],
  ["", "SYNTAX_ERROR"],
  ["select nope from events", "COLUMN_NOT_FOUND"],
  ["select * from events e join nope n on true", "TABLE_NOT_FOUND"],
  ["select nope(1)", "FUNCTION_NOT_FOUND"],
  ["insert into events select 1", "NOT_SUPPORTED"],
  ["select * from read_parquet('x')", "FUNCTION_NOT_FOUND"],
  ["SET SESSION nope = 1", "INVALID_SESSION_PROPERTY"],
  ["USE nope", "SCHEMA_NOT_FOUND"],
  ["select sum(cast(9223372036854775807 as bigint)) from (values (1), (2)) as t(x)", "NUMERIC_VALUE_OUT_OF_RANGE"],
])("says of %j that it is %s", async (sql, errorName) => {
  expect((await run(sql)).error).toMatchObject({ errorName, errorType: "USER_ERROR" });
});

it("answers as of a cut's or snapshot's state where the session says so", async () => {
  const before = await run("select count(*) from events", { "x-trino-session": "as_of=0" });
  expect(before.rows).toEqual([[0]]);
  expect((await run("select 1", { "x-trino-session": "as_of=nope.v1" })).error).toMatchObject({
    errorName: "NOT_FOUND",
  });
});

it("shows a result to nobody else, and nothing of it once it was cancelled", async () => {
  const { nextUri } = await post("select count(*) from range(100000000) a(x), range(100000) b(y) where x + y = 7");
  const another = await fetch(nextUri!, { headers: { "x-eventpile-token": "bob" } });
  expect(another.status).toBe(404);
  expect((await fetch(nextUri!, { method: "DELETE", headers: { "x-eventpile-token": "bob" } })).status).toBe(404);
  expect((await fetch(nextUri!, { method: "DELETE", headers: asked() })).status).toBe(204);
  expect((await fetch(nextUri!, { headers: asked() })).status).toBe(404);
  // The engine is free again.
  expect((await run("select 1")).rows).toEqual([[1]]);
});
