import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isMasked, parseMaskedColumns, sightOf, withSight } from "../../workers/sight.ts";

describe("what a reader sees", () => {
  it("comes through a header as it went in, whatever a source is called", () => {
    const names = fc.array(fc.string({ unit: "grapheme", minLength: 1 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.option(names), fc.array(fc.string()), (sources, masked) => {
        const sight = { sources, masked, pseudonymKey: "k" };
        expect(sightOf(withSight(new Headers(), sight))).toEqual(sight);
      }),
    );
    expect(sightOf(withSight(new Headers(), null))).toBeNull();
  });

  it("is nothing at all where the header is not one of ours", () => {
    for (const text of ["{", "web", "%"]) expect(() => sightOf(new Headers({ "x-eventpile-sight": text }))).toThrow();
  });
});

describe("masked columns", () => {
  it("are listed by name", () => {
    expect(parseMaskedColumns(undefined)).toEqual([]);
    expect(parseMaskedColumns('["city", "user_id", "sku"]')).toEqual(["city", "user_id", "sku"]);
  });

  it.each(['{"city": 1}', "[1]", '["City; drop"]', '["event_time"]', '["source"]', "["])("are not %s", (config) => {
    expect(() => parseMaskedColumns(config)).toThrow();
  });

  it("take with them what was promoted out of properties, and what is verbatim in the quarantine", () => {
    const properties = { masked: ["properties"] };
    expect(isMasked(properties, "events", "sku")).toBe(true);
    expect(isMasked(properties, "events", "city")).toBe(false);
    const city = { masked: ["city"] };
    expect(["raw", "actual", "expected"].map((name) => isMasked(city, "quarantine", name))).toEqual([true, true, true]);
    expect(["cause", "user_id", "source"].map((name) => isMasked(city, "quarantine", name))).toEqual([
      false,
      false,
      false,
    ]);
    expect(isMasked({ masked: [] }, "quarantine", "raw")).toBe(false);
  });
});
