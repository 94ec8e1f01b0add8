import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SCHEMA } from "../../r2-layout/limits.ts";
import type { PromotedColumn, PromotedType } from "../../r2-layout/promoted-columns.ts";
import { Promotion, promotedAnew, promotedValue } from "../../r2-layout/promoted-values.ts";
import { isoMicros } from "../../r2-layout/time.ts";

describe("a property's text becomes a value only where it says exactly one (promise 6)", () => {
  it.each<[PromotedType, string, unknown]>([
    ["string", "", ""],
    ["string", '{"a":1}', '{"a":1}'],
    ["string", "ü".repeat(SCHEMA.textBytes / 2), "ü".repeat(SCHEMA.textBytes / 2)],
    ["string", `${"ü".repeat(SCHEMA.textBytes / 2)}x`, null],
    ["long", "0", 0],
    ["long", "-0", 0],
    ["long", "-17", -17],
    ["long", "9007199254740991", Number.MAX_SAFE_INTEGER],
    ["long", "9007199254740992", null],
    ["long", "-9007199254740992", null],
    ["long", "007", null],
    ["long", "+5", null],
    ["long", "5.0", null],
    ["long", "1e3", null],
    ["long", " 5", null],
    ["long", "5\n", null],
    ["long", "", null],
    ["long", "0x10", null],
    ["long", "five", null],
    ["double", "5", 5],
    ["double", "-0.25e-3", -0.00025],
    ["double", "1E400", null],
    ["double", "NaN", null],
    ["double", "Infinity", null],
    ["double", ".5", null],
    ["double", "1,5", null],
    ["double", "null", null],
    ["boolean", "true", true],
    ["boolean", "false", false],
    ["boolean", "True", null],
    ["boolean", "1", null],
    ["timestamp", "2026-11-22T14:00:00Z", 1_795_356_000_000_000],
    ["timestamp", "2026-11-22T14:00:00.123456Z", 1_795_356_000_123_456],
    ["timestamp", "2026-11-22t14:00:00.1234567z", 1_795_356_000_123_456],
    ["timestamp", "2026-11-22 15:30:00+01:30", 1_795_356_000_000_000],
    ["timestamp", "2026-11-22T04:00:00-10:00", 1_795_356_000_000_000],
    ["timestamp", "1969-12-31T23:59:59.999999Z", -1],
    ["timestamp", "2026-11-22T14:00:00", null],
    ["timestamp", "2026-11-22", null],
    ["timestamp", "2026-02-29T00:00:00Z", null],
    ["timestamp", "2024-02-29T23:59:59.5-00:30", Date.UTC(2024, 2, 1, 0, 29, 59, 500) * 1_000],
    ["timestamp", "1900-02-29T00:00:00Z", null],
    ["timestamp", "2000-02-29T00:00:00Z", Date.UTC(2000, 1, 29) * 1_000],
    ["timestamp", "2026-13-01T00:00:00Z", null],
    ["timestamp", "2026-00-01T00:00:00Z", null],
    ["timestamp", "2026-01-00T00:00:00Z", null],
    ["timestamp", "2026-01-01T00:00:60Z", null],
    ["timestamp", "0050-01-01T00:00:00Z", null],
    ["timestamp", "2026-11-22T14:00:00.1234567890Z", null],
    ["timestamp", "2026-11-22T24:00:00Z", null],
    ["timestamp", "2026-11-22T14:00:00+24:00", null],
    ["timestamp", "2300-01-01T00:00:00Z", null],
    ["timestamp", "1795356000", null],
  ])("%s %o", (type, text, value) => {
    expect(promotedValue(type, text)).toBe(value);
  });

  it("whatever JSON writes of a number or an instant is read back", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }), (long, double) => {
        expect(promotedValue("long", JSON.stringify(long))).toBe(long + 0);
        expect(promotedValue("double", JSON.stringify(double))).toBe(double + 0);
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: -5e15, max: 9e15 }), (us) => {
        expect(promotedValue("timestamp", isoMicros(us))).toBe(us);
      }),
    );
  });

  it("no text at all makes a value of another kind", () => {
    const kinds = { string: "string", long: "number", double: "number", boolean: "boolean", timestamp: "number" };
    fc.assert(
      fc.property(fc.constantFrom(...(Object.keys(kinds) as PromotedType[])), fc.string(), (type, text) => {
        const value = promotedValue(type, text);
        if (value !== null) expect(typeof value).toBe(kinds[type]);
        if (type === "long" && value !== null) expect(String(value)).toBe(text === "-0" ? "0" : text);
      }),
    );
  });
});

const column = (name: string, type: PromotedType, property: string, at: number): PromotedColumn => ({
  name,
  type,
  property,
  doc: "",
  fieldId: 1_001 + at,
  schemaVersion: 2 + at,
  addedSeq: at,
  addedAt: 0,
});
const promoted = [
  column("plan", "string", "Plan", 0),
  column("seats", "long", "seats", 1),
  column("odd", "long", "__proto__", 2),
];

it("a row gets the columns that its properties have, keeps the properties, and each conflict counts once", () => {
  const promotion = new Promotion(promoted);
  const row = { event_id: "a", properties: { Plan: "pro", seats: "5" } };
  expect(promotion.whole(row)).toEqual({ ...row, plan: "pro", seats: 5 });
  const odd = { event_id: "b", properties: { seats: "many" } };
  expect(promotion.whole(odd)).toBe(odd);
  expect(promotion.whole({ event_id: "c", properties: null })).toEqual({ event_id: "c", properties: null });
  expect(promotion.conflicts).toEqual({ seats: 1 });
});

it("a row that a rule changed follows the property it changed, and nothing else", () => {
  const before = { properties: { Plan: "pro", seats: "5" }, plan: "pro" };
  // Seats is null though the property would convert: the row is older than the column.
  const after = { ...before, properties: { Plan: "team", seats: "5" } };
  expect(promotedAnew(promoted, before, after)).toEqual({ ...after, plan: "team" });
  expect(promotedAnew(promoted, before, { properties: { seats: "5" }, plan: "pro" })).toMatchObject({ plan: null });
});
