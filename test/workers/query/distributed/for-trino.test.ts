import { expect, it } from "vitest";
import { forTrino } from "../../../../workers/query/distributed/for-trino.ts";
import { forR2Sql } from "../../../../workers/query/distributed/r2-sql.ts";
import { fromTrino } from "../../../../workers/query/trino/trino-dialect.ts";
import { parse } from "../sql-parser-module.ts";

const FROM = "FROM lake.eventpile.events AS events";

it.each([
  ["select user_id from events", `SELECT user_id ${FROM}`],
  ["select e.user_id from events e", "SELECT e.user_id FROM lake.eventpile.events AS e"],
  ["select count(*) from events", `SELECT count(*) AS "count_star()" ${FROM}`],
  ["select a / b as x, 7 // 2 as y", "SELECT CAST(a AS double) / b AS x, 7 / 2 AS y"],
  [
    "select properties['a'][1] as x, flags[2] as y",
    "SELECT element_at(properties, 'a') AS x, element_at(flags, 2) AS y",
  ],
  ["select date_diff('day', a, b) as x", "SELECT date_diff('day', date_trunc('day', a), date_trunc('day', b)) AS x"],
  [
    "select date_trunc('day', t) as d, date_trunc('hour', t) as h",
    "SELECT CAST(date_trunc('day', t) AS date) AS d, date_trunc('hour', t) AS h",
  ],
  [
    "select date_trunc('day', event_time) as d, count(*) as n from events group by d",
    `SELECT CAST(date_trunc('day', event_time) AS date) AS d, count(*) AS n ${FROM} GROUP BY 1`,
  ],
  [
    "select t - interval '7 days' as x, t + interval 1 day as y".replace(", t + interval 1 day as y", ""),
    "SELECT t - INTERVAL '7' DAY AS x",
  ],
  [
    "select string_agg(a, ';') as x, approx_count_distinct(b) as y",
    "SELECT array_join(array_agg(a), ';') AS x, approx_distinct(b) AS y",
  ],
  ["select strftime(t, '%Y-%m-%d %H:%M') as x", "SELECT date_format(t, '%Y-%m-%d %H:%i') AS x"],
  ["select t::date as x, try_cast(a as double) as y", "SELECT CAST(t AS date) AS x, TRY_CAST(a AS double) AS y"],
  [
    "select 1 from events where event_time >= timestamp '2026-01-01 00:00:00'",
    `SELECT 1 AS "1" ${FROM} WHERE event_time >= TIMESTAMP '2026-01-01 00:00:00'`,
  ],
  ["with x as (select 1 as a) select a from x", "WITH x AS (SELECT 1 AS a) SELECT a FROM x"],
])("says %s for a Trino server", (duck, trino) => {
  expect(forTrino(parse, duck)).toEqual({ ok: true, value: trino });
});

it.each([
  ["select * exclude (raw) from quarantine", "EXCLUDE"],
  ["select a from events qualify row_number() over () = 1", "QUALIFY"],
  ["select a, count(*) from events group by all", "GROUP BY ALL"],
  ["select histogram(a) from events", "histogram()"],
  ["select properties['a'] from events", "a map's value without its [1]"],
  ["select * from range(3)", "range() in FROM"],
  ["select a & b from events", "the operator BitwiseAnd"],
  ["select {'a': 1}", "Dictionary"],
])("does not guess: %s", (sql, what) => {
  expect(forTrino(parse, sql)).toEqual({ ok: false, error: `${what} is not supported here` });
});

it("says for a Trino server what our own reading of Trino's dialect takes back", () => {
  const sql =
    "SELECT event_name, count(*) AS n, sum(revenue) / count(*) AS mean FROM events WHERE event_time >= TIMESTAMP '2026-01-01 00:00:00' GROUP BY event_name HAVING count(*) > 1 ORDER BY n DESC LIMIT 3";
  const there = forTrino(parse, sql, "eventpile.default");
  const table = (parts: readonly string[]) => ({ text: parts.at(-1)!, name: parts.at(-1)! });
  expect(there.ok && fromTrino(parse, there.value, { table, parameters: [] })).toBe(
    sql.replace("sum(revenue) /", "CAST(sum(revenue) AS DOUBLE) /").replace("FROM events", "FROM events AS events"),
  );
});

it("says for R2 SQL what it documents, and nothing of lists and maps", () => {
  expect(forR2Sql(parse, "select source, count(*) as n from events group by source", "eventpile")).toEqual({
    ok: true,
    value: "SELECT source, count(*) AS n FROM eventpile.events AS events GROUP BY source",
  });
  expect(forR2Sql(parse, "select properties['a'][1] from events", "eventpile")).toMatchObject({ ok: false });
  expect(forR2Sql(parse, "select string_agg(a, ',') from events", "eventpile")).toMatchObject({ ok: false });
});
