import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { costToday, type DayOfLake } from "../../../../workers/edge/operations/cost-today.ts";

/** A million events at 7,000 a second over 16 shards, 20 a request, as `npm run bench:cost` counted them. */
const MEASURED = { events: 1e6, messages: 50_000, segments: 2_400, bytes: 0.13e9 };
const LAKE: DayOfLake = { commits: 457, rows: 1e6, bytes: 0.05e9 };
const MEASURED_DOLLARS = 0.27;

const day = fc.record({
  events: fc.nat(1e9),
  messages: fc.nat(1e9),
  segments: fc.nat(1e7),
  bytes: fc.nat(1e12),
});

describe("what today cost", () => {
  it("is what the benchmark counted, for the traffic that it counted", () => {
    const { dollars, dollars_per_million, parts } = costToday(MEASURED, LAKE);
    expect(dollars / MEASURED_DOLLARS).toBeGreaterThan(0.9);
    expect(dollars / MEASURED_DOLLARS).toBeLessThan(1.1);
    expect(dollars_per_million).toBe(dollars);
    expect(parts[0]!.part).toBe("timelines");
  });

  it("is the sum of its parts, the dearest first, and never falls when more comes", () => {
    fc.assert(
      fc.property(day, day, (one, more) => {
        const cost = costToday(one, LAKE);
        const sorted = cost.parts.map(({ dollars }) => dollars);
        expect(sorted).toEqual(sorted.toSorted((a, b) => b - a));
        expect(cost.dollars).toBeCloseTo(
          sorted.reduce((sum, dollars) => sum + dollars, 0),
          6,
        );
        const both = {
          events: one.events + more.events,
          messages: one.messages + more.messages,
          segments: one.segments + more.segments,
          bytes: one.bytes + more.bytes,
        };
        expect(costToday(both, LAKE).dollars).toBeGreaterThanOrEqual(cost.dollars);
      }),
    );
  });

  it("is nothing, and no price at all, before the first event of the day", () => {
    const none = { events: 0, messages: 0, segments: 0, bytes: 0 };
    expect(costToday(none, { commits: 0, rows: 0, bytes: 0 })).toMatchObject({ dollars: 0, dollars_per_million: null });
  });
});
