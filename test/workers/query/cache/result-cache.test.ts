import { expect, it } from "vitest";
import { SQL } from "../../../../r2-layout/limits.ts";
import { ResultCache } from "../../../../workers/query/cache/result-cache.ts";
import type { StatementStats } from "../../../../workers/query/engine/statement.ts";
import type { WholeResult } from "../../../../workers/query/results/whole-result.ts";

const result = (bytes: number): WholeResult => ({ format: "json", pieces: [], bytes, stats: {} as StatementStats });
const has = (cache: ResultCache, key: string, now = 0) => cache.find(key, 0, now) !== null;

it("promise 9: keeps a result of SQL.cachedResultBytes bytes and none that is larger", () => {
  const cache = new ResultCache();
  cache.add("fits", undefined, result(SQL.cachedResultBytes), 0, 0);
  cache.add("larger", undefined, result(SQL.cachedResultBytes + 1), 0, 0);
  expect([has(cache, "fits"), has(cache, "larger")]).toEqual([true, false]);
});

it("promise 9: keeps SQL.cacheBytes bytes and no more; what was asked for longest ago goes", () => {
  const cache = new ResultCache();
  const fitting = SQL.cacheBytes / SQL.cachedResultBytes;
  for (let i = 0; i < fitting; i++) cache.add(`r${i}`, undefined, result(SQL.cachedResultBytes), 0, 0);
  expect(cache.bytes).toBe(SQL.cacheBytes);
  expect(has(cache, "r0")).toBe(true);
  cache.add("small", undefined, result(1), 0, 0);
  expect([has(cache, "r0"), has(cache, "r1"), has(cache, "small")]).toEqual([true, false, true]);
  expect(cache.bytes).toBe(SQL.cacheBytes - SQL.cachedResultBytes + 1);
});

it("promise 9: keeps SQL.cachedResults results and no more", () => {
  const cache = new ResultCache();
  for (let i = 0; i < SQL.cachedResults; i++) cache.add(`r${i}`, `q${i}`, result(1), 0, 0);
  expect(cache.bytes).toBe(SQL.cachedResults);
  cache.add("more", "more", result(1), 0, 0);
  expect(cache.bytes).toBe(SQL.cachedResults);
  expect([has(cache, "r0"), has(cache, "r1"), has(cache, "more")]).toEqual([false, true, true]);
  expect([cache.findRecent("q0", 0, 0), cache.findRecent("q1", 0, 0)]).toEqual([null, expect.anything()]);
});

it("promise 7: keeps a result for SQL.cachedMs and no longer, however often it is asked for", () => {
  const cache = new ResultCache();
  cache.add("r", "q", result(1), 0, 0);
  expect(has(cache, "r", SQL.cachedMs)).toBe(true);
  expect(has(cache, "r", SQL.cachedMs + 1)).toBe(false);
  expect(cache.bytes).toBe(0);
});

it("remembers a question's last answer by when its files were last known to be the ones", () => {
  const cache = new ResultCache();
  cache.add("r", "q", result(1), 1_000, 1_500);
  expect(cache.findRecent("q", 1_000, 2_000)?.result.bytes).toBe(1);
  expect(cache.findRecent("q", 1_001, 2_000)).toBeNull();
  // Another plan has come to the same files.
  cache.find("r", 3_000, 3_000);
  expect(cache.findRecent("q", 3_000, 3_000)).not.toBeNull();
  cache.add("newer", "q", result(2), 4_000, 4_000);
  expect(cache.findRecent("q", 0, 4_000)?.result.bytes).toBe(2);
});

it("holds what the same key has last, once", () => {
  const cache = new ResultCache();
  cache.add("r", undefined, result(5), 0, 0);
  cache.add("r", undefined, result(7), 0, 0);
  expect(cache.bytes).toBe(7);
});
