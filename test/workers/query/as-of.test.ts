import { expect, it } from "vitest";
import { parseAsOf } from "../../../workers/query/as-of.ts";
import { parseSqlRequest } from "../../../workers/query/sql-request.ts";

it.each([
  [0, { asOf: 0 }],
  [41, { asOf: 41 }],
  ["41", { asOf: 41 }],
  [1_795_000_000, { asOfTime: 1_795_000_000_000 }],
  [1_795_000_000_123, { asOfTime: 1_795_000_000_123 }],
  [1_795_000_000_123_456, { asOfTime: 1_795_000_000_123 }],
  ["1795000000", { asOfTime: 1_795_000_000_000 }],
  ["2026-11-21T10:00:00Z", { asOfTime: Date.UTC(2026, 10, 21, 10) }],
  ["2026-11-21 10:00", { asOfTime: Date.UTC(2026, 10, 21, 10) }],
  ["2026-11-21T12:00:00+02:00", { asOfTime: Date.UTC(2026, 10, 21, 10) }],
  ["2026-11-21", { cut: "2026-11-21" }],
  ["2026-11-21.v2", { cut: "2026-11-21.v2" }],
  ["before-the-move", { cut: "before-the-move" }],
])("takes as_of %j for what it is", (given, expected) => {
  expect(parseAsOf(given)).toEqual(expected);
  expect(parseSqlRequest({ sql: "select 1", as_of: given })).toMatchObject({ ok: true, value: { as_of: expected } });
});

it.each([-1, 1.5, Number.NaN, true, {}, [], "", "yesterday at noon", "2026-11-21 25:61", "'; drop", "a".repeat(100)])(
  "refuses as_of %j, and says what it may be",
  (given) => {
    expect(parseAsOf(given)).toBeNull();
    expect(parseSqlRequest({ sql: "select 1", as_of: given })).toMatchObject({
      ok: false,
      error: { reason: "bad_parameter", parameter: "as_of", detail: expect.stringContaining("name of a cut") },
    });
  },
);

it("asks the newest state where there is no as_of", () => {
  for (const body of [{ sql: "select 1" }, { sql: "select 1", as_of: null }]) {
    const parsed = parseSqlRequest(body);
    expect(parsed.ok && parsed.value.as_of).toBeUndefined();
  }
});
