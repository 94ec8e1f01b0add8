import { expect, it } from "vitest";
import { planStatement } from "../../../../workers/query/plan/plan-statement.ts";
import { parse } from "../sql-parser-module.ts";

it.each([
  "select bool_or(event_name = 'page') from events",
  "select bool_or(event_name == 'page') from events",
  "select count(*) filter (where event_name = 'page') from events",
  "select struct_pack(n := event_name) from events",
])("the column of a comparison is read, also where it is all of an argument: %s", (sql) => {
  const plan = planStatement(parse, sql, 0);
  expect(plan.ok && [...(plan.value.tables[0]!.columns ?? [])]).toContain("event_name");
});

it("a table's alias that is compared as a row has all columns", () => {
  const plan = planStatement(parse, "select bool_or(e = null) from events e", 0);
  expect(plan.ok && plan.value.tables[0]!.columns).toBeNull();
});
