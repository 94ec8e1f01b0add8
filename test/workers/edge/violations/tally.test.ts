import { expect, it } from "vitest";
import { VIOLATIONS } from "../../../../r2-layout/limits.ts";
import { FailureTally } from "../../../../workers/edge/violations/tally.ts";

it("promise 9: tells VIOLATIONS.groupsTold groups apart, the most frequent first, and counts the rest", () => {
  const tally = new FailureTally();
  const add = (source: string) =>
    tally.add({ source }, { cause: "contract_violated", field: "a", expected: "required" });
  for (let i = 0; i < VIOLATIONS.groupsTold; i++) add(`source-${i}`);
  expect(tally.untold).toBe(0);
  add("one-more");
  add("source-7");
  expect([tally.groups.length, tally.untold, tally.events]).toEqual([
    VIOLATIONS.groupsTold,
    1,
    VIOLATIONS.groupsTold + 2,
  ]);
  expect(tally.groups[0]).toEqual({
    source: "source-7",
    app_version: null,
    field: "a",
    expected: "required",
    events: 2,
  });
});
