import { DuckDBInstance } from "@duckdb/node-api";
import { describe, expect, it } from "vitest";
import { TABLES } from "../../r2-layout/event-columns.ts";
import { SCHEMA } from "../../r2-layout/limits.ts";
import { nameFault, parseNewColumn } from "../../r2-layout/promoted-request.ts";
import { planStatement } from "../../workers/query/plan/plan-statement.ts";
import { parse } from "../workers/query/sql-parser-module.ts";

const asked = { name: "plan", type: "string", property: "Plan", doc: "The plan that is paid for." };

describe("a request for a column", () => {
  it("is taken with its name, type and property; a doc may be missing", () => {
    expect(parseNewColumn(asked)).toEqual({ ok: true, value: asked });
    expect(parseNewColumn({ ...asked, doc: undefined })).toEqual({ ok: true, value: { ...asked, doc: "" } });
    expect(parseNewColumn({ ...asked, identifier: false })).toEqual({ ok: true, value: asked });
    expect(parseNewColumn({ ...asked, identifier: true })).toMatchObject({ value: { identifier: true } });
  });

  it.each([
    ["name", 7],
    ["name", ""],
    ["name", "Plan"],
    ["name", "_plan"],
    ["name", "1st"],
    ["name", "plan name"],
    ["name", 'plan"; drop table'],
    ["name", "größe"],
    ["name", "a".repeat(SCHEMA.nameChars + 1)],
    ["name", "user_id"],
    ["name", "raw"],
    ["name", "select"],
    ["name", "current_date"],
    ["name", "events"],
    ["name", "constructor"],
    ["type", "int"],
    ["type", "toString"],
    ["type", undefined],
    ["property", ""],
    ["property", 5],
    ["property", "x".repeat(1_025)],
    ["property", "\ud800"],
    ["identifier", "yes"],
    ["doc", 5],
    ["doc", "two\nlines"],
    ["doc", "x".repeat(SCHEMA.docChars + 1)],
  ])("is refused for its %s %o, by name (promise 9)", (parameter, value) => {
    expect(parseNewColumn({ ...asked, [parameter]: value })).toMatchObject({ ok: false, error: { parameter } });
  });

  it("may have the longest name, the longest property and the longest doc", () => {
    const longest = {
      ...asked,
      name: "a".repeat(SCHEMA.nameChars),
      property: "x".repeat(1_024),
      doc: "x".repeat(SCHEMA.docChars),
    };
    expect(parseNewColumn(longest)).toEqual({ ok: true, value: longest });
  });
});

it("takes no name that a table has", () => {
  for (const columns of Object.values(TABLES))
    for (const name of Object.keys(columns)) expect(nameFault(name)).not.toBeNull();
});

/** Places in which a column's name stands, without quotes. */
const STATEMENTS = [
  "select $, count(*) from events where $ = 'x' and event_time > now() group by $ order by $ desc limit 3",
  "select e.$ from events e where e.$ in ('a', 'b') or e.$ is null",
  "select max($) from events group by all",
  "select $ || 'y' from events where $ between 'a' and 'z'",
  "with x as (select $ from events) select $ from x where $ = 'x'",
  "select case when $ = 'a' then 'b' else $ end, lower($) || 'x', ($) from events",
  "select $::varchar, cast($ as varchar), $ from events",
];

it("every keyword that is taken as a name can be written without quotes, in the planner and in DuckDB", async () => {
  const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
  const listed = await duckdb.runAndReadAll("select keyword_category, keyword_name from duckdb_keywords()");
  const keywords = listed.getRowObjects() as { keyword_category: string; keyword_name: string }[];
  const taken = keywords.map(({ keyword_name }) => keyword_name).filter((word) => nameFault(word) === null);
  expect(taken.length).toBeGreaterThan(300);
  for (const { keyword_category, keyword_name } of keywords) {
    if (/^(reserved|type_function)$/.test(keyword_category)) expect(taken).not.toContain(keyword_name);
  }
  for (const name of taken) {
    for (const shape of STATEMENTS) {
      const sql = shape.replaceAll("$", name);
      const plan = planStatement(parse, sql, 0);
      if (!plan.ok) throw new Error(`${sql}: ${JSON.stringify(plan.error)}`);
    }
  }
  const row = taken.map((name) => `'x' as ${name}`).join(", ");
  const read = taken.map((name) => `e.${name} || max(${name})::varchar`).join(", ");
  const where = taken.map((name) => `${name} = 'x' and lower(${name}) in ('x')`).join(" and ");
  const sql = `select ${read} from (select ${row}) e where ${where} group by ${taken.join(", ")} order by ${taken.join(", ")}`;
  const rows = await duckdb.runAndReadAll(sql);
  expect(rows.getRows()).toEqual([taken.map(() => "xx")]);
  duckdb.closeSync();
});
