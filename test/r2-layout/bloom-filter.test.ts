import fc from "fast-check";
import { expect, it } from "vitest";
// @ts-expect-error It is not exported and has no types in reach; its one caller in hyparquet reads others' filters with it.
import { xxhash64 } from "../../node_modules/hyparquet/src/xxhash.js";
import { BloomValues, mayHoldText } from "../../r2-layout/bloom-filter.ts";
import { LAKE } from "../../r2-layout/limits.ts";
import { xxhash64 as ours } from "../../r2-layout/xxhash64.ts";

const reference: (bytes: Uint8Array) => bigint = xxhash64;

const encoder = new TextEncoder();

function hashOf(bytes: Uint8Array, from = 0, to = bytes.length): string {
  const out = new Uint32Array(2);
  ours(bytes, from, to, out, 0);
  return [...out].map((half) => half.toString(16).padStart(8, "0")).join("");
}

it.each([
  // The vectors that xxHash's own tests and its ports use.
  ["", "ef46db3751d8e999"],
  ["a", "d24ec4f1a98c6e5b"],
  ["abc", "44bc2cf5ad770999"],
  ["Nobody inspects the spammish repetition", "fbcea83c8a378bf1"],
])("hashes %j as xxHash does", (text, hash) => {
  expect(hashOf(encoder.encode(text))).toBe(hash);
});

it("hashes any bytes as another implementation does, wherever they lie", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(9), (bytes, before) => {
      const hash = reference(bytes).toString(16).padStart(16, "0");
      const within = new Uint8Array([...new Uint8Array(before), ...bytes, 7, 7]);
      expect(hashOf(within, before, before + bytes.length)).toBe(hash);
    }),
    { numRuns: 300 },
  );
});

function filterOf(texts: readonly string[]): Uint8Array {
  const values = new BloomValues();
  for (const bytes of texts.map((text) => encoder.encode(text))) values.add(bytes, 0, bytes.length);
  return values.encode()!;
}

it("never says no of a text that it holds, and seldom perhaps of another", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 300 }), (texts) => {
      const filter = filterOf(texts);
      expect(texts.filter((text) => !mayHoldText(filter, text))).toEqual([]);
    }),
    { numRuns: 30 },
  );
  const filter = filterOf(Array.from({ length: 30_000 }, (_, i) => `user-${i}`));
  let inVain = 0;
  for (let i = 30_000; i < 33_000; i++) if (mayHoldText(filter, `user-${i}`)) inVain++;
  expect(inVain).toBeLessThan(60);
});

it("promise 9: has LAKE.bloomFilterBytes for as many values as need them, and no more for more", () => {
  const bytes = (count: number) => filterOf(Array.from({ length: count }, (_, i) => `user-${i}`)).length;
  const header = 20;
  for (const count of [99_000, 130_000]) {
    expect(bytes(count)).toBeGreaterThan(LAKE.bloomFilterBytes);
    expect(bytes(count)).toBeLessThanOrEqual(LAKE.bloomFilterBytes + header);
  }
  expect(bytes(20_000)).toBeLessThan(LAKE.bloomFilterBytes / 2);
});

it("is nothing where there is no value, and refuses what is no filter", () => {
  expect(new BloomValues().encode()).toBeNull();
  const filter = filterOf(["a"]);
  expect(() => mayHoldText(filter.subarray(0, filter.length - 1), "a")).toThrow(RangeError);
  const otherHash = filter.slice();
  otherHash[otherHash.indexOf(0x1c, 3)] = 0x2c;
  expect(() => mayHoldText(otherHash, "a")).toThrow(RangeError);
});
