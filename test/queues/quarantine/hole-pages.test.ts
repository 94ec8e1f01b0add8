import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HolesRequest, RecordedHole } from "../../../durable-objects/sink-cursor/api.ts";
import { holePages } from "../../../queues/quarantine/hole-pages.ts";
import { QUARANTINE } from "../../../r2-layout/limits.ts";

/** A cursor as it is: QUARANTINE.holesPerAnswer in an answer at most. */
function keeperOf(times: readonly number[]) {
  const holes = times.map((at, i) => ({ at, seq: i + 1 }) as RecordedHole).sort((a, b) => b.at - a.at || b.seq - a.seq);
  const asked: number[] = [];
  const keeper = {
    async holes(_shard: number, { before, limit = Number.POSITIVE_INFINITY }: HolesRequest = {}) {
      asked.push(limit);
      return holes
        .filter(({ at, seq }) => !before || at < before.at || (at === before.at && seq < before.seq))
        .slice(0, Math.min(limit, QUARANTINE.holesPerAnswer));
    },
  };
  return { keeper, holes, asked };
}

describe("a cursor's holes, page by page", () => {
  it("are all given once and in order, however many share a millisecond and wherever pages end", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(6), { maxLength: 40 }),
        fc.integer({ min: 1, max: 9 }),
        async (times, pageSize) => {
          const { keeper, holes } = keeperOf(times);
          const pages = await Array.fromAsync(holePages(keeper, 0, { pageSize }));
          expect(pages.flat()).toEqual(holes);
        },
      ),
    );
  });

  it.each([0, 1])("promise 9: go on after QUARANTINE.holesPerAnswer, the most of one answer: + %d", async (more) => {
    const { keeper, holes, asked } = keeperOf(Array(QUARANTINE.holesPerAnswer + more).fill(7));
    expect((await Array.fromAsync(holePages(keeper, 0))).flat()).toEqual(holes);
    expect(asked).toEqual(Array(2).fill(QUARANTINE.holesPerAnswer));
  });
});
