import { describe, expect, it } from "vitest";
import { VIOLATIONS } from "../../../../r2-layout/limits.ts";
import { Refused } from "../../../../workers/edge/parameters.ts";
import { mapped, parseMapping } from "../../../../workers/edge/violations/mapping.ts";

const map = (properties: Record<string, unknown>, ...steps: unknown[]) => mapped(properties, parseMapping(steps));

describe("a mapping", () => {
  it.each([
    ["sets what is not there", { a: 1 }, { field: "b", set: "x" }, { a: 1, b: "x" }],
    ["leaves what is there", { b: 0 }, { field: "b", set: "x" }, { b: 0 }],
    ["sets what is null", { b: null }, { field: "b", set: "x" }, { b: "x" }],
    ["gives another name", { productId: 7 }, { field: "product_id", from: "productId" }, { product_id: 7 }],
    ["takes no name that is used", { a: 1, b: 2 }, { field: "b", from: "a" }, { a: 1, b: 2 }],
    ["makes a number of a text", { a: "12.50" }, { field: "a", as: "number" }, { a: 12.5 }],
    ["makes no number of a word", { a: "twelve" }, { field: "a", as: "number" }, { a: "twelve" }],
    ["makes no number of nothing", { a: " " }, { field: "a", as: "number" }, { a: " " }],
    ["makes no whole number of a fraction", { a: "1.5" }, { field: "a", as: "integer" }, { a: "1.5" }],
    ["makes a text of a number", { a: 7 }, { field: "a", as: "string" }, { a: "7" }],
    ["makes a truth of a text", { a: "false" }, { field: "a", as: "boolean" }, { a: false }],
    ["drops", { a: 1, b: 2 }, { field: "a", drop: true }, { b: 2 }],
  ])("%s", (_, before, step, after) => {
    const given = structuredClone(before) as Record<string, unknown>;
    expect(map(given, step)).toEqual(after);
    expect(given).toEqual(before);
  });

  it("makes its steps in order", () => {
    const steps = [
      { field: "price", from: "amount" },
      { field: "price", as: "number" },
    ];
    expect(map({ amount: "3" }, ...steps)).toEqual({ price: 3 });
  });

  it("promise 9: has VIOLATIONS.mappingSteps steps and no more, each of one kind", () => {
    const step = { field: "a", drop: true };
    const most = Array.from({ length: VIOLATIONS.mappingSteps }, () => step);
    expect(parseMapping(most)).toHaveLength(VIOLATIONS.mappingSteps);
    for (const odd of [
      [...most, step],
      "a",
      [{ field: "a" }],
      [{ field: "a", set: 1, drop: true }],
      [{ field: "__proto__", set: 1 }],
      [{ field: "", set: 1 }],
      [{ field: "a", as: "date" }],
      [{ field: "a", drop: false }],
      [{ field: "a", from: 7 }],
      [{ field: "a", delete: true }],
    ])
      expect(() => parseMapping(odd), JSON.stringify(odd).slice(0, 80)).toThrow(Refused);
  });
});
