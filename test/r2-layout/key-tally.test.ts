import fc from "fast-check";
import { expect, it } from "vitest";
import { addTallies, EMPTY_TALLY, type KeyTally, tallyDifferences, tallyOf } from "../../r2-layout/key-tally.ts";
import { LAKE } from "../../r2-layout/limits.ts";
import { eventRow, eventRowArbitrary } from "./event-rows.ts";

it("is the same for the same rows, in whatever order and whatever parts", () => {
  fc.assert(
    fc.property(fc.array(eventRowArbitrary, { maxLength: 20 }), fc.nat(20), fc.gen(), (rows, at, gen) => {
      const whole = tallyOf(rows, rows.slice(0, 2));
      const shuffled = gen(fc.shuffledSubarray, rows, { minLength: rows.length, maxLength: rows.length });
      const parts = [tallyOf(shuffled.slice(0, at), []), tallyOf(shuffled.slice(at), rows.slice(0, 2)), EMPTY_TALLY];
      expect(addTallies(parts)).toEqual(whole);
      expect(tallyDifferences(whole, addTallies(parts), 1)).toEqual([]);
    }),
  );
});

it.each([
  ["event_id", { event_id: "other" }],
  ["event_name", { event_name: "other" }],
  ["user_id", { user_id: null }],
  ["anonymous_id", { anonymous_id: "device-x" }],
  ["event_time", { event_time: 1 }],
  ["a letter that moved to the next column", { user_id: "user-1d", anonymous_id: "evice-4" }],
])("differs where a row differs in %s", (_, part) => {
  const rows = [eventRow(1), eventRow(4, { user_id: "user-1", anonymous_id: "device-4" })];
  const differences = tallyDifferences(tallyOf(rows, []), tallyOf([rows[0]!, { ...rows[1]!, ...part }], []), 5);
  expect(differences[0]).toBe("events: 2 rows, not the same ones");
});

it("does not take a row twice and another not at all for the same", () => {
  const [a, b] = [eventRow(1), eventRow(2)];
  expect(tallyDifferences(tallyOf([a, a, b, b], []), tallyOf([a, a, a, b], []), 5)).not.toEqual([]);
  expect(tallyDifferences(tallyOf([], [a]), tallyOf([], [b]), 5)).toEqual(["quarantine: 1 rows, not the same ones"]);
});

it("promise 9: tells as many names and differences apart as its bounds allow, and sums the others", () => {
  const named = (count: number): KeyTally =>
    tallyOf(
      Array.from({ length: count }, (_, i) => eventRow(i, { event_name: `name-${i}` })),
      [],
    );
  expect(Object.keys(named(LAKE.tallyNames).names)).toHaveLength(LAKE.tallyNames);
  const { names } = named(LAKE.tallyNames + 2);
  expect(Object.keys(names)).toHaveLength(LAKE.tallyNames + 1);
  expect(names["(other)"]!.rows).toBe(2);
  expect(tallyDifferences(EMPTY_TALLY, named(LAKE.differences - 1), LAKE.differences)).toHaveLength(LAKE.differences);
  expect(tallyDifferences(EMPTY_TALLY, named(LAKE.differences), LAKE.differences)).toHaveLength(LAKE.differences);
  const odd = tallyOf([eventRow(1, { event_name: "__proto__" })], []);
  expect(tallyDifferences(EMPTY_TALLY, odd, 5)).toContain('event "__proto__": 0 rows before, 1 after');
});
