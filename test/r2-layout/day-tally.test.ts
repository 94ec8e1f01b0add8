import fc from "fast-check";
import { expect, it } from "vitest";
import type { AnyRow } from "../../r2-layout/arrow-rows.ts";
import {
  DayTallying,
  differingValues,
  EMPTY_DAY,
  OTHER_VALUES,
  sameDaySum,
  TALLIED,
} from "../../r2-layout/day-tally.ts";
import { CUT } from "../../r2-layout/limits.ts";

const row = fc.record({
  event_id: fc.nat(5).map(String),
  event_name: fc.constantFrom("page", "order", "__proto__", "constructor"),
  country: fc.constantFrom("AT", "DE", null),
  source: fc.constantFrom("shop", "app"),
  event_time: fc.nat(3),
  city: fc.constantFrom("Linz", null),
  properties: fc.constantFrom({ a: "1" }, null),
});
const rows = fc.array(row, { maxLength: 20 });

function tallied(from: DayTallying, some: readonly AnyRow[], sign: 1 | -1 = 1, contents = false): DayTallying {
  for (const each of some) from.event(each, sign, contents);
  return from;
}

const differences = (a: readonly AnyRow[], b: readonly AnyRow[]) => {
  const [before, after] = [tallied(new DayTallying(), a).tally(), tallied(new DayTallying(), b).tally()];
  return TALLIED.map((column) => differingValues(before, after, column));
};

it("counts the same in any order and in any parts, resumed or not", () => {
  fc.assert(
    fc.property(rows, fc.nat(20), (some, cut) => {
      const whole = tallied(new DayTallying(), some).tally();
      const first = tallied(new DayTallying(), some.slice(cut).reverse()).tally();
      // As it is kept between two steps.
      const kept = JSON.parse(JSON.stringify(first));
      const parts = tallied(new DayTallying(kept), some.slice(0, cut)).tally();
      expect(sameDaySum(whole.events, parts.events)).toBe(true);
      for (const column of TALLIED) expect(differingValues(whole, parts, column)).toEqual([]);
    }),
  );
});

it("a version before, with what came and without what went, is the next version counted anew", () => {
  fc.assert(
    fc.property(rows, rows, rows, (stays, goes, comes) => {
      const before = tallied(new DayTallying(), [...stays, ...goes]).tally();
      const next = tallied(tallied(new DayTallying(before), comes, 1, true), goes, -1, true).tally();
      const anew = tallied(new DayTallying(), [...comes, ...stays]).tally();
      expect(sameDaySum(next.events, anew.events)).toBe(true);
      for (const column of TALLIED) expect(differingValues(anew, next, column)).toEqual([]);
      const same = JSON.stringify([...comes].map((r) => JSON.stringify(r)).sort());
      const went = JSON.stringify([...goes].map((r) => JSON.stringify(r)).sort());
      if (same === went) expect(sameDaySum(next.contents, EMPTY_DAY.contents)).toBe(true);
    }),
  );
});

it("tells any two days apart that differ in an event, its name, country or source", () => {
  fc.assert(
    fc.property(rows, row, (some, more) => {
      expect(differences(some, [...some, more]).every(({ length }) => length === 1)).toBe(true);
    }),
  );
});

it("sees a change of any other column in the contents alone", () => {
  fc.assert(
    fc.property(row, (before) => {
      const after = { ...before, city: before.city === null ? "Graz" : null };
      const tally = tallied(tallied(new DayTallying(), [after], 1, true), [before], -1, true).tally();
      expect(sameDaySum(tally.events, EMPTY_DAY.events)).toBe(true);
      expect(sameDaySum(tally.contents, EMPTY_DAY.contents)).toBe(false);
      // The place in the log is another after a redrive.
      const moved = tallied(new DayTallying(), [{ ...before, log_seq: 7 }], 1, true);
      expect(sameDaySum(tallied(moved, [before], -1, true).tally().contents, EMPTY_DAY.contents)).toBe(true);
    }),
  );
});

it("promise 9: tells CUT.values values of a column apart, and counts one more under another name, to and fro", () => {
  const named = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ event_id: "e", event_name: `name ${i}` }));
  const full = tallied(new DayTallying(), named(CUT.values)).tally();
  expect(full.event_name).toHaveLength(CUT.values);
  expect(full.event_name.some(({ value }) => value === OTHER_VALUES)).toBe(false);
  const over = tallied(new DayTallying(full), named(CUT.values + 2)).tally();
  expect(over.event_name).toHaveLength(CUT.values + 1);
  expect(over.event_name.find(({ value }) => value === OTHER_VALUES)).toMatchObject({ rows: 2 });
  expect(over.events.rows).toBe(2 * CUT.values + 2);
  const back = tallied(new DayTallying(over), named(CUT.values + 2), -1).tally();
  expect(differingValues(full, back, "event_name")).toEqual([]);
});
