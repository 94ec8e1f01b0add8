/** What the rollups answer is what an engine answers over the lake: names, types, rows, in every format that both can say. */
import { tableFromIPC } from "apache-arrow";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EventRow } from "../../../../r2-layout/event-columns.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../../../r2-layout/limits.ts";
import { lakeFile, type QueryRig, startRig } from "../rig.ts";
import { FIRST_DAY_US, shopRows } from "../shop-rows.ts";

const SETUP_MS = 180_000;
const RUNS = Number(process.env.EQUIVALENCE_RUNS ?? 60);

/** Yesterday: its minutes are kept, and those of today. */
const DAY = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS;
const LATEST = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;

let rig: QueryRig;
/** What both stores have. */
let snapshot = 0;

function rows(seed: number, count: number, firstDay: number, days: number): EventRow[] {
  const shifted = [...shopRows({ seed, rows: count, firstDay, days })].map((row) => ({
    ...row,
    event_time: row.event_time - FIRST_DAY_US + DAY * 1_000,
  }));
  return shifted.filter(({ event_time }) => event_time < LATEST * 1_000);
}

async function add(events: readonly EventRow[]): Promise<void> {
  await rig.roll(events);
  ({ snapshot } = await rig.commit([await lakeFile("events", events)]));
}

beforeAll(async () => {
  rig = await startRig({ rollups: true });
  await add(rows(1, 600, 0, 1));
  await add([...rows(2, 400, 1, 1), ...rows(3, 200, -3, 3)]);
  await add(rows(4, 300, -90, 92));
}, SETUP_MS);

afterAll(() => rig?.stop());

/** The same statement of the same snapshot, named: that is the engine's to answer. */
const byEngine = (sql: string) => rig.sql(sql, { as_of: snapshot });

const sorted = (rows: readonly unknown[][]) => rows.map((row) => JSON.stringify(row)).sort();

async function expectSame(sql: string, isOrdered: boolean): Promise<void> {
  const [ours, engine] = [await rig.sql(sql), await byEngine(sql)];
  expect([ours.status, engine.status, engine.stats.route], sql).toEqual([200, 200, "engine"]);
  expect(ours.stats.route, sql).toBe("rollups");
  expect(ours.stats, sql).toMatchObject({ rows: engine.rows.length, snapshot, bytes_read: 0, engine_ms: 0 });
  expect(ours.columns, sql).toEqual(engine.columns);
  if (isOrdered) expect(ours.rows, sql).toEqual(engine.rows);
  else expect(sorted(ours.rows), sql).toEqual(sorted(engine.rows));
}

const literal = (ms: number) => `'${new Date(ms).toISOString().slice(0, 19).replace("T", " ")}'`;

const TIMES = {
  minute: "date_trunc('minute', event_time)",
  five: "time_bucket(interval '5 minutes', event_time)",
  hour: "date_trunc('hour', event_time)",
  sixth: "time_bucket(interval 4 hours, event_time)",
  date: "event_time::date",
  day: "date_trunc('day', event_time)",
  week: "date_trunc('week', event_time)",
  month: "date_trunc('month', event_time)",
  quarter: "date_trunc('quarter', event_time)",
  year: "datetrunc('year', event_time)",
};
/** Whose rows are longer than a minute. */
const COARSE = ["hour", "sixth", "date", "day", "week", "month", "quarter", "year"] as const;

const FILTERS: Record<string, readonly string[]> = {
  event_name: [
    "event_name = 'page'",
    "event_name in ('identify', 'Order Completed', 'nothing')",
    "event_name <> 'page'",
  ],
  country: [
    "country = 'DE'",
    "country is null",
    "country is not null",
    "country not in ('DE', 'FR')",
    "country <> 'JP'",
  ],
  device_type: ["device_type = 'mobile'", "'desktop' <> device_type"],
  page_path: ["page_path = '/日本'", "page_path is null", "page_path in ('/', '/😀')"],
};

const statement = fc
  .record({
    time: fc.constantFrom(null, ...COARSE, "minute" as const, "five" as const),
    dimension: fc.constantFrom(...Object.keys(FILTERS)),
    isGrouped: fc.boolean(),
    filter: fc.nat(8),
    counted: fc.nat(8),
    from: fc.option(fc.integer({ min: -5 * 24, max: 40 })),
    length: fc.option(fc.integer({ min: 1, max: 70 })),
    isWhole: fc.boolean(),
    order: fc.constantFrom("", "asc", "desc", "nulls first"),
    limit: fc.option(fc.nat(7)),
  })
  .map(({ time, dimension, isGrouped, filter, counted, from, length, isWhole, order, limit }) => {
    const isFine = time === "minute" || time === "five";
    // Minutes are kept for two days; days and hours lie between whole ones.
    const start = isFine ? DAY + Math.abs(from ?? 0) * 37 * MINUTE_MS : DAY + (from ?? 0) * HOUR_MS;
    const first = isWhole && !isFine ? Math.floor(start / DAY_MS) * DAY_MS : start;
    const where = [
      ...(isFine || from !== null ? [`event_time >= ${literal(first)}`] : []),
      ...(isFine || length !== null ? [`event_time < ${literal(first + (length ?? 9) * HOUR_MS)}`] : []),
      ...[FILTERS[dimension]![filter] ?? []].flat(),
    ];
    const keys = [...(time ? ["t"] : []), ...(isGrouped ? [dimension] : [])];
    const one = FILTERS[dimension]![counted];
    const columns = [
      ...(time ? [`${TIMES[time]} as t`] : []),
      ...(isGrouped ? [dimension] : []),
      "count(*) as n",
      ...(one ? [`count(*) filter (where ${one}) as some`] : []),
    ];
    const sort = keys.length > 0 && order !== "" ? ` order by n ${order}, ${keys.join(", ")}` : "";
    const sql = `select ${columns.join(", ")} from events${where.length > 0 ? ` where ${where.join(" and ")}` : ""}${
      keys.length > 0 ? ` group by ${keys.join(", ")}` : ""
    }${sort}${sort !== "" && limit !== null ? ` limit ${limit} offset 1` : ""}`;
    return { sql, isOrdered: sort !== "" };
  });

describe("a statement that the rollups can answer", () => {
  it("gives what an engine gives", async () => {
    await fc.assert(
      fc.asyncProperty(statement, async ({ sql, isOrdered }) => {
        await expectSame(sql, isOrdered);
      }),
      { numRuns: RUNS },
    );
  }, 120_000);

  it.each([
    "select count(*) from events",
    "select count() from events where event_time >= '2001-01-01' and event_time < '2001-01-02'",
    "select event_name, count(*) from events where event_time < '2001-01-01' group by event_name",
    "select country, count(*) as n from events group by all order by all",
    "select count(*) as n from events group by page_path order by page_path nulls first",
    "select page_path from events group by 1 order by count(*), 1 desc",
    "select date_trunc('hour', e.event_time) as \"The Hour\", count(*) as n from events e where e.country = 'DE' group by 1 order by 2 desc, 1",
    "select event_name as event_name, count(1) as n, count(*) as m from events group by event_name order by n desc, 1",
    "select count(*) as n from events where event_name = 'no such name'",
    "select count(*) as n from events limit 0",
    "select distinct event_name from events order by 1 desc",
    "select distinct event_time::date as d, country from events",
    "select distinct page_path from events where page_path = 'nowhere'",
    "select country, count(*) as n from events group by 1 having n > 150 and count(*) <> 163 order by 1",
    "select count(*) as n from events having count(*) < 1",
    "select date_trunc('day', event_time) as event_time, count(*) as revenue from events group by date_trunc('day', event_time) order by date_trunc('day', event_time)",
    "select date_trunc('day', event_time) as event_time, count(*) as count from events group by 1 order by event_time desc, count",
    "select event_name, count(*) as revenue from events group by 1 order by revenue desc, 1",
    "select date_trunc('hour', event_time), count(*) from events group by 1 order by 1",
    "select Date_Trunc('week', event_time), count(*) from events group by 1 order by 1",
    "select event_time::date, count() from events group by 1 order by 1",
    "select cast(event_time as date), count(*) from events group by all order by 1",
  ])("gives what an engine gives: %s", async (sql) => {
    await expectSame(sql, sql.includes("order by"));
  });

  it.each(["csv", "ndjson", "arrow"])("says it in %s as an engine does", async (format) => {
    const sql =
      "select time_bucket(interval '1 day', event_time) as t, event_time::date as d, country, count(*) as n from events group by 1, 2, 3 order by 1, 3";
    const [ours, engine] = await Promise.all([rig.post({ sql, format }), rig.post({ sql, format, as_of: snapshot })]);
    expect(JSON.parse(ours.headers.get("x-eventpile-stats")!)).toMatchObject({ route: "rollups" });
    expect(ours.headers.get("content-type")).toBe(engine.headers.get("content-type"));
    if (format !== "arrow") {
      expect(await ours.text()).toBe(await engine.text());
      return;
    }
    const [a, b] = [tableFromIPC(await ours.arrayBuffer()), tableFromIPC(await engine.arrayBuffer())];
    expect(a.schema.fields.map(String)).toEqual(b.schema.fields.map(String));
    expect(a.toArray().map(String)).toEqual(b.toArray().map(String));
  });

  it("keeps to the rows that are wanted, and says that there are more", async () => {
    const sql = "select event_name, count(*) as n from events group by 1 order by 1";
    const [ours, engine] = [await rig.sql(sql, { limit: 2 }), await rig.sql(sql, { limit: 2, as_of: snapshot })];
    expect(ours).toMatchObject({ rows: engine.rows, stats: { route: "rollups", rows: 2, truncated: true } });
  });

  it("is explained as one that reads nothing, in the words of an engine's explanation", async () => {
    const explain = async (sql: string) => (await (await rig.post({ sql, explain: true })).json()) as object;
    const [ours, engine] = [
      await explain("select count(*) from events"),
      await explain("select count(user_id) from events"),
    ];
    expect(ours).toMatchObject({ route: "rollups", files: 0, bytes: 0, requests: 0, tables: [], stats: { rows: 0 } });
    expect(engine).toMatchObject({ route: "engine" });
    expect(Object.keys(ours)).toEqual(Object.keys(engine).filter((name) => name !== "estimate"));
  });

  it("is charged as a statement, by its name, and as one that read nothing", async () => {
    const answer = await rig.post({ sql: "select count(*) from events", id: "counted" });
    expect(answer.headers.get("x-eventpile-statement")).toBe("counted");
    const stats = JSON.parse(answer.headers.get("x-eventpile-stats")!);
    expect(stats).toMatchObject({ bytes_read: 0, requests: 0 });
    expect(stats.dollars).toBeGreaterThan(0);
    expect(stats.dollars).toBeLessThan(1e-5);
  });
});

describe("an engine answers", () => {
  it.each([
    ["what rollups do not count", "select count(distinct user_id) from events"],
    ["minutes of long ago", "select count(*) from events where event_time >= '2001-01-01 00:01'"],
    [
      "a range that cuts a minute",
      `select count(*) from events where event_time >= ${literal(DAY)}::timestamp + interval 1 second`,
    ],
  ])("%s", async (_, sql) => {
    expect(await rig.sql(sql)).toMatchObject({ status: 200, stats: { route: "engine" } });
  });

  it("for a file in Parquet, whoever asks for a snapshot, and whoever wants it to", async () => {
    const sql = "select count(*) from events";
    const parquet = await rig.post({ sql, format: "parquet" });
    expect(JSON.parse(parquet.headers.get("x-eventpile-stats")!)).toMatchObject({ route: "engine" });
    expect(await byEngine(sql)).toMatchObject({ stats: { route: "engine" } });
    expect(await rig.sql(sql, { route: "engine" })).toMatchObject({ stats: { route: "engine" } });
  });

  it("what the lake has and the rollups have not yet, or may count otherwise", async () => {
    const sql = "select count(*) from events";
    const before = Number((await rig.sql(sql)).rows[0]![0]);
    const late = rows(9, 50, 0, 1);
    ({ snapshot } = await rig.commit([await lakeFile("events", late)]));
    expect(await rig.sql(sql)).toMatchObject({ rows: [[before + late.length]], stats: { route: "engine" } });
    await rig.roll(late);
    expect(await rig.sql(sql)).toMatchObject({ rows: [[before + late.length]], stats: { route: "rollups", snapshot } });
    // The rollups are ahead: they count as of where the lake is.
    await rig.roll(late);
    expect(await rig.sql(sql)).toMatchObject({ rows: [[before + late.length]], stats: { route: "rollups" } });
    ({ snapshot } = await rig.commit([await lakeFile("events", late)]));
    const twice = before + 2 * late.length;
    expect(await rig.sql(sql)).toMatchObject({ rows: [[twice]], stats: { route: "rollups" } });
  });

  it("a name that the lake has a column of", async () => {
    const sql = "select date_trunc('day', event_time) as price, count(*) as n from events group by price";
    expect(await rig.sql(sql)).toMatchObject({ stats: { route: "rollups" } });
    await rig.addColumn({ name: "price", type: "long", property: "price", doc: "" });
    // There it is the column that the rows are grouped by, and the time is not in the group.
    expect(await rig.sql(sql)).toMatchObject({ reason: "sql_error" });
  });
});
