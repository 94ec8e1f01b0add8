import { expect, it } from "vitest";
import { rollupPlaces, timelinePlaces } from "../../../queues/replay/timeline-places.ts";

const hole = (seq: number, redrivenAs: number | null) => ({ seq, redrivenAs, cause: "line_damaged" });

it("finds an event of the lake where timelines have it, however often the lake left it out (promise 8)", () => {
  const once = timelinePlaces([hole(5, 9)], [], 20);
  expect(once.moved).toEqual([[9, 5]]);
  const twice = timelinePlaces([hole(5, 9), hole(9, 12)], [], 20);
  expect(twice.moved).toEqual([
    [9, 5],
    [12, 5],
  ]);
});

it("reads from the log what the lake left out and, when it came back, left out again (promise 8)", () => {
  expect(timelinePlaces([hole(5, 9), hole(9, null)], [], 20).read).toEqual([5, 9]);
  // It came back once more, but when the rule was being raised.
  expect(timelinePlaces([hole(5, 9), hole(9, 12)], [], 10).read).toEqual([5, 9]);
});

it("finds what only the rollups have as it was before a rule: what neither the lake nor timelines can name (promise 8)", () => {
  const lost = hole(5, null);
  // Whether it came back to the timelines: it came through the rule.
  for (const sessions of [hole(5, null), hole(5, 9)]) {
    expect(rollupPlaces([lost], [sessions], [], 20)).toEqual([5]);
    // The lake had it before the rule, and says so itself.
    expect(rollupPlaces([], [sessions], [], 20)).toEqual([]);
    // It took it when the rule was being raised.
    expect(rollupPlaces([], [sessions], [], 4)).toEqual([5]);
    expect(rollupPlaces([], [sessions], [hole(5, 9), hole(9, 12)], 4)).toEqual([5, 9, 12]);
  }
  expect(rollupPlaces([lost], [], [hole(7, 9)], 4)).toEqual([]);
});
