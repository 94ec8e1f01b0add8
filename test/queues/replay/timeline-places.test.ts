import { expect, it } from "vitest";
import { timelinePlaces } from "../../../queues/replay/timeline-places.ts";

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
