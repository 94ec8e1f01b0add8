import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutUtf8, isLongerThan } from "../../r2-layout/utf8.ts";

const text = fc.string({ unit: fc.constantFrom("a", "é", "€", "😀", "\ud800"), maxLength: 60 });

describe("cutUtf8", () => {
  it("gives the longest beginning that fits, well formed", () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 100 }), (given, maxBytes) => {
        const whole = given.toWellFormed();
        const cut = cutUtf8(given, maxBytes);
        expect(whole.startsWith(cut) && cut.isWellFormed()).toBe(true);
        expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(maxBytes);
        const next = [...whole.slice(cut.length)][0];
        if (next !== undefined) expect(Buffer.byteLength(cut + next)).toBeGreaterThan(maxBytes);
      }),
    );
  });

  it("cuts texts longer than any it has cut before", () => {
    expect(cutUtf8("€".repeat(20_000), 30_001)).toBe("€".repeat(10_000));
  });
});

it("isLongerThan counts as UTF-8 does", () => {
  fc.assert(
    fc.property(text, fc.integer({ min: 0, max: 100 }), (given, maxBytes) => {
      expect(isLongerThan(given, maxBytes)).toBe(Buffer.byteLength(given) > maxBytes);
    }),
  );
});
