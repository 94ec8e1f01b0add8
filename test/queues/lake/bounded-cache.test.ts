import { expect, it } from "vitest";
import { BoundedCache } from "../../../queues/lake/bounded-cache.ts";
import { LAKE } from "../../../r2-layout/limits.ts";

const bytes = (byteLength: number) => ({ byteLength });

it("promise 9: keeps LAKE.placeCacheBytes, and of one byte more lets the oldest go", () => {
  const cache = new BoundedCache(LAKE.placeCacheBytes);
  const [half, other, one] = [bytes(LAKE.placeCacheBytes / 2), bytes(LAKE.placeCacheBytes / 2), bytes(1)];
  expect(cache.keep("a", half)).toBe(half);
  cache.keep("b", other);
  expect([cache.get("a"), cache.get("b")]).toEqual([half, other]);
  cache.keep("c", one);
  expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual([undefined, other, one]);
});

it("keeps a name once, and nothing that is too large by itself", () => {
  const cache = new BoundedCache(10);
  for (let i = 0; i < 5; i++) cache.keep("a", bytes(6));
  cache.keep("b", bytes(4));
  expect([cache.get("a"), cache.get("b")]).toEqual([bytes(6), bytes(4)]);
  cache.keep("c", bytes(11));
  expect(cache.get("c")).toBeUndefined();
});
