import { expect, it } from "vitest";
import { type Estimate, LIMITS } from "../../../../workers/query/estimate/estimate.ts";
import { elsewhere, narrower } from "../../../../workers/query/estimate/narrower.ts";
import { tooLarge } from "../../../../workers/query/estimate/refusal.ts";
import { planStatement } from "../../../../workers/query/plan/plan-statement.ts";
import { parse } from "../sql-parser-module.ts";

function planned(sql: string) {
  const plan = planStatement(parse, sql, 0);
  if (!plan.ok) throw new Error(plan.error.detail);
  return plan.value;
}

const FROM = Date.UTC(2026, 10, 20) * 1_000;

it.each([
  "select '日本😀', count(*) from events where country = '😀'",
  'with c as (select * from Events e) select * from c join events using (event_id) where exists (select 1 from "events")',
  "select * from events a, quarantine b where a.event_id = b.event_id",
])("narrows each place where the table stands, and the statement is one still: %s", (sql) => {
  const { sql: text, places } = planned(sql);
  const { sql: narrowed, condition, from } = narrower(text, places, "events", FROM, undefined);
  expect(from).toBe("2026-11-20T00:00:00.000000Z");
  expect(narrowed.split(condition)).toHaveLength(1 + places.filter(({ table }) => table === "events").length);
  const again = planned(narrowed);
  expect(again.tables.find(({ table }) => table === "events")!.from).toBe(FROM);
  expect(again.tables.find(({ table }) => table === "quarantine")?.from).toBeUndefined();
});

it("writes tables under the names of other engines", () => {
  const { sql, places } = planned("select count(*) from events join quarantine q using (event_id)");
  expect(elsewhere(sql, places).spark).toBe(
    "select count(*) from lake.eventpile.events AS events join lake.eventpile.quarantine q using (event_id)",
  );
});

it("refuses with the figure, the limit it is over and the range that would fit", () => {
  const estimate: Estimate = {
    files: 5_001,
    row_groups: 6_000,
    bytes: 9e9,
    scan_bytes: 8e9,
    requests: 20_000,
    dollars: 0.1,
  };
  const { sql, places } = planned("select count(*) from events");
  const fits = narrower(sql, places, "events", FROM, undefined);
  expect(tooLarge(estimate, { narrower: fits, elsewhere: {} })).toMatchObject({
    reason: "too_many_files",
    detail: expect.stringContaining("event_time >= TIMESTAMP '2026-11-20 00:00:00' would fit"),
    estimate,
    limit: LIMITS,
    narrower: { sql: expect.stringContaining("FROM events WHERE event_time >=") },
  });
  expect(tooLarge({ ...estimate, ...LIMITS, scan_bytes: LIMITS.bytes }, undefined)).toBeNull();
});
