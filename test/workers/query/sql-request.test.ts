import { expect, it } from "vitest";
import { SQL } from "../../../r2-layout/limits.ts";
import { parseSqlRequest } from "../../../workers/query/sql-request.ts";

it.each([
  ["params", [1, "a", null], { at: true }, "text"],
  ["max_staleness_s", 0, SQL.stalenessMaxS, SQL.stalenessMaxS + 1],
  ["max_staleness_s", 1, 59, 1.5],
  ["route", "engine", "engine", "rollups"],
  ["id", "a", "x".repeat(64), "x".repeat(65)],
  ["id", "Run_1-b", "0", "a b"],
  ["limit", 0, SQL.resultRows, SQL.resultRows + 1],
  ["limit", 1, 100, -1],
  ["download", "Orders of May", "a".repeat(100), "a".repeat(101)],
  ["download", "a.b_c-d", "x", '"; evil="'],
])("takes %s up to its bound, and says which parameter is beyond", (name, one, other, beyond) => {
  for (const value of [one, other]) {
    expect(parseSqlRequest({ sql: "select 1", [name]: value })).toMatchObject({ ok: true, value: { [name]: value } });
  }
  expect(parseSqlRequest({ sql: "select 1", [name]: beyond })).toMatchObject({
    ok: false,
    error: { reason: "bad_parameter", parameter: name },
  });
});
