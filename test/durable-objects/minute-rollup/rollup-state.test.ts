import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DIMENSIONS, OTHER_VALUES } from "../../../durable-objects/minute-rollup/api.ts";
import { microUnits, minuteDeltas, type RolledEvent } from "../../../durable-objects/minute-rollup/minute-delta.ts";
import { decodeRow, encodeRow } from "../../../durable-objects/minute-rollup/rollup-row.ts";
import {
  addDelta,
  applyCaps,
  emptyState,
  mergeState,
  type RollupState,
  sameState,
} from "../../../durable-objects/minute-rollup/rollup-state.ts";
import { decodeSketch, encodeSketch } from "../../../durable-objects/minute-rollup/user-sketch.ts";
import { PLATFORM, ROLLUP } from "../../../r2-layout/limits.ts";
import { plainEvent, rolledEvent } from "./events.ts";

const START = Date.UTC(2026, 10, 22, 5, 0);

/** All minutes of the events in one state, as an hour or a day sees them. */
function stateOf(steps: readonly (readonly RolledEvent[])[]): RollupState {
  const state = emptyState();
  for (const step of steps) {
    for (const delta of minuteDeltas(step)) addDelta(state, delta, decodeSketch(delta.users));
    applyCaps(state);
  }
  return state;
}

/** A state as plain values, independent of the order in which its maps were filled. */
function canonical(state: RollupState) {
  const sorted = <V>(map: Map<string, V>) => [...map].sort(([one], [other]) => (one < other ? -1 : 1));
  return {
    events: state.events,
    revenue: sorted(state.revenue),
    users: encodeSketch(state.users),
    by: DIMENSIONS.map((dimension) => ({
      approximate: state.by[dimension].approximate,
      values: sorted(state.by[dimension].values).map(([key, value]) => [
        key,
        value.events,
        value.revenue && sorted(value.revenue),
      ]),
    })),
  };
}

const rowBytes = (state: RollupState): number => {
  const row = encodeRow(state);
  return (
    DIMENSIONS.reduce((sum, dimension) => sum + Buffer.byteLength(row[dimension]), 0) +
    Buffer.byteLength(row.revenue) +
    row.users.byteLength
  );
};

describe("minute deltas", () => {
  it("merge to the same state for any order of the events and any cut into steps", () => {
    const events = fc.array(rolledEvent(START), { maxLength: 200 });
    fc.assert(
      fc.property(
        events.chain((all) =>
          fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }), fc.nat(50)),
        ),
        ([all, shuffled, size]) => {
          const steps: RolledEvent[][] = [];
          for (let i = 0; i < shuffled.length; i += size + 1) steps.push(shuffled.slice(i, i + size + 1));
          expect(canonical(stateOf(steps))).toEqual(canonical(stateOf([all])));
        },
      ),
      { numRuns: 100 },
    );
  });

  it("come one a minute, oldest first, and say what a plain count says", () => {
    fc.assert(
      fc.property(fc.array(rolledEvent(START), { maxLength: 100 }), (events) => {
        const deltas = minuteDeltas(events);
        expect(deltas.map(({ minute }) => minute)).toEqual(
          [...new Set(events.map(({ event_time }) => Math.floor(event_time / 6e7) * 6e4))].sort((a, b) => a - b),
        );
        for (const { minute, events: count, by } of deltas) {
          const inMinute = events.filter(({ event_time }) => Math.floor(event_time / 6e7) * 6e4 === minute);
          expect(count).toBe(inMinute.length);
          for (const dimension of DIMENSIONS) {
            expect(by[dimension].reduce((sum, [, n]) => sum + n, 0)).toBe(count);
            for (const [key, n] of by[dimension]) {
              expect(n).toBe(inMinute.filter((event) => (event[dimension] ?? "(none)") === key).length);
            }
          }
        }
      }),
    );
  });

  it.each([
    [0.1, 100_000n],
    [12.99, 12_990_000n],
    [-3, -3_000_000n],
    [9e12, 9_000_000_000_000_000_000n],
    [null, null],
    [undefined, null],
    [Number.NaN, null],
    [1e300, null],
  ])("count %s of money as %s millionths", (amount, micro) => {
    expect(microUnits(amount)).toBe(micro);
  });
});

describe("states", () => {
  const hourly = fc.array(fc.array(rolledEvent(START), { maxLength: 60 }), { minLength: 1, maxLength: 6 });
  /** Enough users for a sketch of registers in some runs, entries in others. */
  const users = fc.array(fc.tuple(fc.nat(5), fc.nat(900)), { maxLength: 6 });

  it("merge to what folding the events directly gives: minutes to an hour, hours to a day, users included", () => {
    let registers = 0;
    fc.assert(
      fc.property(hourly, users, (parts, more) => {
        const all = parts.map((events) => [...events]);
        for (const [part, count] of more) {
          const events = all[part % all.length]!;
          for (let i = 0; i < count; i++) events.push(plainEvent({ event_time: START * 1e3, user_id: `${part} ${i}` }));
        }
        const merged = emptyState();
        for (const events of all) mergeState(merged, decodeRow(encodeRow(stateOf([events]))));
        applyCaps(merged);
        const direct = stateOf([all.flat()]);
        if (direct.users.registers) registers++;
        expect(canonical(merged)).toEqual(canonical(direct));
        expect(encodeRow(merged).users).toEqual(encodeRow(direct).users);
        expect(sameState(merged, direct)).toBe(true);
      }),
      {
        numRuns: 60,
        examples: [
          [
            [[plainEvent({ event_time: START * 1e3 })], []],
            [
              [0, 900],
              [1, 900],
            ],
          ],
        ],
      },
    );
    expect(registers).toBeGreaterThan(0);
  });

  it("are the same in any order of their events, and not when any one differs in what is counted", () => {
    fc.assert(
      fc.property(fc.array(rolledEvent(START), { minLength: 1, maxLength: 30 }), fc.nat(), (events, at) => {
        const state = stateOf([events]);
        expect(sameState(state, stateOf([events.toReversed()]))).toBe(true);
        const other = events.map((event, i) => (i === at % events.length ? { ...event, page_path: "/other" } : event));
        expect(sameState(state, stateOf([other]))).toBe(false);
        const paid = events.map((event, i) => (i === at % events.length ? { ...event, revenue: 7.77 } : event));
        expect(sameState(state, stateOf([paid]))).toBe(false);
        expect(sameState(state, stateOf([events.slice(1)]))).toBe(false);
      }),
      { numRuns: 60 },
    );
    expect(
      sameState(
        stateOf([[plainEvent({ event_time: START * 1e3, user_id: "ann" })]]),
        stateOf([[plainEvent({ event_time: START * 1e3, user_id: "bob" })]]),
      ),
    ).toBe(false);
  });
});

describe("a packed row", () => {
  it("reads back as the state it was written from, whatever the names", () => {
    fc.assert(
      fc.property(fc.array(rolledEvent(START), { maxLength: 100 }), (events) => {
        const state = stateOf([events]);
        expect(canonical(decodeRow(encodeRow(state)))).toEqual(canonical(state));
      }),
    );
  });
});

describe("caps (promise 9)", () => {
  it("keeps 1,000 values exactly and is not approximate", () => {
    const events = Array.from({ length: ROLLUP.valuesPerDimension }, (_, i) =>
      plainEvent({ event_time: START * 1e3, event_name: `name ${i}` }),
    );
    const state = stateOf([events, events]);
    expect(state.by.event_name.values.size).toBe(ROLLUP.valuesPerDimension);
    expect(state.by.event_name.approximate).toBe(false);
    expect([...state.by.event_name.values.values()].every((value) => value.events === 2)).toBe(true);
  });

  it("keeps the row small and the totals exact while a client invents a million names, and still names the real ones", () => {
    let state = emptyState();
    let invented = 0;
    for (let step = 0; step < 40; step++) {
      const events: RolledEvent[] = [];
      for (let i = 0; i < 25_000; i++) {
        const n = invented++;
        events.push(
          plainEvent({
            event_time: START * 1e3,
            event_name: `invented ${n}`,
            page_path: "/x",
            revenue: n % 100 ? null : 0.1,
            currency: "EUR",
          }),
        );
      }
      for (let i = 0; i < 50; i++) events.push(plainEvent({ event_time: START * 1e3, event_name: "checkout" }));
      for (const delta of minuteDeltas(events)) addDelta(state, delta, decodeSketch(delta.users));
      applyCaps(state);
      // As after an eviction: what is bounded is the row.
      state = decodeRow(encodeRow(state));
      expect(rowBytes(state)).toBeLessThan(PLATFORM.sqliteRowBytes / 2);
    }
    const { values, approximate } = state.by.event_name;
    expect(approximate).toBe(true);
    expect(state.by.page_path.approximate).toBe(false);
    expect(values.size).toBeLessThanOrEqual(ROLLUP.valuesPerDimension + 1);
    expect(state.events).toBe(1_000_000 + 40 * 50);
    expect([...values.values()].reduce((sum, { events }) => sum + events, 0)).toBe(state.events);
    expect([...values.values()].reduce((sum, { revenue }) => sum + (revenue?.get("EUR") ?? 0n), 0n)).toBe(
      1_000_000_000n,
    );
    expect(values.get("checkout")?.events).toBe(40 * 50);
  }, 30_000);

  it("bounds the bytes of long and hostile names too", () => {
    const events = Array.from({ length: 900 }, (_, i) =>
      plainEvent({
        event_time: START * 1e3,
        page_path: `/${i}${"\u0001".repeat(1_000)}`,
        country: `${i}`,
        revenue: 1,
        currency: `c${i}`,
      }),
    );
    const state = stateOf([events]);
    expect(rowBytes(state)).toBeLessThan(4 * ROLLUP.dimensionBytes + 64 * 1_024);
    expect(state.by.page_path.approximate).toBe(true);
    expect(state.by.page_path.values.get(OTHER_VALUES)!.events).toBeGreaterThan(0);
    expect(state.revenue.size).toBeLessThanOrEqual(ROLLUP.currencies + 1);
    expect([...state.revenue.values()].reduce((sum, micro) => sum + micro, 0n)).toBe(900_000_000n);
  });
});
