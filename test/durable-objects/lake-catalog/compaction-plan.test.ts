import fc from "fast-check";
import { expect, it } from "vitest";
import {
  isDue,
  mergedTogether,
  ownNames,
  type PartitionFiles,
} from "../../../durable-objects/lake-catalog/compaction-plan.ts";
import { LAKE, MiB } from "../../../r2-layout/limits.ts";

const count = ({ from, to }: { from: number; to: number }) => to - from;

it("merges what is small, up to LAKE.smallFileBytes, with anything, and a larger file only with half as much beside it", () => {
  expect(count(mergedTogether([1, LAKE.smallFileBytes], false))).toBe(2);
  expect(count(mergedTogether([1, LAKE.smallFileBytes + 1], false))).toBe(0);
  expect(count(mergedTogether([1, LAKE.smallFileBytes + 1], true))).toBe(2);
  expect(count(mergedTogether([5 * MiB, 10 * MiB], false))).toBe(2);
  expect(count(mergedTogether([5 * MiB, 10 * MiB + 1], false))).toBe(0);
});

it("looks past a file that is too small to be worth a larger one", () => {
  expect(mergedTogether([1, 60 * MiB, 60 * MiB, 61 * MiB], false)).toEqual({ from: 1, to: 4 });
});

it("merges LAKE.compactBytes at once, and leaves the file with which there would be more", () => {
  const half = LAKE.compactBytes / 2;
  expect(mergedTogether([half / 2, half / 2, half], false)).toEqual({ from: 0, to: 3 });
  expect(mergedTogether([half / 2, half / 2, half + 1], false)).toEqual({ from: 0, to: 2 });
});

it("rewrites a row so often at most as its file can grow by half", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 10_000, max: 5_000_000 }), { minLength: 21, maxLength: 400 }), (fresh) => {
      // Files as they come; each knows how often the row that was rewritten most in it was.
      let files: { bytes: number; rewrites: number }[] = [];
      for (const bytes of fresh) {
        files.push({ bytes, rewrites: 0 });
        if (files.length <= LAKE.compactAboveFiles) continue;
        files.sort((a, b) => a.bytes - b.bytes);
        const { from, to } = mergedTogether(
          files.map((file) => file.bytes),
          false,
        );
        const inputs = files.slice(from, to);
        expect(inputs.length).toBeGreaterThan(1);
        const merged = {
          bytes: inputs.reduce((sum, file) => sum + file.bytes, 0),
          rewrites: 1 + Math.max(...inputs.map((file) => file.rewrites)),
        };
        files = [...files.slice(0, from), ...files.slice(to), merged];
      }
      const total = fresh.reduce((sum, bytes) => sum + bytes, 0);
      // Up to the size of a small file at most 50 times as large each time, by half as much afterwards.
      const worst = 3 + Math.log(total / 10_000) / Math.log(1.5);
      expect(Math.max(...files.map((file) => file.rewrites))).toBeLessThanOrEqual(worst);
    }),
    { numRuns: 50 },
  );
});

it("gives LAKE.ownNames names of a day files of their own, the largest, and those that have some for good", () => {
  const sizes = new Map(
    Array.from({ length: LAKE.ownNames + 1 }, (_, i) => [`n${String(i).padStart(2, "0")}`, LAKE.largeFileBytes + i]),
  );
  const chosen = ownNames(sizes, new Set());
  expect(chosen).toHaveLength(LAKE.ownNames);
  expect(chosen).not.toContain("n00");
  expect(ownNames(sizes, new Set(["n00", "small"]))).toEqual(expect.arrayContaining(["n00", "small"]));
  expect(ownNames(sizes, new Set(["n00", "small"]))).toHaveLength(LAKE.ownNames);
  expect(
    ownNames(
      new Map([
        ["a", LAKE.largeFileBytes],
        ["b", LAKE.largeFileBytes - 1],
      ]),
      new Set(),
    ),
  ).toEqual(["a"]);
});

it("has work where there are many files, or few that have been quiet, or where somebody asks", () => {
  const partition: PartitionFiles = { table: "events", day: "2026-11-22", name: null, files: 2, bytes: 1, quietMs: 0 };
  const settings = { aboveFiles: 20, isAsked: false };
  expect(isDue(partition, settings)).toBe(false);
  expect(isDue({ ...partition, files: 21 }, settings)).toBe(true);
  expect(isDue({ ...partition, quietMs: LAKE.quietMs }, settings)).toBe(true);
  expect(isDue({ ...partition, files: 1, quietMs: LAKE.quietMs }, settings)).toBe(false);
  expect(isDue({ ...partition, day: null, files: 1, quietMs: LAKE.quietMs }, settings)).toBe(true);
  expect(isDue(partition, { aboveFiles: 1, isAsked: true })).toBe(true);
});
