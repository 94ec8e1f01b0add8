import { expect, it } from "vitest";
import { SQL } from "../../../../r2-layout/limits.ts";
import { planStatement } from "../../../../workers/query/plan/plan-statement.ts";
import { tableResolver } from "../../../../workers/query/trino/table-names.ts";
import { fromTrino, parameterNodes } from "../../../../workers/query/trino/trino-dialect.ts";
import { parse } from "../sql-parser-module.ts";

const LAKE = { version: 1, promoted: [] };
const table = tableResolver(LAKE, { catalog: "eventpile", schema: "default" });

const translate = (sql: string, using = ""): string =>
  fromTrino(parse, sql, { table, parameters: parameterNodes(parse, using) });

it.each([
  ["select event_id from eventpile.default.events", "SELECT event_id FROM events"],
  [`select "events"."user_id" from "eventpile"."default"."events"`, `SELECT "events"."user_id" FROM events`],
  ["select eventpile.default.events.user_id from eventpile.default.events", "SELECT events.user_id FROM events"],
  ["select 1, count(*)", "SELECT 1 AS _col0, count(*) AS _col1"],
  ["select date_diff('day', a, b) as d", "SELECT date_sub('day', a, b) AS d"],
  ["select date_add('week', -2, t) as d", "SELECT (t + INTERVAL '-14' DAY) AS d"],
  ["select date_add('day', n, t) as d", "SELECT (t + to_days(CAST((n) * 1 AS INTEGER))) AS d"],
  ["select date_add('day', 1, current_date) as d", "SELECT CAST((current_date + INTERVAL '1' DAY) AS DATE) AS d"],
  [
    "select date_trunc('day', t) as d, date_trunc('hour', t) as h from events where date_trunc('day', t) > x",
    "SELECT CAST(date_trunc('day', t) AS TIMESTAMP) AS d, date_trunc('hour', t) AS h FROM events WHERE date_trunc('day', t) > x",
  ],
  ["select current_timestamp(3) as d", "SELECT now() AS d"],
  ["select date_format(t, '%Y-%m-%d %H:%i:%s') as f", "SELECT strftime(t, '%Y-%m-%d %H:%M:%S') AS f"],
  ["select format_datetime(t, 'yyyy-MM-dd''T''HH:mm') as f", "SELECT strftime(t, '%Y-%m-%dT%H:%M') AS f"],
  [
    "select properties['a'], e.properties['b'], flags[1] from events e",
    "SELECT properties['a'][1] AS _col0, e.properties['b'][1] AS _col1, flags[1] AS _col2 FROM events AS e",
  ],
  [
    "select element_at(properties, 'a') as x, element_at(flags, 2) as y",
    "SELECT properties['a'][1] AS x, list_extract(flags, 2) AS y",
  ],
  [
    "select f from events cross join unnest(flags) as t(f)",
    "SELECT f FROM events CROSS JOIN (SELECT unnest(flags) AS f) AS t",
  ],
  [
    "select f, n from events, unnest(flags) with ordinality as t(f, n)",
    "SELECT f, n FROM events, (SELECT unnest(flags) AS f, unnest(range(1, len(flags) + 1)) AS n) AS t",
  ],
  [
    "select approx_percentile(a, 0.5) as p, approx_distinct(b) as d",
    "SELECT approx_quantile(a, 0.5) AS p, approx_count_distinct(b) AS d",
  ],
  ["select listagg(a, ',') within group (order by b) as l", "SELECT string_agg(a, ',' ORDER BY b) AS l"],
  [
    "select cast(a as array(varchar)) as a, try_cast(b as double) as b",
    "SELECT CAST(a AS VARCHAR[]) AS a, TRY_CAST(b AS DOUBLE) AS b",
  ],
  ["select cast(a as timestamp(6) with time zone) as a", "SELECT CAST(a AS TIMESTAMP) AS a"],
  ["select timestamp '2026-01-01 00:00:00.5 +02:00' as a", "SELECT TIMESTAMP '2025-12-31 22:00:00.5' AS a"],
  ["select t at time zone 'UTC' as a, t at time zone '-01:30' as b", "SELECT t AS a, (t - INTERVAL '90' MINUTE) AS b"],
  ["select count(*) / 2 as a, 7 / 2 as b, x / 2 as c", "SELECT count(*) // 2 AS a, 7 // 2 AS b, x / 2 AS c"],
  ["select interval '1-2' year to month as a", "SELECT INTERVAL '14' MONTH AS a"],
  [
    "select a from t1 offset 2 rows fetch first 3 rows only".replace("t1", "events"),
    "SELECT a FROM events OFFSET 2 LIMIT 3",
  ],
  ["select - -1 as a, -(-1) as b", "SELECT - -1 AS a, -(-1) AS b"],
  ["with e as (select 1 as x) select * from e", "WITH e AS (SELECT 1 AS x) SELECT * FROM e"],
  [
    "select if(a, 1) as i, try(cast(b as integer)) as t",
    "SELECT CASE WHEN a THEN 1 ELSE NULL END AS i, TRY_CAST(b AS INTEGER) AS t",
  ],
  ["select regexp_replace(a, '(x)', '$1y') as r", String.raw`SELECT regexp_replace(a, '(x)', '\1y', 'g') AS r`],
  [
    "select t at time zone 'Europe/Paris' as a, with_timezone(t, 'Asia/Tokyo') as b",
    "SELECT to_timezone(t, 'Europe/Paris') AS a, from_timezone(t, 'Asia/Tokyo') AS b",
  ],
  ["select json_extract_scalar(raw, '$.a') as a", "SELECT json_extract_string(raw, '$.a') AS a"],
])("says %s in DuckDB's words", (trino, duck) => {
  expect(translate(trino)).toBe(duck);
});

it("puts parameters in as expressions, in the order of their marks", () => {
  const sql = translate(
    "select a from events where b = ? and c > ? limit 5",
    "'it''s', TIMESTAMP '2026-01-01 00:00:00 UTC'",
  );
  expect(sql).toBe("SELECT a FROM events WHERE b = 'it''s' AND c > TIMESTAMP '2026-01-01 00:00:00' LIMIT 5");
  expect(() => translate("select ?, ?", "1")).toThrow("Incorrect number of parameters");
});

it.each([
  ["select * from nope", "Table 'eventpile.default.nope' does not exist"],
  ["select * from hive.default.events", "Catalog 'hive' not found"],
  ["select * from eventpile.other.events", "Schema 'other' does not exist"],
  ["select x'00'", "x'...' is not supported"],
  ["select lag(a) ignore nulls over (order by b) from events", "IGNORE NULLS is not supported"],
  ["select * from events tablesample bernoulli (10)", "sample in a table is not supported"],
  ["select date_format(a, b) from events", "a format that is not written out"],
])("refuses %s", (sql, message) => {
  expect(() => translate(sql)).toThrow(message);
});

it("bounds what it reads as the planner does, before a tree is made of it", () => {
  expect(() => translate(`select ${"(".repeat(100)}1${")".repeat(100)}`)).toThrow("nest at most");
  expect(() => translate(`select 1${" + 1".repeat(5_000)}`)).toThrow("operators in a row");
  expect(() => translate(`select '${"x".repeat(SQL.statementBytes)}'`)).toThrow("bytes");
  expect(() => translate("select ?", "1 from events")).toThrow("this list of parameters");
  expect(translate("select /* a ? in a comment */ 1 as x -- ?")).toBe("SELECT 1 AS x");
});

it.each([
  "select date_trunc('hour', event_time), count(*) from events where event_time > now() - interval '1' day group by 1 order by 1 desc",
  "select a.user_id from events a join quarantine b using (user_id) where a.event_name in ('x', 'y') and not exists (select 1 from events)",
  "select user_id, row_number() over (partition by source order by event_time rows between unbounded preceding and current row) from events",
  "select source, count(*) filter (where revenue > 1) from events group by grouping sets ((source), ()) having count(*) > 1",
  "select 1 union all (select 2 intersect select 3) order by 1 nulls first",
  'select "column_name" from "information_schema"."columns" where "table_name" = \'events\'',
  "select table_cat from system.jdbc.catalogs",
])("gives the planner what it takes: %s", (sql) => {
  expect(planStatement(parse, translate(sql), 0)).toMatchObject({ ok: true });
});

it("leaves the planner what it prunes by", () => {
  const sql = translate(
    "select count(*) from events where event_name = ? and event_time >= date_add('day', -7, now())",
    "'page'",
  );
  const plan = planStatement(parse, sql, Date.UTC(2026, 0, 8) * 1_000);
  const [need] = plan.ok ? plan.value.tables : [];
  expect(need?.from).toBe(Date.UTC(2026, 0, 1) * 1_000);
  expect(need?.values.get("event_name")).toEqual(["page"]);
});
