import { expect, it } from "vitest";
import { SQL } from "../../../../r2-layout/limits.ts";
import type { EngineStatement } from "../../../../workers/query/engine/statement.ts";
import { isLight } from "../../../../workers/query/gate/light.ts";

const statement = (sql: string, ...files: { bytes: number; rows: number }[]) =>
  ({ sql, tables: [{ files }] }) as unknown as EngineStatement;

it("a statement over files of SQL.lightBytes bytes and SQL.lightRows rows is light, and over more it is not", () => {
  const half = { bytes: SQL.lightBytes / 2, rows: SQL.lightRows / 2 };
  expect(isLight(statement("select 1 from events", half, half))).toBe(true);
  expect(isLight(statement("select 1 from events", half, { ...half, bytes: half.bytes + 1 }))).toBe(false);
  expect(isLight(statement("select 1 from events", half, { ...half, rows: half.rows + 1 }))).toBe(false);
});

it.each([
  "select * from range(9)",
  "with recursive x as (select 1) select 1",
  "select 1 from events CROSS JOIN events",
])("%s makes rows of nothing", (sql) => {
  expect(isLight(statement(sql))).toBe(false);
});
