import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FUNCTION_DOCS } from "../../../../workers/query/functions/function-docs.ts";
import { MACROS } from "../../../../workers/query/functions/macros.ts";
import { FUNCTIONS } from "../../../../workers/query/plan/allowed-functions.ts";
import { type QueryRig, startRig } from "../rig.ts";

const DOCS = readFileSync(join(import.meta.dirname, "../../../../docs/sql.md"), "utf8");

let rig: QueryRig;

beforeAll(async () => {
  rig = await startRig();
});

afterAll(async () => {
  await rig?.stop();
});

describe("a function of our own", () => {
  it.each(FUNCTION_DOCS)("$name: its example gives what the docs say", async ({ example, gives }) => {
    expect(await rig.sql(`select ${example}`)).toMatchObject({ status: 200, rows: [[gives]] });
  });

  it("is described, and in docs/sql.md, and may be called", () => {
    const described = FUNCTION_DOCS.map(({ name }) => name);
    expect(described.toSorted()).toEqual(Object.keys(MACROS).toSorted());
    for (const { name, doc, example } of FUNCTION_DOCS) {
      expect(FUNCTIONS.has(name)).toBe(true);
      expect(DOCS).toContain(`\`${example}\``);
      expect(DOCS).toContain(doc);
    }
  });

  it("is a thing of ours: what it is made from may not be called", async () => {
    const answer = await rig.sql("select ep_json_text('{}', '$')");
    expect(answer).toMatchObject({ status: 400, reason: "function_not_allowed" });
  });
});

describe("every statement in docs/sql.md", () => {
  const blocks = [...DOCS.matchAll(/```sql\n([\s\S]*?)```/g)].map(([, sql]) => sql!.trim());

  it("is there", () => expect(blocks.length).toBeGreaterThan(0));

  it.each(blocks)("%s", async (sql) => {
    expect((await rig.sql(sql)).detail).toBeUndefined();
  });
});

describe("a wrong argument", () => {
  it.each([
    ["to_timezone(timestamp '2026-01-01', 'Nowhere/Else')", "unknown time zone Nowhere/Else"],
    ["timestamp '2026-01-01' at time zone 'UTC'", "in one go"],
    ["json_extract('{}', '$.a[*]')", "cannot be read at its character 4"],
    ["'{}' -> 'a'", "json_extract(source, path)"],
  ])("%s is told in words", async (expression, words) => {
    const answer = await rig.sql(`select ${expression}`);
    expect(answer).toMatchObject({ status: 400, reason: "sql_error", detail: expect.stringContaining(words) });
    expect(answer.detail).not.toMatch(/ep_|Invalid Error/);
  });

  it("of none there is nothing", async () => {
    const sql =
      "select json_extract(null, '$.a'), json_extract('{}', null), '[1]'->>1, json_extract_string('{', '$.a'), to_timezone(null, 'UTC'), to_timezone(timestamp '2026-01-01', null), prop(null, 'a'), url_host(null), json_keys('{')";
    expect((await rig.sql(sql)).rows).toEqual([[null, null, null, null, null, null, null, null, null]]);
  });

  it("a large column leaves nothing behind", async () => {
    const heap = async () => {
      const sql = "select sum(length('{\"a\":\"' || repeat('x', 500) || '\"}' ->> '$.a')) from range(20000)";
      const { rows, stats } = await rig.sql(sql);
      expect(rows).toEqual([[10_000_000]]);
      return stats.heap_bytes;
    };
    const first = await heap();
    for (let i = 0; i < 3; i++) expect(await heap()).toBe(first);
  });
});
