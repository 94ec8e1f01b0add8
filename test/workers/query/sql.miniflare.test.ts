import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EVENT_COLUMNS, QUARANTINE_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { DAY_US, isoMicros } from "../../../r2-layout/time.ts";
import { type Native, nativeDuckDb } from "./native.ts";
import { lakeFile, type QueryRig, startRig } from "./rig.ts";
import { FIRST_DAY_US, NAMES, shopRows } from "./shop-rows.ts";

let rig: QueryRig;
let native: Native;
let firstSnapshot = 0;
const OLD_COLUMNS = Object.keys(EVENT_COLUMNS).filter(
  (name) => !["flags", "properties", "revenue", "city", "client_seq"].includes(name),
);

/** A file as it would have been written before five of the columns existed. */
async function oldFile() {
  const file = await lakeFile("events", [...shopRows({ seed: 3, rows: 900, firstDay: 0, days: 1 })]);
  const path = join(rig.folder, "old.parquet");
  const [from, to] = [join(rig.folder, "whole.parquet"), path];
  writeFileSync(from, file.bytes);
  const copy = await nativeDuckDb([]);
  await copy.run(
    `COPY (SELECT ${OLD_COLUMNS.join(", ")} FROM read_parquet('${from}')) TO '${to}' (FORMAT parquet, CODEC 'zstd')`,
  );
  copy.close();
  const bytes = new Uint8Array(readFileSync(path));
  return { bytes, facts: { ...file.facts, bytes: bytes.length } };
}

beforeAll(async () => {
  rig = await startRig();
});

afterAll(async () => {
  native?.close();
  await rig?.stop();
});

describe("an empty lake", () => {
  it("answers with every column in its order and type", async () => {
    const { status, columns, rows, stats } = await rig.sql("select * from events");
    expect(status).toBe(200);
    expect(columns.map(({ name }) => name)).toEqual(Object.keys(EVENT_COLUMNS));
    const types = new Map(columns.map(({ name, type }) => [name, type]));
    expect(types.get("event_time")).toBe("TIMESTAMP");
    expect(types.get("client_seq")).toBe("BIGINT");
    expect(types.get("contract_version")).toBe("INTEGER");
    expect(types.get("revenue")).toBe("DOUBLE");
    expect(types.get("flags")).toBe("VARCHAR[]");
    expect(types.get("properties")).toBe("MAP(VARCHAR, VARCHAR)");
    expect(rows).toEqual([]);
    expect(stats).toMatchObject({ files: 0, table_files: 0, rows: 0, requests: 0 });
  });

  it("counts nothing, also in quarantine", async () => {
    expect((await rig.sql("select count(*) from events")).rows).toEqual([[0]]);
    const { rows, columns } = await rig.sql("select * from quarantine where received_at > now() - interval 1 day");
    expect(rows).toEqual([]);
    expect(columns.map(({ name }) => name)).toEqual(Object.keys(QUARANTINE_COLUMNS));
  });
});

describe("over files of several days, one of them older than some columns", () => {
  beforeAll(async () => {
    const file = (seed: number, rows: number, firstDay: number, days: number) =>
      lakeFile("events", [...shopRows({ seed, rows, firstDay, days })]);
    const first = await rig.commit([await file(1, 4_000, 0, 1), await oldFile()]);
    firstSnapshot = first.snapshot;
    const second = await rig.commit([await file(2, 3_000, 1, 1), await file(4, 1_500, 2, 3)]);
    native = await nativeDuckDb([...first.paths, ...second.paths]);
  });

  const STATEMENTS = [
    "select count(*) from events",
    "select count(*), count(user_id), count(distinct user_id), count(distinct anonymous_id) from events",
    "select event_name, count(*) n from events group by 1 order by 1",
    "select event_name, country, count(*) n from events group by all order by all",
    "select min(event_time), max(event_time), max(received_at) from events",
    "select event_time::date d, count(*) n, round(sum(revenue), 2) r from events group by 1 order by 1",
    "select date_trunc('hour', event_time) h, count(*) from events where event_time >= timestamp '2026-11-21' and event_time < '2026-11-22' group by 1 order by 1",
    "select count(*) from events where event_time between '2026-11-20 06:00' and '2026-11-20 12:00:00.5'",
    "select event_id, event_time from events where event_name = 'Order Completed' order by revenue desc nulls last, event_id limit 20",
    "select * from events order by event_time desc, event_id limit 7",
    "select * from events where city is null and revenue is null order by event_id limit 5",
    "select page_path, count(*) from events where page_path like '/%😀%' or page_path = '/日本' group by 1 order by 1",
    "select properties['sku'][1] sku, count(*) n from events where event_name in ('Product Viewed', 'Product Added') group by 1 order by n desc, sku limit 10",
    "select properties['größe 😀'][1] g, count(*) from events group by 1 order by 1 nulls first",
    "select cast(properties['price'][1] as integer) p, count(*) from events where properties['price'][1] is not null group by 1 order by 1 limit 5",
    "select cardinality(properties) c, count(*) from events group by 1 order by 1 nulls first",
    "select f, count(*) from (select unnest(flags) f from events) group by 1 order by 1",
    "select len(flags) l, count(*) from events group by 1 order by 1 nulls first",
    "select count(*) from events where list_contains(flags, 'bot')",
    "select event_id, flags, properties from events where flags is not null order by event_id limit 12",
    "select list_filter(flags, f -> f = 'late') l, count(*) from events where len(flags) > 0 group by 1 order by 1",
    "with orders as (select * from events where event_name = 'Order Completed') select country, round(avg(revenue), 3), count(*) from orders group by 1 order by 1 nulls last",
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5) select i, (select count(*) from events where client_seq % 5 = i) from n order by i",
    "select a.country, count(*) from events a join events b on a.session_id = b.session_id and a.event_name = 'page' and b.event_name = 'Order Completed' where a.event_time < b.event_time group by 1 order by 1",
    "select user_id, event_id, row_number() over (partition by user_id order by event_time, event_id) r from events where user_id is not null qualify r = 3 order by user_id limit 10",
    "select event_id, lag(event_time) over (partition by anonymous_id order by event_time, event_id) from events order by event_id limit 10",
    "select country from events union select currency from events order by 1 nulls last",
    "select country, device_type, count(*) from events group by rollup (country, device_type) order by 1 nulls first, 2 nulls first, 3",
    "select (select count(*) from events where country = 'DE') de, exists (select 1 from events where country = 'XX') xx",
    "select event_type, sum(client_seq) s, sum(client_seq)::decimal(38,2) d, max(client_seq) * 2 m from events group by 1 order by 1",
    "select quantile_cont(revenue, 0.5) q, median(revenue), stddev(revenue) > 0 from events",
    "select struct_pack(a := event_name, n := count(*)) s from events group by event_name order by event_name",
    "select count(*) filter (where flags is null), count(*) filter (where device_type = 'mobile') from events where event_time::date = date '2026-11-21'",
    "select true, false, null, 1::tinyint, 2.5::float, 'a''b', date '2026-02-28', time '01:02:03.5', timestamp '1969-12-31 23:59:59.999999', 123456789012345678, 1e308, 12.340::decimal(10,3)",
    "select i, repeat('x', i::integer) from range(5) t(i) order by i",
    "select count(*) from (select distinct on (user_id) user_id, event_time from events order by user_id, event_time desc)",
  ];

  it.each(STATEMENTS)("answers as native DuckDB does: %s", async (sql) => {
    const [ours, theirs] = await Promise.all([rig.sql(sql), native.rows(sql)]);
    expect(ours.detail).toBeUndefined();
    expect(ours.rows).toEqual(theirs);
    expect(ours.stats.fallback_reads).toBe(0);
  });

  it("promise 6: an old file reads null where it lacks a column, whatever else is read with it", async () => {
    const sql =
      "select count(*), count(flags), count(properties), count(revenue), count(city) from events where event_id like 'e-3-%'";
    expect((await rig.sql(sql)).rows).toEqual([[900, 0, 0, 0, 0]]);
  });

  it("promise 5: a snapshot answers as it did when it was the newest", async () => {
    const now = await rig.sql("select count(*) from events");
    const then = await rig.sql("select count(*) from events", { as_of: firstSnapshot });
    expect(now.rows).toEqual([[9_400]]);
    expect(then.rows).toEqual([[4_900]]);
    expect(then.stats.snapshot).toBe(firstSnapshot);
    expect(await rig.sql("select 1 from events", { as_of: 1_000 })).toMatchObject({
      status: 404,
      reason: "unknown_snapshot",
    });
  });

  it("reads only the files whose days and names can matter", async () => {
    const all = (await rig.sql("select count(*) from events")).stats;
    const day = (await rig.sql("select count(*) from events where event_time >= '2026-11-22'")).stats;
    expect(all.files).toBe(4);
    expect(day.files).toBe(1);
    expect((await rig.sql("select count(*) from events where event_name = 'nothing'")).stats.files).toBe(0);
  });

  it("reads each byte once: a warm statement asks R2 for nothing", async () => {
    const sql = "select country, max(city), count(*) from events group by 1 order by 1";
    await rig.sql(sql);
    const warm = (await rig.sql(sql)).stats;
    expect(warm).toMatchObject({ requests: 0, waves: 0, bytes_read: 0, cold: false });
    expect(warm.bytes_needed).toBeGreaterThan(0);
  });

  it("pruning never changes an answer, whatever the predicate", async () => {
    const time = fc.integer({ min: -DAY_US, max: 6 * DAY_US }).map((us) => FIRST_DAY_US + us);
    const timeText = time.map((us) => `timestamp '${isoMicros(us).replace("T", " ").replace("Z", "")}'`);
    const dayText = time.map((us) => `'${isoMicros(us).slice(0, 10)}'`);
    const name = fc.constantFrom(...NAMES, "nothing", "😀");
    const atom = fc.oneof(
      fc.tuple(fc.constantFrom("<", "<=", ">", ">=", "="), timeText).map(([op, t]) => `event_time ${op} ${t}`),
      fc.tuple(fc.constantFrom("<", "<=", ">", ">="), timeText).map(([op, t]) => `${t} ${op} event_time`),
      fc.tuple(fc.constantFrom("<", "<=", ">", ">=", "="), dayText).map(([op, t]) => `event_time::date ${op} ${t}`),
      fc
        .tuple(fc.constantFrom("hour", "day", "week", "month"), fc.constantFrom("<", "<=", ">", ">=", "="), timeText)
        .map(([unit, op, t]) => `date_trunc('${unit}', event_time) ${op} date_trunc('${unit}', ${t})`),
      fc.tuple(dayText, dayText).map(([a, b]) => `event_time between ${a} and ${b}`),
      timeText.map((t) => `event_time > ${t} - interval 30 hours`),
      fc
        .tuple(timeText, fc.integer({ min: 1, max: 2 }))
        .map(([t, n]) => `event_time < date_trunc('month', ${t}) + interval ${n} month`),
      name.map((n) => `event_name = '${n}'`),
      fc
        .array(name, { minLength: 1, maxLength: 3 })
        .map((ns) => `event_name in (${ns.map((n) => `'${n}'`).join(", ")})`),
      fc.constantFrom(
        "country = 'DE'",
        "country in ('FR', 'US')",
        "revenue > 100",
        "device_type <> 'mobile'",
        "user_id is null",
      ),
    );
    const { predicate } = fc.letrec<{ predicate: string }>((tie) => ({
      predicate: fc.oneof(
        { depthSize: "small" },
        atom,
        fc
          .tuple(tie("predicate"), fc.constantFrom("and", "and", "or"), tie("predicate"))
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
        fc.tuple(tie("predicate"), tie("predicate")).map(([a, b]) => `${a} and ${b}`),
        tie("predicate").map((a) => `not (${a})`),
      ),
    }));
    let pruned = 0;
    const answer = "select count(*), min(event_id), max(event_id), count(distinct user_id) from events where";
    await fc.assert(
      fc.asyncProperty(predicate, async (where) => {
        const on = await rig.sql(`${answer} ${where}`);
        // `is true` says the same and hides it from the planner.
        const off = await rig.sql(`${answer} (${where}) is true`);
        expect(on.detail).toBeUndefined();
        expect(on.rows).toEqual(off.rows);
        expect(off.stats.files).toBe(4);
        if (on.stats.files < 4) pruned++;
      }),
      { numRuns: 60, seed: 7 },
    );
    expect(pruned).toBeGreaterThan(15);
  });

  it("explains without running: files, bytes and what was understood of the statement", async () => {
    const response = await rig.post({
      sql: "select country from events where event_time >= '2026-11-22'",
      explain: true,
    });
    const plan = (await response.json()) as {
      scan_bytes: number;
      tables: { table: string; columns: string[]; files: unknown[]; table_files: number; from: number }[];
      rows?: unknown;
    };
    expect(plan.rows).toBeUndefined();
    expect(plan.tables).toHaveLength(1);
    expect(plan.tables[0]).toMatchObject({
      table: "events",
      columns: ["event_time", "country"],
      table_files: 4,
      from: Date.UTC(2026, 10, 22) * 1_000,
    });
    expect(plan.tables[0]!.files).toHaveLength(1);
    expect(plan.scan_bytes).toBeGreaterThan(0);
  });

  describe("in every format", () => {
    const sql =
      "select event_id, event_time, client_seq, revenue, flags, properties, country from events where client_seq is not null order by client_seq desc, event_id limit 300";

    it("the rows are the same", async () => {
      const json = await rig.sql(sql);
      const ndjson = (await (await rig.post({ sql, format: "ndjson" })).text()).trimEnd().split("\n");
      const names = json.columns.map(({ name }) => name);
      expect(ndjson.map((line) => Object.values(JSON.parse(line) as object))).toEqual(json.rows);
      expect(ndjson.map((line) => Object.keys(JSON.parse(line) as object))[0]).toEqual(names);

      const response = await rig.post({ sql, format: "arrow" });
      expect(response.headers.get("content-type")).toBe("application/vnd.apache.arrow.stream");
      const table = tableFromIPC(new Uint8Array(await response.arrayBuffer()));
      expect(table.numRows).toBe(300);
      expect(table.schema.fields.map(({ name }) => name)).toEqual(names);
      const ids = [...table.getChild("event_id")!].map(String);
      expect(ids).toEqual(json.rows.map(([id]) => id));
      const micros = table.getChild("event_time")!.data.flatMap((data) => [...(data.values as BigInt64Array)]);
      expect(micros.map((us) => isoMicros(Number(us)))).toEqual(json.rows.map((row) => row[1]));
      expect(String(table.getChild("client_seq")!.get(0))).toBe(String(json.rows[0]![2]));
    });

    it("CSV reads back in native DuckDB as what it was", async () => {
      const flat =
        "select event_id, event_time, revenue, country, page_path, '' as empty, 'a\"b,c\nd' as odd from events order by event_id limit 500";
      const response = await rig.post({ sql: flat, format: "csv" });
      expect(response.headers.get("content-type")).toContain("text/csv");
      expect(JSON.parse(response.headers.get("x-eventpile-stats")!)).toMatchObject({ rows: 500 });
      const path = join(rig.folder, "out.csv");
      writeFileSync(path, await response.text());
      const back = await native.rows(
        `select * from read_csv('${path}', header=true, columns={'event_id':'VARCHAR','event_time':'TIMESTAMP','revenue':'VARCHAR','country':'VARCHAR','page_path':'VARCHAR','empty':'VARCHAR','odd':'VARCHAR'}, quote='"', escape='"') order by event_id limit 3`,
      );
      const json = await rig.sql(flat);
      expect(back.map((row) => row[0])).toEqual(json.rows.slice(0, 3).map((row) => row[0]));
      expect(back.map((row) => row[1])).toEqual(json.rows.slice(0, 3).map((row) => row[1]));
      expect(back.map((row) => row[2])).toEqual(
        json.rows.slice(0, 3).map((row) => (row[2] === null ? null : String(row[2]))),
      );
      expect(back[0]![6]).toBe('a"b,c\nd');
    });

    it("says numbers that JSON cannot carry as text or null", async () => {
      const { rows, columns } = await rig.sql(
        "select 9007199254740993::bigint, 9007199254740991::bigint, 170141183460469231731687303715884105727::hugeint, 'nan'::double, 'inf'::double, 0.1::decimal(38,20), -1.50::decimal(4,2), '\\x00ff'::blob, interval '1 month 2 days 3 hours', true, null",
      );
      expect(rows).toEqual([
        [
          "9007199254740993",
          9007199254740991,
          "170141183460469231731687303715884105727",
          null,
          null,
          "0.10000000000000000000",
          -1.5,
          expect.any(String),
          "1 months 2 days 03:00:00.000000",
          true,
          null,
        ],
      ]);
      expect(columns.map(({ type }) => type).slice(0, 3)).toEqual(["BIGINT", "BIGINT", "HUGEINT"]);
    });
  });
});

describe("a request that is wrong", () => {
  it.each([
    [{ sql: 1 }, "bad_parameter", 400],
    [{ sql: "select 1", format: "xml" }, "bad_parameter", 400],
    [{ sql: "select 1", as_of: "new day" }, "bad_parameter", 400],
    [{ sql: "select 1", as_of: -1 }, "bad_parameter", 400],
    [{ sql: "select 1", explain: "yes" }, "bad_parameter", 400],
    [{ sql: "select 1", offset: 5 }, "bad_parameter", 400],
    [[], "bad_json", 400],
    [{ sql: "" }, "empty_statement", 400],
    [{ sql: `select '${"x".repeat(70_000)}'` }, "statement_too_large", 413],
    [{ sql: "select nope from events" }, "sql_error", 400],
    [{ sql: "select 1 +" }, "sql_error", 400],
    [{ sql: "select cast('x' as integer)" }, "sql_error", 400],
    [{ sql: "select * from range(1100000)" }, "result_too_large", 422],
    [{ sql: `select ${Array(14).fill("100::tinyint").join(", ")} from range(700000)` }, "result_too_large", 422],
    [{ sql: "select list(repeat('abcdefgh', 100) || i) from range(10000000) t(i)" }, "memory_exceeded", 422],
  ])("%j is answered by %s", async (body, reason, status) => {
    const response = await rig.post(body);
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.json()).toMatchObject({ reason, status });
  });

  it("DuckDB's message is passed on without the names of files", async () => {
    const { detail, reason } = await rig.sql("select cast(event_id as integer) from events");
    expect(reason).toBe("sql_error");
    expect(detail).toContain("Conversion Error");
    expect(detail).not.toContain("lake/");
  });

  it("another method or address is refused", async () => {
    expect((await rig.post({}, { method: "PUT" })).status).toBe(405);
  });
});
