import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { holdsMoreValues } from "../../../workers/edge/json-bounds.ts";

const encoder = new TextEncoder();
const padded = (json: string) => encoder.encode(`${" ".repeat(256 * 1_024)}${json}`);

/** Objects, lists and what follows a comma, counted the slow way. */
function count(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const items = Object.values(value);
  return 1 + Math.max(0, items.length - 1) + items.reduce((sum: number, item) => sum + count(item), 0);
}

describe("the count of values", () => {
  it("is right for any JSON, whatever stands in its texts", () => {
    const text = fc.string({ unit: fc.constantFrom('"', "\\", "{", "[", ",", "a", "é") });
    const json = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, text, fc.integer(), fc.array(tie("value")), fc.dictionary(text, tie("value"))),
    })).value;
    fc.assert(
      fc.property(json, (value) => {
        const values = count(value);
        const bytes = padded(JSON.stringify(value));
        expect(holdsMoreValues(bytes, values)).toBe(false);
        if (values > 0) expect(holdsMoreValues(bytes, values - 1)).toBe(true);
      }),
    );
  });

  it("does not look at a body too small to do harm", () => {
    expect(holdsMoreValues(encoder.encode("[[[[[["), 1)).toBe(false);
  });

  it("ends with a text that does not", () => {
    expect(holdsMoreValues(padded('["\\'), 1)).toBe(false);
  });
});
