import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LOG } from "../../r2-layout/limits.ts";
import { childrenOf, countOf, newerOf, parentOf, parseShards } from "../../r2-layout/shards.ts";

const histories = fc
  .tuple(fc.integer({ min: 1, max: 5 }), fc.array(fc.integer({ min: 2, max: 3 }), { maxLength: 3 }))
  .map(([first, factors]) => {
    const counts = [first];
    for (const factor of factors) counts.push(counts.at(-1)! * factor);
    return counts;
  });

describe("the numbers of shards", () => {
  it("are read from text, and nothing else is", () => {
    expect(parseShards("1")).toEqual([1]);
    expect(parseShards("2, 4,8")).toEqual([2, 4, 8]);
    expect(parseShards(`1,${LOG.shards}`)).toEqual([1, LOG.shards]);
    for (const text of ["", "0", "1,", "a", "1.5", "-1", "2,1", "2,3", "4,4", "1e1", `${LOG.shards + 1}`]) {
      expect(() => parseShards(text), text).toThrow(RangeError);
    }
  });

  it("give each shard the parent in which its events were before, and each parent its children", () => {
    fc.assert(
      fc.property(histories, fc.nat(1_000_000), (shards, hash) => {
        for (let epoch = 1; epoch < shards.length; epoch++) {
          const [before, after] = [hash % shards[epoch - 1]!, hash % shards[epoch]!];
          const known = shards.slice(0, epoch + 1);
          expect(after === before || parentOf(after, known) === before).toBe(true);
          if (after !== before) expect(childrenOf(before, known)).toContain(after);
        }
        const roots = Array.from({ length: countOf(shards) }, (_, shard) => shard).filter(
          (shard) => parentOf(shard, shards) === null,
        );
        expect(roots.length).toBe(shards[0]);
      }),
    );
  });

  it("are compared only with numbers that begin as they do", () => {
    expect(newerOf([1, 2], [1])).toEqual([1, 2]);
    expect(newerOf([2], [2, 4, 8])).toEqual([2, 4, 8]);
    expect(() => newerOf([1, 2], [2, 4])).toThrow("are not those of");
  });
});
