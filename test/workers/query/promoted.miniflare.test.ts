import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import type { NewPromotedColumn, PromotedColumn } from "../../../r2-layout/promoted-columns.ts";
import { nameFault } from "../../../r2-layout/promoted-request.ts";
import { DAY_US } from "../../../r2-layout/time.ts";
import { type Native, nativeDuckDb } from "./native.ts";
import { type LakeFile, lakeFile, type QueryRig, startRig } from "./rig.ts";
import { FIRST_DAY_US, shopRows } from "./shop-rows.ts";

const COLUMNS: readonly NewPromotedColumn[] = [
  { name: "plan", type: "string", property: "plan", doc: "" },
  { name: "seats", type: "long", property: "seats", doc: "" },
  { name: "score", type: "double", property: "score", doc: "" },
  { name: "trial", type: "boolean", property: "trial", doc: "" },
  { name: "renews_at", type: "timestamp", property: "renews_at", doc: "" },
];
const PLANS = ["free", "pro", "größer 😀", null];

let rig: QueryRig;
let native: Native;
const snapshots: number[] = [];

/** A day of the shop with plans, seats and the rest; those of each day are their own. */
async function dayFile(day: number, promoted: readonly PromotedColumn[]): Promise<LakeFile> {
  const rows = [...shopRows({ seed: day + 1, rows: 600, firstDay: day, days: 1 })].map((row, i) => {
    const plan = PLANS[(i + day) % PLANS.length];
    const texts = {
      ...(row.properties as Record<string, string> | undefined),
      ...(plan && { plan: `${day} ${plan}` }),
      seats: i % 7 === 0 ? "many" : String(day * 1_000 + i),
      score: String(i / 8),
      ...(i % 3 === 0 && { trial: String(i % 2 === 0) }),
      renews_at: new Date((FIRST_DAY_US + day * DAY_US) / 1_000 + i).toISOString(),
    };
    return { ...row, properties: texts };
  });
  return lakeFile("events", rows, promoted);
}

beforeAll(async () => {
  rig = await startRig();
  const paths: string[] = [];
  const commit = async (day: number, promoted: readonly PromotedColumn[]) => {
    const added = await rig.commit([await dayFile(day, promoted)]);
    paths.push(...added.paths);
    snapshots.push(added.snapshot);
  };
  const promoted: PromotedColumn[] = [];
  const add = async (column: NewPromotedColumn) => {
    const answer = await rig.addColumn(column);
    if (answer.kind !== "added") throw new Error(answer.kind);
    promoted.push(answer.column);
  };
  await commit(0, []);
  for (const column of COLUMNS.slice(0, 2)) await add(column);
  await commit(1, promoted.slice());
  for (const column of COLUMNS.slice(2)) await add(column);
  await commit(2, promoted.slice());
  await commit(3, promoted.slice());
  native = await nativeDuckDb(paths, [...Object.keys(EVENT_COLUMNS), ...COLUMNS.map(({ name }) => name)]);
});

afterAll(async () => {
  native?.close();
  await rig?.stop();
});

const STATEMENTS = [
  "select * from events order by event_id, event_time limit 40",
  "select plan, count(*) n, sum(seats) s, avg(score) a from events group by 1 order by 1 nulls first",
  "select count(*), count(plan), count(seats), count(score), count(trial), count(renews_at) from events",
  "select count(*) from events where plan = '2 pro'",
  "select count(*) from events e where e.plan in ('2 pro', '3 free') and seats = 2002",
  "select event_id, seats from events where seats = 3007 or seats = 1001 order by 1",
  "select count(*) from events where seats = -1",
  "select count(*) from events where score = 12.5",
  "select count(*) from events where plan is null and seats is not null",
  "select count(*) from events where not (plan = '2 pro')",
  "select trial, count(*) from events where trial is not null group by 1 order by 1",
  "select count(*) from events where trial",
  "select max(renews_at), min(renews_at) from events where plan = '3 free'",
  "select renews_at::date d, count(*) from events group by 1 order by 1 nulls first",
  "select count(*) from events where properties['plan'][1] = plan",
  "select count(*) from events where properties['seats'][1] = 'many' and seats is null",
  "with plans as (select distinct plan from events where plan is not null) select count(*) from events join plans using (plan)",
  "select a.plan, count(*) from events a join events b on a.seats = b.seats and b.plan = '3 pro' group by 1 order by 1 nulls first",
  "select upper(country) as nation, count(*) from events where country = 'DE' group by 1",
  // A name of the statement's own, though a column might be called so.
  "select count(*) from events, (select 'x' as colour) c where colour = 'x'",
  "select seats + 1 as next_seat from events where seats in (2001, 2002, 5000) order by 1",
];

it.each(STATEMENTS)(
  "promise 6: over files of three versions of the schema, answers as native DuckDB does: %s",
  async (sql) => {
    const [ours, theirs] = await Promise.all([rig.sql(sql), native.rows(sql)]);
    expect(ours.status, ours.detail).toBe(200);
    expect(ours.rows).toEqual(theirs);
    expect(ours.stats.fallback_reads).toBe(0);
  },
);

it.each([
  ["plan = '2 pro'", 1],
  ["plan in ('2 pro', '3 free')", 2],
  ["plan = 'nobody has it'", 0],
  ["seats = 1005", 1],
  ["seats = 999999", 0],
  ["score = 3.5", 2],
  ["plan = '2 pro' or country = 'DE'", 4],
  ["plan is null", 4],
])("reads only the files whose bounds, or whose version, allow it: %s", async (where, files) => {
  const response = await rig.post({ sql: `select count(*) from events where ${where}`, explain: true });
  const { tables } = (await response.json()) as { tables: { files: unknown[]; columns: string[] }[] };
  expect(tables[0]!.files).toHaveLength(files);
  expect(tables[0]!.columns).toContain(where.split(" ")[0]);
});

it("promise 6: an old snapshot keeps the columns that it had, in * and by name", async () => {
  const names = async (as_of: number) =>
    (await rig.sql("select * from events limit 1", { as_of })).columns.map(({ name }) => name);
  const base = Object.keys(EVENT_COLUMNS);
  expect(await names(snapshots[0]!)).toEqual(base);
  expect(await names(snapshots[1]!)).toEqual([...base, "plan", "seats"]);
  expect(await names(snapshots[2]!)).toEqual([...base, ...COLUMNS.map(({ name }) => name)]);
  const before = await rig.sql("select plan from events", { as_of: snapshots[0]! });
  expect(before).toMatchObject({ status: 400, reason: "sql_error", detail: expect.stringContaining("plan") });
  expect((await rig.sql("select count(plan) from events", { as_of: snapshots[1]! })).rows[0]![0]).toBeGreaterThan(0);
});

it("shows the types of promoted columns, and null, typed, for an empty table", async () => {
  const types = ({ columns }: { columns: { name: string; type: string }[] }) =>
    Object.fromEntries(columns.map(({ name, type }) => [name, type]));
  for (const where of ["", " where event_time < '2000-01-01'"]) {
    expect(types(await rig.sql(`select * from events${where} limit 1`))).toMatchObject({
      plan: "VARCHAR",
      seats: "BIGINT",
      score: "DOUBLE",
      trial: "BOOLEAN",
      renews_at: "TIMESTAMP",
    });
  }
});

it("reads a promoted column's chunks and no others", async () => {
  const bytes = async (sql: string) => (await rig.sql(sql)).stats.bytes_needed;
  const [one, all] = await Promise.all([bytes("select max(seats) from events"), bytes("select * from events")]);
  expect(one).toBeLessThan(all / 5);
});

it("every keyword that may be a column's name is one to this engine, too", async () => {
  const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
  const listed = await duckdb.runAndReadAll("select keyword_name from duckdb_keywords()");
  const names = listed
    .getRows()
    .map(([name]) => String(name))
    .filter((name) => nameFault(name) === null);
  const row = names.map((name) => `'x' as ${name}`).join(", ");
  for (let from = 0; from < names.length; from += 50) {
    const some = names.slice(from, from + 50);
    const where = some.map((name) => `${name} = 'x'`).join(" and ");
    const sql = `select ${some.map((name) => `max(e.${name})`).join(", ")} from (select ${row}) e where ${where}`;
    const { status, rows, detail } = await rig.sql(sql);
    expect(status, detail).toBe(200);
    expect(rows).toEqual([some.map(() => "x")]);
  }
  duckdb.closeSync();
});
