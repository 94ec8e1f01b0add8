import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ReplaySpec } from "../../../durable-objects/replay-desk/api.ts";
import { logRanges } from "../../../queues/replay/log-ranges.ts";
import { seqAt } from "../../../queues/replay/seq-at.ts";

const spec = (rest: Partial<ReplaySpec>): ReplaySpec =>
  ({ kind: "fill", sinks: ["lake"], from: null, to: null, range: null, rate: 1, ...rest }) as ReplaySpec;

/** A log whose segment n was received at n seconds. */
const logOf = (oldest: number, head: number) => ({
  getByName: () => ({
    between: async (fromMs: number, toMs: number) => {
      const first = Math.max(oldest, Math.ceil(fromMs / 1_000));
      const last = Math.min(head, Math.ceil(toMs / 1_000) - 1);
      return { oldest, head, range: first <= last ? { from: first, to: last } : null };
    },
    republishedAfter: async () => [],
  }),
});

describe("what a replay's times mean in the log", () => {
  it.each([
    ["all of it", {}, 1, [{ shard: 0, after: 0, to: 9 }]],
    ["a part", { from: 3_000, to: 6_000 }, 1, [{ shard: 0, after: 2, to: 5 }]],
    ["seqs", { range: { shard: 0, from: 2, to: 4 } }, 1, [{ shard: 0, after: 1, to: 4 }]],
    ["a time after the head", { from: 99_000 }, 1, []],
    [
      "all, the oldest of it in the lake alone",
      {},
      5,
      [
        { shard: 0, after: 0, to: 4 },
        { shard: 0, after: 4, to: 9 },
      ],
    ],
    [
      "a time that the log no longer reaches",
      { from: 1_000, to: 7_000 },
      5,
      [
        { shard: 0, after: 0, to: 4, window: { from: 1_000, to: 7_000 } },
        { shard: 0, after: 4, to: 6 },
      ],
    ],
    ["a time that it does reach", { from: 6_000 }, 5, [{ shard: 0, after: 5, to: 9 }]],
  ] as const)("%s", async (_name, given, oldest, wanted) => {
    expect(await logRanges(logOf(oldest, 9), 1, spec(given))).toEqual(wanted);
  });

  it("is refused beyond the head", async () => {
    const beyond = spec({ range: { shard: 0, from: 2, to: 10 } });
    await expect(logRanges(logOf(1, 9), 1, beyond)).rejects.toThrow("ends at 9");
  });
});

it("finds the first segment that was committed at a time, or after it, also where old ones are forgotten", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(5), { minLength: 1, maxLength: 40 }),
      fc.nat(120),
      fc.nat(10),
      async (gaps, at, forgotten) => {
        fc.pre(forgotten < gaps.length);
        let time = 0;
        const segments = gaps
          .map((gap, i) => {
            time += gap;
            return { seq: i + 1, committedAt: time };
          })
          .filter(({ seq }) => seq > forgotten);
        const head = gaps.length;
        const log = {
          segments: async (after: number) => ({
            head,
            asOf: 0,
            segments: segments.filter(({ seq }) => seq > after).slice(0, 1) as never[],
          }),
        };
        const wanted = segments.find(({ committedAt }) => committedAt >= at)?.seq ?? head + 1;
        const found = await seqAt(log, at);
        // What is forgotten may be taken for the first that is known: nothing of it can be read.
        expect(found === wanted || (found <= forgotten && wanted === forgotten + 1)).toBe(true);
      },
    ),
  );
});
