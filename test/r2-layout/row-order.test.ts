import fc from "fast-check";
import { expect, it } from "vitest";
import { sortedRows } from "../../r2-layout/row-order.ts";

type Row = {
  readonly event_name?: string | null;
  readonly user_id?: string | null;
  readonly anonymous_id?: string | null;
  readonly event_time?: number | null;
  readonly received_at: number;
};

const text = fc.constantFrom("", "a", "b", "ä", "\u{1f600}", "\uffff", "__proto__", null, undefined);
/** Microseconds beside each other, days and millennia apart, and what no column should hold. */
const time = fc.oneof(
  fc.nat(3),
  fc.constantFrom(-1, 0, 8.64e10, 1.7e15, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 0.5, 1.5),
);
const row: fc.Arbitrary<Row> = fc.record(
  {
    event_name: text,
    user_id: text,
    anonymous_id: text,
    event_time: fc.option(time),
    received_at: time,
  },
  { requiredKeys: ["received_at"] },
);

const compare = (a: number, b: number): number => a - b;
const compareTexts = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const inOrder = (a: Row, b: Row): number =>
  compareTexts(a.event_name ?? "", b.event_name ?? "") ||
  compareTexts(a.user_id ?? a.anonymous_id ?? "", b.user_id ?? b.anonymous_id ?? "") ||
  compare(a.event_time ?? a.received_at, b.event_time ?? b.received_at);

it("rows are ordered by name, identity and time, equal ones as they came", () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 60 }), (rows) => {
      const sorted = sortedRows(rows);
      const expected = rows.toSorted(inOrder);
      expect(sorted.length).toBe(rows.length);
      for (let i = 0; i < rows.length; i++) expect(sorted[i]).toBe(expected[i]);
    }),
    { numRuns: 300, examples: [[[{ received_at: 0.5 }, { received_at: 0 }]], [[]]] },
  );
});

it("no row is lost where a time is none", () => {
  const rows = [3, Number.NaN, 1, Number.POSITIVE_INFINITY].map((received_at) => ({ received_at }));
  expect(new Set(sortedRows(rows))).toEqual(new Set(rows));
});
