import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SQL } from "../../../../r2-layout/limits.ts";
import { cell } from "../../../../workers/query/results/cell.ts";
import { type Native, nativeDuckDb } from "../native.ts";
import { lakeFile, type QueryRig, startRig } from "../rig.ts";
import { shopRows } from "../shop-rows.ts";

let rig: QueryRig;
let native: Native;

beforeAll(async () => {
  rig = await startRig();
  const { paths } = await rig.commit([
    await lakeFile("events", [...shopRows({ seed: 1, rows: 3_000, firstDay: 0, days: 1 })]),
  ]);
  native = await nativeDuckDb(paths);
});

afterAll(async () => {
  native?.close();
  await rig?.stop();
});

async function parquet(sql: string): Promise<string> {
  const response = await rig.post({ sql, format: "parquet" });
  if (response.status !== 200) throw new Error(await response.text());
  expect(response.headers.get("content-type")).toBe("application/vnd.apache.parquet");
  const path = join(rig.folder, `${crypto.randomUUID()}.parquet`);
  writeFileSync(path, new Uint8Array(await response.arrayBuffer()));
  return path;
}

it.each([
  "select * from events order by event_id",
  "select event_id, event_time, client_seq, revenue, flags, properties, country from events order by event_time desc, event_id limit 300",
  "select event_name n, count(*) c, sum(revenue) s from events group by 1 order by 1",
  "select 1 a where false",
])("is read by native DuckDB as the rows that it gives itself: %s", async (sql) => {
  const path = await parquet(sql);
  const ours = await native.rows(`select * from read_parquet('${path}')`);
  expect(ours).toEqual(await native.rows(sql));
});

/** An expression, what JSON says of it, what CSV says where that differs, and the type that Parquet keeps. */
const TYPES: readonly [sql: string, json: unknown, csv: string, parquet: string][] = [
  ["true", true, "true", "BOOLEAN"],
  ["(-128)::tinyint", -128, "-128", "TINYINT"],
  ["255::utinyint", 255, "255", "UTINYINT"],
  ["65535::usmallint", 65_535, "65535", "USMALLINT"],
  ["4294967295::uinteger", 4_294_967_295, "4294967295", "UINTEGER"],
  ["18446744073709551615::ubigint", "18446744073709551615", "18446744073709551615", "UBIGINT"],
  ["9007199254740991::bigint", 9_007_199_254_740_991, "9007199254740991", "BIGINT"],
  ["(-9223372036854775807 - 1)::bigint", "-9223372036854775808", "-9223372036854775808", "BIGINT"],
  ["sum(9223372036854775807::bigint)", "9223372036854775807", "9223372036854775807", "DECIMAL(38,0)"],
  ["sum(i)", 6, "6", "DECIMAL(38,0)"],
  ["1.5::float", 1.5, "1.5", "FLOAT"],
  ["0.1::double + 0.2::double", 0.30000000000000004, "0.30000000000000004", "DOUBLE"],
  ["'nan'::double", null, "", "DOUBLE"],
  ["'-inf'::double", null, "", "DOUBLE"],
  ["(-1.50)::decimal(4,2)", -1.5, "-1.5", "DECIMAL(4,2)"],
  ["0.1::decimal(38,20)", "0.10000000000000000000", "0.10000000000000000000", "DECIMAL(38,20)"],
  ["123456789012.345678::decimal(18,6)", "123456789012.345678", "123456789012.345678", "DECIMAL(18,6)"],
  ["'it''s \"so\", ü 😀'", 'it\'s "so", ü 😀', '"it\'s ""so"", ü 😀"', "VARCHAR"],
  ["''", "", '""', "VARCHAR"],
  ["null::varchar", null, "", "VARCHAR"],
  ["date '1969-12-31'", "1969-12-31", "1969-12-31", "DATE"],
  ["time '01:02:03.000004'", "01:02:03.000004", "01:02:03.000004", "TIME"],
  ["timestamp '1969-12-31 23:59:59.999999'", "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z", "TIMESTAMP"],
  ["timestamp '2026-11-22 12:00:00.000001'", "2026-11-22T12:00:00.000001Z", "2026-11-22T12:00:00.000001Z", "TIMESTAMP"],
  [
    "'2026-11-22 12:00:00.5+02:00'::timestamptz",
    "2026-11-22T10:00:00.500000Z",
    "2026-11-22T10:00:00.500000Z",
    "TIMESTAMP WITH TIME ZONE",
  ],
  [
    "to_months(14) + to_days(3) + to_microseconds(4000005)",
    "14 months 3 days 00:00:04.000005",
    "14 months 3 days 00:00:04.000005",
    "VARCHAR",
  ],
  ["'\\x00\\xFFa'::blob", "00ff61", "00ff61", "BLOB"],
  [
    "'6b9f4a52-0000-4000-8000-00000000002a'::uuid",
    "6b9f4a52-0000-4000-8000-00000000002a",
    "6b9f4a52-0000-4000-8000-00000000002a",
    "UUID",
  ],
  ["[1, null, 3]::bigint[]", [1, null, 3], '"[1,null,3]"', "BIGINT[]"],
  ["[]::varchar[]", [], "[]", "VARCHAR[]"],
  ["[[1], []]::integer[][]", [[1], []], '"[[1],[]]"', "INTEGER[][]"],
  ["[sum(i), null]", [6, null], '"[6,null]"', "DECIMAL(38,0)[]"],
  [
    "{'a': 1, 'B c': {'d': null::varchar}}",
    { a: 1, "B c": { d: null } },
    '"{""a"":1,""B c"":{""d"":null}}"',
    'STRUCT(a INTEGER, "B c" STRUCT(d VARCHAR))',
  ],
  ["{'HUGEINT': sum(i)}", { HUGEINT: 6 }, '"{""HUGEINT"":6}"', "STRUCT(HUGEINT DECIMAL(38,0))"],
  [
    "map(['k', '__proto__'], ['v', null])",
    JSON.parse('{"k":"v","__proto__":null}'),
    '"{""k"":""v"",""__proto__"":null}"',
    "MAP(VARCHAR, VARCHAR)",
  ],
  ["map([1, 2], [sum(i), null])", { 1: 6, 2: null }, '"{""1"":6,""2"":null}"', "MAP(INTEGER, DECIMAL(38,0))"],
];

describe("every type, in every format", () => {
  const sql = `select ${TYPES.map(([value], i) => `${value} as t${i}`).join(", ")} from (select 6 as i)`;

  it("in JSON and NDJSON", async () => {
    const { rows, detail } = await rig.sql(sql);
    expect(detail).toBeUndefined();
    expect(rows).toEqual([TYPES.map(([, json]) => json)]);
    const line = JSON.parse(await (await rig.post({ sql, format: "ndjson" })).text()) as object;
    expect(Object.values(line)).toEqual(rows[0]);
  });

  it("in CSV", async () => {
    const [, line] = (await (await rig.post({ sql, format: "csv" })).text()).split("\r\n");
    expect(line).toBe(TYPES.map(([, , csv]) => csv).join(","));
  });

  it("in Arrow, where native DuckDB's values are", async () => {
    const bytes = new Uint8Array(await (await rig.post({ sql, format: "arrow" })).arrayBuffer());
    const table = tableFromIPC(bytes);
    const cells = table.batches[0]!.data.children.map((column) => cell(column, 0));
    expect(cells).toEqual(TYPES.map(([, json]) => json));
  });

  it("in Parquet, by native DuckDB's reading", async () => {
    const path = await parquet(sql);
    const described = await native.rows(`describe select * from read_parquet('${path}')`);
    expect(described.map(([, type]) => type)).toEqual(TYPES.map(([, , , type]) => type));
    const [row] = await native.rows(`select * from read_parquet('${path}')`);
    const text = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
    for (const [i, [value, json]] of TYPES.entries()) {
      if (/to_months|blob|timestamptz|uuid/.test(value)) continue;
      expect([value, text(row![i]) ? { ...(row![i] as object) } : row![i]]).toEqual([value, json]);
    }
    const texts = await native.rows(
      `select columns(*)::varchar from (select ${["to_months", "blob", "uuid"].map((kind) => `t${TYPES.findIndex(([value]) => value.includes(kind))}`).join(", ")} from read_parquet('${path}'))`,
    );
    expect(texts).toEqual([
      ["1 year 2 months 3 days 00:00:04.000005", "\\x00\\xFFa", "6b9f4a52-0000-4000-8000-00000000002a"],
    ]);
  });
});

it("names that come twice become two", async () => {
  const path = await parquet('select 1 as a, 2 as a, 3 as "A", 4 as "odd ""name"""');
  expect(await native.rows(`select column_name from (describe select * from read_parquet('${path}'))`)).toEqual([
    ["a"],
    ["a:1"],
    ["A:2"],
    ['odd "name"'],
  ]);
});

it("a file larger than memory is sent while it is written, whole row groups at a time", async () => {
  const path = await parquet("select i, md5(i::varchar) || md5((i + 1)::varchar) as t from range(450000) r(i)");
  expect(statSync(path).size).toBeGreaterThan(SQL.wholeBytes);
  expect(await native.rows(`select count(*), min(i), max(i), count(distinct t) from read_parquet('${path}')`)).toEqual([
    [450_000, 0, 449_999, 450_000],
  ]);
  expect((await rig.engine(0).status()).heap_bytes).toBeLessThan(SQL.heapBytes);
});

it("no statement writes a file of its own, or reads the one that was written", async () => {
  for (const sql of ["copy (select 1) to 'x'", "select * from read_parquet('result')"]) {
    expect((await rig.post({ sql, format: "parquet" })).status).toBe(400);
  }
});
