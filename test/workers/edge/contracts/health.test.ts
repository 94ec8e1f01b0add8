import { describe, expect, it } from "vitest";
import { sourceHours } from "../../../../queues/contract-health/hour-sql.ts";
import type { Expectations } from "../../../../r2-layout/contracts/contract.ts";
import { HOUR_MS, MINUTE_MS } from "../../../../r2-layout/limits.ts";
import { healthOf } from "../../../../workers/edge/contracts/health.ts";

const HOUR = Date.parse("2026-11-22T10:00:00Z");
const NONE: Expectations = {
  freshnessMinutes: null,
  clockSkewMinutes: null,
  perHour: { min: null, max: null },
  present: {},
};
const report = (expected: Partial<Expectations>, events: unknown[][], quarantine: unknown[][], now: number) =>
  healthOf({ expectations: { ...NONE, ...expected } }, FIELDS, sourceHours(FIELDS, events, quarantine), now);
const FIELDS = ["coupon"];
/** 90 events in the hour, 5 of them only warned, 45 with a coupon, the newest at half past; clocks off by 3 minutes at most. */
const EVENTS = [["shop", HOUR, 90, HOUR + 30 * MINUTE_MS, 5, 3 * MINUTE_MS, 45]];
const KEPT_APART = [["shop", HOUR, 10, HOUR + 20 * MINUTE_MS]];

describe("what is expected of an event", () => {
  it("counts what was kept apart as come, and as without the property", () => {
    expect(report({}, EVENTS, KEPT_APART, HOUR + HOUR_MS)).toEqual([
      {
        source: "shop",
        hour: "2026-11-22T10:00:00.000Z",
        events: 90,
        quarantined: 10,
        off_contract: 5,
        failure_rate: 0.15,
        coverage: { coupon: 0.45 },
        newest_at: "2026-11-22T10:30:00.000Z",
        broken: [],
      },
    ]);
  });

  it("tells of an hour in which all was kept apart", () => {
    expect(report({}, [], KEPT_APART, HOUR + HOUR_MS)[0]).toMatchObject({ failure_rate: 1, coverage: { coupon: 0 } });
  });

  it.each<[string, Partial<Expectations>, number, string[]]>([
    ["a property that enough have", { present: { coupon: 0.45 } }, 60, []],
    ["a property that too few have", { present: { coupon: 0.46 } }, 60, ["present"]],
    ["too few events of a whole hour", { perHour: { min: 101, max: null } }, 60, ["per_hour"]],
    ["too few events of an hour that goes on", { perHour: { min: 101, max: null } }, 59, []],
    ["too many events", { perHour: { min: null, max: 99 } }, 31, ["per_hour"]],
    ["an event in time", { freshnessMinutes: 30 }, 60, []],
    ["no event for too long", { freshnessMinutes: 29 }, 60, ["freshness_minutes"]],
    ["clocks that are right enough", { clockSkewMinutes: 3 }, 60, []],
    ["clocks that are off", { clockSkewMinutes: 2 }, 60, ["clock_skew_minutes"]],
  ])("looks at %s", (_, expected, minutes, broken) => {
    const [hour] = report(expected, EVENTS, KEPT_APART, HOUR + minutes * MINUTE_MS);
    expect(hour!.broken.map(({ expectation }) => expectation)).toEqual(broken);
  });

  it("asks freshness of each source's newest hour only", () => {
    const more = [...EVENTS, ["shop", HOUR + HOUR_MS, 1, HOUR + HOUR_MS, 0, 0, 1], ["app", HOUR, 1, HOUR, 0, 0, 1]];
    const found = report({ freshnessMinutes: 10 }, more, [], HOUR + 2 * HOUR_MS);
    expect(found.map(({ source, broken }) => [source, broken.length])).toEqual([
      ["shop", 1],
      ["app", 1],
      ["shop", 0],
    ]);
  });
});
