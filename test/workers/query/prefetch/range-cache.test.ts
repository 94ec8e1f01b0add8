import fc from "fast-check";
import { expect, it } from "vitest";
import { RangeCache } from "../../../../workers/query/prefetch/range-cache.ts";

const FILE = Uint8Array.from({ length: 64 }, (_, i) => i);
const rangeArbitrary = fc
  .tuple(fc.integer({ min: 0, max: 63 }), fc.integer({ min: 1, max: 64 }))
  .map(([at, length]) => ({ at, length: Math.min(length, 64 - at) }));

it("gives back what was put in, holds no byte twice, and says what is missing, in any order", () => {
  fc.assert(
    fc.property(fc.array(rangeArbitrary, { maxLength: 12 }), rangeArbitrary, (added, asked) => {
      const cache = new RangeCache();
      const held = new Set<number>();
      for (const { at, length } of added) {
        cache.add("f", at, FILE.slice(at, at + length));
        for (let i = at; i < at + length; i++) held.add(i);
        expect(cache.bytes).toBe(held.size);
      }
      const wanted = Array.from({ length: asked.length }, (_, i) => asked.at + i);
      const missing = cache
        .missing("f", asked.at, asked.length)
        .flatMap(({ at, length }) => Array.from({ length }, (_, i) => at + i));
      expect(missing).toEqual(wanted.filter((place) => !held.has(place)));
      const found = cache.find("f", asked.at, asked.length);
      expect(found && [...found]).toEqual(missing.length === 0 ? wanted : null);
      expect(cache.find("g", asked.at, asked.length)).toBeNull();
    }),
  );
});

it("drops what was read longest ago first, down to what it is told", () => {
  const cache = new RangeCache();
  for (const at of [0, 10, 20]) cache.add("f", at, FILE.slice(at, at + 10));
  cache.find("f", 0, 1);
  cache.shrinkTo(20);
  expect([0, 10, 20].map((at) => cache.find("f", at, 10) !== null)).toEqual([true, false, true]);
  cache.shrinkTo(0);
  expect(cache.bytes).toBe(0);
});
