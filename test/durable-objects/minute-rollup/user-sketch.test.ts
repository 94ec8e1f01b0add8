import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { murmur3 } from "../../../durable-objects/minute-rollup/murmur3.ts";
import {
  addUser,
  decodeSketch,
  emptySketch,
  encodeSketch,
  estimateUsers,
  isEstimate,
  mergeSketch,
  SPARSE_MAX,
  type UserSketch,
} from "../../../durable-objects/minute-rollup/user-sketch.ts";

function sketchOf(users: Iterable<string>): UserSketch {
  const sketch = emptySketch();
  for (const user of users) addUser(sketch, user);
  return sketch;
}

function* numbered(from: number, to: number): Generator<string> {
  for (let i = from; i < to; i++) yield `user-${i}`;
}

describe("murmur3", () => {
  it("is MurmurHash3_x86_128: SMHasher's verification value over keys of 0 to 255 bytes", () => {
    const key = Uint8Array.from({ length: 256 }, (_, i) => i);
    const hashes = new Uint8Array(256 * 16);
    const out = new Uint32Array(4);
    for (let length = 0; length < 256; length++) {
      murmur3(key, length, 256 - length, out);
      hashes.set(new Uint8Array(out.buffer), length * 16);
    }
    murmur3(hashes, hashes.length, 0, out);
    expect(out[0]).toBe(0xb3ece62a);
  });
});

describe("user sketch", () => {
  it("counts the same users in any order, cut and repetition to the same bytes", () => {
    const users = fc.array(fc.nat(3_000), { maxLength: 4_000, size: "max" });
    fc.assert(
      fc.property(users, fc.nat(), fc.nat(), (ids, one, other) => {
        const whole = sketchOf(ids.map(String));
        const [from, to] = [one % (ids.length + 1), other % (ids.length + 1)];
        const merged = sketchOf(ids.slice(from).reverse().map(String));
        mergeSketch(merged, decodeSketch(encodeSketch(sketchOf(ids.slice(0, Math.max(from, to)).map(String)))));
        expect(encodeSketch(merged)).toEqual(encodeSketch(whole));
      }),
      { numRuns: 60 },
    );
  });

  it("turns dense at the same size however it came together, and reads back what it writes", () => {
    for (const size of [0, 1, SPARSE_MAX - 1, SPARSE_MAX, SPARSE_MAX + 1, 20_000]) {
      const sketch = sketchOf(numbered(0, size));
      expect(isEstimate(sketch)).toBe(size > SPARSE_MAX);
      const bytes = encodeSketch(sketch);
      expect(bytes.length).toBeLessThanOrEqual(1 + 4_096);
      expect(encodeSketch(decodeSketch(bytes))).toEqual(bytes);
      const halves = sketchOf(numbered(0, size >> 1));
      mergeSketch(halves, sketchOf(numbered(size >> 1, size)));
      expect(encodeSketch(halves)).toEqual(bytes);
    }
  });

  it("counts up to a thousand users exactly, but for a collision in 67 million cells", () => {
    for (const size of [1, 10, 100, 500, 1_000]) {
      expect(Math.abs(estimateUsers(sketchOf(numbered(0, size))) - size)).toBeLessThanOrEqual(1);
    }
  });

  it.each([2_000, 10_000, 100_000, 300_000])("is within 5 % of %d users, its standard error being 1.6 %", (size) => {
    const estimate = estimateUsers(sketchOf(numbered(0, size)));
    expect(Math.abs(estimate / size - 1)).toBeLessThan(0.05);
  });

  it("errs by 1.6 % on average and leans to neither side, over sets of 5,000 users", () => {
    const errors = Array.from({ length: 60 }, (_, run) => {
      const sketch = sketchOf([...numbered(0, 5_000)].map((user) => `${run}:${user}`));
      return estimateUsers(sketch) / 5_000 - 1;
    });
    const rms = Math.sqrt(errors.reduce((sum, error) => sum + error ** 2, 0) / errors.length);
    const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
    expect(rms).toBeGreaterThan(0.01);
    expect(rms).toBeLessThan(0.022);
    expect(Math.abs(mean)).toBeLessThan(0.008);
  });

  it("refuses bytes that are no sketch", () => {
    for (const bytes of [[], [0], [1, 2], [2, 0, 0], [3, 0, 0, 0, 0]]) {
      expect(() => decodeSketch(Uint8Array.from(bytes))).toThrow(RangeError);
    }
  });

  it("hashes identifiers longer than its scratch buffer", () => {
    const long = "é".repeat(5_000);
    expect(estimateUsers(sketchOf([long, long, `${long}x`]))).toBe(2);
  });
});
