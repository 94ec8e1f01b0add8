import { expect, it } from "vitest";
import { beginRead } from "../../../queues/replay/reads.ts";
import { redrivesOf } from "../../../queues/replay/repeated-search.ts";

it("promise 2: an audit reads what came back after the days that it looks at, to the last of a chain, and nothing twice", () => {
  const reads = [
    beginRead({ shard: 1, after: 2, to: 5, steps: 0 }),
    beginRead({ shard: 1, after: 8, to: 10, steps: 0 }),
    beginRead({ shard: 0, after: 0, to: 99, steps: 0 }),
  ];
  const holes = [
    // Before what is read, still open, back within what is read, back later, and that a hole once more.
    { seq: 2, redrivenAs: 20 },
    { seq: 3, redrivenAs: null },
    { seq: 4, redrivenAs: 9 },
    { seq: 5, redrivenAs: 12 },
    { seq: 12, redrivenAs: 15 },
    { seq: 10, redrivenAs: 11 },
  ];
  expect(redrivesOf(reads, 1, holes).map(({ after, to }) => [after, to])).toEqual([
    [10, 11],
    [11, 12],
    [14, 15],
  ]);
});
