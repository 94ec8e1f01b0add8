import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { KiB } from "../../r2-layout/limits.ts";
import { PAGE_COMPRESSORS } from "../../r2-layout/zstd-page.ts";
import { Random } from "../../scripts/demo/random.ts";

const unpack = PAGE_COMPRESSORS.ZSTD;

/** As a column of times has them: in order, each step a little different. */
function pageOfTimes(seed: number, bytes: number): Uint8Array {
  const random = new Random(seed);
  let time = 1_790_000_000_000_000n;
  const times = BigInt64Array.from({ length: bytes / 8 }, () => {
    time += BigInt(1_000_000 + random.int(0, 999));
    return time;
  });
  return new Uint8Array(times.buffer);
}

describe("a page packed by zstd", () => {
  const pages = Array.from({ length: 60 }, (_, seed) => pageOfTimes(seed, [5, 7, 10][seed % 3]! * 16 * KiB)).flatMap(
    (page) => {
      try {
        return [{ page, packed: zstdCompressSync(page) }];
      } catch {
        // The runtime's encoder has the same fault; files are written by another.
        return [];
      }
    },
  );

  it("comes out whole where its length is a multiple of the runtime's buffer", () => {
    for (const { page, packed } of pages) expect(unpack(packed, page.length)).toEqual(page);
  });

  it("needs to be flushed rather than ended, still", () => {
    const refused = pages.filter(({ packed }) => {
      try {
        zstdDecompressSync(packed);
        return false;
      } catch {
        return true;
      }
    });
    expect(refused.length).toBeGreaterThan(0);
  });

  it("is refused where it is cut, empty or damaged", () => {
    const { page, packed } = pages[0]!;
    for (const length of [0, 1, 9, packed.length >> 1, packed.length - 1]) {
      expect(() => unpack(packed.subarray(0, length), page.length), String(length)).toThrow();
    }
    expect(() => unpack(packed, page.length - 1)).toThrow("unpacks to");
    expect(() => unpack(new Uint8Array(100).fill(7), page.length)).toThrow();
  });
});
