/** Which statements are the rollups' to answer: those whose every word is understood, and no others. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GRAIN_MS } from "../../../../durable-objects/minute-rollup/grains.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../../../r2-layout/limits.ts";
import { readQuestion } from "../../../../workers/query/rollups/read-question.ts";
import { rowRanges } from "../../../../workers/query/rollups/row-ranges.ts";
import { parse } from "../sql-parser-module.ts";

const read = (sql: string) => readQuestion(parse(sql));
const DAY = Date.UTC(2026, 10, 20);

describe("a statement that rollups answer", () => {
  it.each([
    ["select count(*) from events", { from: null, to: null, groups: null, dimension: null }],
    [
      "select count(*) from events where event_time >= '2026-11-20' and event_time < '2026-11-21'",
      { from: DAY, to: DAY + DAY_MS },
    ],
    [
      "select count(*) from events where event_time between '2026-11-20' and '2026-11-20 23:59:59.999999'",
      { from: DAY, to: DAY + DAY_MS },
    ],
    [
      "select count(*) from events where '2026-11-20' <= event_time and timestamp '2026-11-20 01:00:00' > event_time",
      { from: DAY, to: DAY + HOUR_MS },
    ],
    ["select count(*) from events where event_time::date = '2026-11-20'", { from: DAY, to: DAY + DAY_MS }],
    ["select count(*) from events where cast(event_time as date) > date '2026-11-20' - 1", { from: DAY, to: null }],
    ["select count(*) from events where event_time >= date '2026-11-21' - interval 1 day", { from: DAY }],
    [
      "select count(*) n from events e where e.event_time >= '2026-11-20' and (e.event_time < '2026-11-22' and e.event_time < '2026-11-21')",
      { to: DAY + DAY_MS },
    ],
  ])("reads the range of %s", (sql, asked) => {
    expect(read(sql)).toMatchObject(asked);
  });

  it.each([
    ["event_name = 'page'", [{ dimension: "event_name", values: ["page"], negated: false }]],
    ["'page' = event_name", [{ dimension: "event_name", values: ["page"], negated: false }]],
    ["event_name in ('a', 'b')", [{ dimension: "event_name", values: ["a", "b"], negated: false }]],
    ["event_name <> 'a'", [{ dimension: "event_name", values: ["a"], negated: true }]],
    ["country is null", [{ dimension: "country", values: [null], negated: false }]],
    [
      "country is not null and country not in ('DE')",
      [
        { dimension: "country", values: [null], negated: true },
        { dimension: "country", values: ["DE", null], negated: true },
      ],
    ],
  ])("reads the values of %s", (where, filters) => {
    expect(read(`select count(*) from events where ${where}`)).toMatchObject({ filters });
  });

  it.each([
    "select date_trunc('hour', event_time) t, count(*) n from events group by 1 order by 1",
    "select date_trunc('hour', event_time) as t, count(*) from events group by t order by t desc nulls first limit 10 offset 5",
    "select date_trunc('hour', event_time) as t, count(*) as n from events group by date_trunc('hour', event_time) order by n",
    "select date_trunc('hour', e.event_time) as t, count(1) as n from events e group by all order by all",
    "select event_time::date as d, country, count(*) from events group by 1, 2",
    "select count(*) as n from events group by country order by country, count(*) desc",
    "select country, count(*) filter (where country in ('DE')) as de from events group by 1",
    "select time_bucket(interval '5 minutes', event_time) as t, count() as n from events group by 1",
    "select distinct event_name from events where event_time < '2026-11-20' order by 1",
    "select country, count(*) from events group by 1 having count(*) > 1 and (count(*) <= 10)",
    "select country, count(*) as n from events group by 1 having n <> 0",
    "select date_trunc('day', event_time) as event_time, count(*) as revenue from events group by date_trunc('day', event_time) order by revenue, event_time",
    "select event_name as event_name, count(*) as views from events group by event_name order by views desc, event_name",
  ])("reads %s", (sql) => {
    expect(read(sql)).not.toBeNull();
  });

  it.each([
    // The time is cut within a minute.
    "select count(*) from events where event_time >= '2026-11-20 00:00:30'",
    "select count(*) from events where event_time > '2026-11-20'",
    "select count(*) from events where event_time <= '2026-11-20'",
    "select count(*) from events where event_time::date >= timestamp '2026-11-20 01:00:00'",
    // Other columns, other filters.
    "select count(*) from events where user_id = 'a'",
    "select count(*) from events where event_name = 'a' or event_name = 'b'",
    "select count(*) from events where not event_name = 'a'",
    "select count(*) from events where event_name like 'a%'",
    "select count(*) from events where lower(event_name) = 'a'",
    "select count(*) from events where event_name = country",
    "select count(*) from events where event_name in ('a', null)",
    "select count(*) from events where country in (select 'DE')",
    "select count(*) from events where event_time >= now()",
    "select count(*) from events where 1 = 1",
    "select count(*) from events where country = '(none)'",
    "select count(*) from events where event_name = 'a' and country = 'DE'",
    "select country, count(*) from events where event_name = 'a' group by 1",
    "select country, event_name, count(*) from events group by 1, 2",
    "select source, count(*) from events group by 1",
    // Other tables, several, changed ones.
    "select count(*) from quarantine",
    "select count(*) from events, quarantine",
    "select count(*) from events a join events b on a.event_id = b.event_id",
    "select count(*) from (select * from events)",
    "with events as (select 1) select count(*) from events",
    "select count(*) from events as e(a, b)",
    "select count(*) from 'events'",
    "select count(events.country) from events e",
    // Other aggregates, other clauses.
    "select count(distinct country) from events",
    "select count(country) from events",
    "select sum(revenue) from events",
    "select count(*), sum(1) from events",
    "select count(*) + 1 from events",
    "select count(*) over () from events",
    "select distinct count(*) from events group by country",
    "select distinct country from events group by country, event_time::date",
    "select distinct on (country) country from events",
    "select distinct source from events",
    "select distinct * from events",
    "select country, count(*) from events group by 1 having country = 'DE'",
    "select country, count(*) from events group by 1 having count(*) > 1 or count(*) < 1",
    "select country, count(*) from events group by 1 having count(*) > 1.5",
    "select country, count(*) from events group by 1 having sum(revenue) > 1",
    "select country, count(*) as revenue from events group by 1 having revenue > 1",
    "select count(*) as country from events",
    "select country, count(*) from events group by rollup (country)",
    "select country, count(*) from events group by grouping sets ((country), ())",
    "select country, count(*) from events group by country, count(*)",
    "select country, count(*) from events",
    "select country from events group by 1 order by event_name",
    "select count(*) from events group by country order by revenue",
    "select count(*) from events union all select count(*) from events",
    "select count(*) from events limit 1 + 1",
    "select count(*) from events qualify row_number() over () = 1",
    "from events select count(*)",
    // Lengths of time that do not begin at midnight, or are two.
    "select date_trunc('hour', event_time) a, date_trunc('day', event_time) b, count(*) from events group by 1, 2",
    "select date_trunc('second', event_time) a, count(*) from events group by 1",
    "select time_bucket(interval '7 hours', event_time) a, count(*) from events group by 1",
    "select time_bucket(interval '1 hour', event_time, interval '5 minutes') a, count(*) from events group by 1",
    "select date_trunc('hour', received_at) a, count(*) from events group by 1",
    "select count(*) filter (where event_time >= '2026-11-20') as n from events",
    // Names that DuckDB would take for a column, and columns whose names it makes itself.
    "select date_trunc('day', event_time) as event_time, count(*) from events group by event_time",
    "select time_bucket(interval '1 hour', event_time), count(*) from events group by 1",
    "select COUNTRY, count(*) from events group by 1",
  ])("leaves %s to the engine", (sql) => {
    expect(read(sql)).toBeNull();
  });
});

it("covers a range with rows of days, hours and minutes, once each, the longest that fit", () => {
  const minute = fc.integer({ min: 0, max: 4 * 1_440 });
  fc.assert(
    fc.property(
      minute,
      minute,
      fc.constantFrom(null, { width: DAY_MS }, { width: HOUR_MS }, { width: MINUTE_MS }),
      (a, b, bucket) => {
        const range = { from: DAY + Math.min(a, b) * MINUTE_MS, to: DAY + Math.max(a, b) * MINUTE_MS };
        const rows = rowRanges(range, bucket);
        let at = range.from;
        for (const { grain, from, to } of rows) {
          expect([from, from % GRAIN_MS[grain], to % GRAIN_MS[grain], to > from]).toEqual([at, 0, 0, true]);
          if (bucket) expect(GRAIN_MS[grain]).toBeLessThanOrEqual(bucket.width);
          at = to;
        }
        expect(at).toBe(range.to);
        expect(rows.length).toBeLessThanOrEqual(5);
        const count = (grain: string) => rows.filter((row) => row.grain === grain).length;
        expect(count("day")).toBeLessThanOrEqual(1);
      },
    ),
  );
  expect(rowRanges({ from: null, to: null }, null)).toMatchObject([{ grain: "day" }]);
  expect(rowRanges({ from: DAY - 62 * MINUTE_MS, to: DAY + 2 * DAY_MS }, null).map(({ grain }) => grain)).toEqual([
    "minute",
    "hour",
    "day",
  ]);
});
