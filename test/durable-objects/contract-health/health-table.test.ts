import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HourReport } from "../../../durable-objects/contract-health/api.ts";
import { HealthTable } from "../../../durable-objects/contract-health/health-table.ts";
import type { Expectations } from "../../../r2-layout/contracts/contract.ts";
import type { SourceHour } from "../../../r2-layout/contracts/expected.ts";
import { HEALTH, HOUR_MS, MINUTE_MS } from "../../../r2-layout/limits.ts";
import { Database, SimulatedSql } from "../../simulator/platform/sql-storage.ts";

const NONE: Expectations = {
  freshnessMinutes: null,
  clockSkewMinutes: null,
  perHour: { min: null, max: null },
  present: {},
};
const START = Date.parse("2026-11-22T00:00:00Z");
const hourAt = (i: number) => START + i * HOUR_MS;
type Sent = Partial<Omit<SourceHour, "source" | "present">> & { coupon?: number };

function table(expected: Partial<Expectations> = {}) {
  const sql = new SimulatedSql(new Database(new DatabaseSync(":memory:")), () => {}) as unknown as SqlStorage;
  const health = new HealthTable(sql);
  const report = (i: number, sources: Readonly<Record<string, Sent>>, more: Partial<HourReport> = {}): HourReport => ({
    ...{ eventName: "Paid", hour: hourAt(i), version: 1, fields: ["coupon"], left: 0, unread: null },
    sources: Object.entries(sources).map(([source, { coupon = 0, ...sent }]) => ({
      ...{ source, events: 100, quarantined: 0, offContract: 0, newestAt: hourAt(i + 1) - 1, skewMinutes: 0 },
      present: { coupon },
      ...sent,
    })),
    ...more,
  });
  /** @returns what is told: `+` for what breaks, `-` for what is over. */
  const hour = (i: number, sources: Readonly<Record<string, Sent>>, more: Partial<HourReport> = {}, now = expected) => {
    const given = report(i, sources, more);
    health.put(given, true);
    const told = [...health.judge(given, { ...NONE, ...now }), ...health.finish(given.hour, 0)];
    return told.map(({ expectation, source, ended }) => `${ended ? "-" : "+"}${source} ${expectation}`);
  };
  return { health, hour, report };
}

describe("what an hour breaks", () => {
  it("is told once, however long it goes on, and once when it holds again", () => {
    const { health, hour } = table({ present: { coupon: 0.5 } });
    expect(hour(0, { shop: { coupon: 50 } })).toEqual([]);
    expect(hour(1, { shop: { coupon: 49 }, app: { coupon: 50 } })).toEqual(["+shop present"]);
    expect(hour(2, { shop: { coupon: 10 } })).toEqual([]);
    expect(health.openBreaks(9)).toMatchObject([
      { field: "coupon", expected: 0.5, actual: 0.1, since: hourAt(1), last: hourAt(2), ended: null },
    ]);
    // Good hours in a row, and not one between two bad ones.
    expect(hour(3, { shop: { coupon: 50 } })).toEqual([]);
    expect(hour(4, { shop: { coupon: 1 } })).toEqual([]);
    for (let i = 5; i < 5 + HEALTH.recoveredHours - 1; i++) expect(hour(i, { shop: { coupon: 99 } })).toEqual([]);
    expect(hour(9, { shop: { coupon: 99 } })).toEqual(["-shop present"]);
    expect(hour(10, { shop: { coupon: 9 } })).toEqual(["+shop present"]);
    expect(health.breaks("Paid", 9).map(({ ended }) => ended?.because)).toEqual([undefined, "holds"]);
  });

  it("is nothing of which nothing can be said: no events, too few, or none that were counted", () => {
    const { hour } = table({ present: { coupon: 0.5 }, clockSkewMinutes: 1 });
    expect(hour(0, { shop: { events: HEALTH.leastEvents - 1, skewMinutes: 9 } })).toEqual([]);
    expect(hour(1, {}, { unread: "422: The statement reads too much" })).toEqual([]);
    expect(hour(2, { shop: { events: 0 } })).toEqual([]);
    const least = { events: HEALTH.leastEvents, skewMinutes: 9 };
    expect(hour(3, { shop: least })).toEqual(["+shop present", "+shop clock_skew_minutes"]);
    // Neither good nor bad.
    for (let i = 4; i < 9; i++) expect(hour(i, { shop: { events: 1, coupon: 1 } })).toEqual([]);
  });

  it("is a source that fell silent: too few events, and none for too long by the hour's end", () => {
    const { hour } = table({ perHour: { min: 10, max: 1_000 }, freshnessMinutes: 90 });
    // A source's first hour was perhaps a part of one.
    expect(hour(0, { shop: { events: 3 } })).toEqual([]);
    expect(hour(1, { shop: { events: 10, newestAt: hourAt(2) - 31 * MINUTE_MS } })).toEqual([]);
    expect(hour(2, {})).toEqual(["+shop per_hour", "+shop freshness_minutes"]);
    expect(hour(3, { shop: {} })).toEqual([]);
    expect(hour(4, { shop: {} })).toEqual(["-shop per_hour", "-shop freshness_minutes"]);
    expect(hour(5, { shop: { events: 1_001 } })).toEqual(["+shop per_hour"]);
  });

  it("is not a source that there was no room for, or an hour that could not be counted", () => {
    const { hour } = table({ perHour: { min: 10, max: null } });
    hour(0, { shop: {} });
    expect(hour(1, { app: {} }, { left: 1 })).toEqual([]);
    expect(hour(1, {}, { unread: "422: The statement reads too much" })).toEqual([]);
    expect(hour(2, { app: {} })).toEqual(["+shop per_hour"]);
  });

  it("is a failure rate that jumps, held against what was usual, and over when it is back below what made it a jump", () => {
    const { health, hour } = table();
    for (let i = 0; i < 5; i++) expect(hour(i, { shop: { events: 980, quarantined: 20 } })).toEqual([]);
    expect(hour(5, { shop: { events: 940, offContract: 40, quarantined: 20 } })).toEqual([]);
    expect(hour(6, { shop: { events: 910, quarantined: 90 } })).toEqual(["+shop failure_rate"]);
    // What is usual follows; the break does not.
    for (let i = 7; i < 7 + HEALTH.baselineHours; i++)
      expect(hour(i, { shop: { events: 910, quarantined: 90 } })).toEqual([]);
    expect(health.open).toBe(1);
    for (let i = 40; i < 39 + HEALTH.recoveredHours; i++) expect(hour(i, { shop: {} })).toEqual([]);
    expect(hour(50, { shop: {} })).toEqual(["-shop failure_rate"]);
    const few = HEALTH.jumpFailures - 1;
    expect(hour(51, { app: { events: 0, quarantined: few } })).toEqual([]);
    expect(hour(52, { web: { events: 0, quarantined: few + 1 } })).toEqual(["+web failure_rate"]);
  });

  it("is over where nobody expects it any more, and where its source has been gone for HEALTH.sourceMs", () => {
    const { health, hour } = table({ present: { coupon: 0.5 } });
    expect(hour(0, { shop: {}, app: {} })).toEqual(["+shop present", "+app present"]);
    expect(hour(1, { shop: {} }, {}, { present: {} }).sort()).toEqual(["-app present", "-shop present"]);
    expect(hour(2, { shop: { newestAt: hourAt(3) } })).toEqual(["+shop present"]);
    const gone = 2 + HEALTH.sourceMs / HOUR_MS;
    expect(hour(gone, {})).toEqual([]);
    expect(hour(gone + 1, {})).toEqual(["-shop present"]);
    expect(health.breaks("Paid", 1)).toMatchObject([{ ended: { because: "source_gone" } }]);
    expect(hour(gone + 2, {})).toEqual([]);
  });

  it("has at most one open break for whatever was sent, and tells of it as often as it opened and ended", () => {
    const sent = fc.record({ coupon: fc.integer({ min: 0, max: 100 }), quarantined: fc.integer({ min: 0, max: 30 }) });
    const hours = fc.array(fc.dictionary(fc.constantFrom("shop", "app"), sent), { maxLength: 40 });
    fc.assert(
      fc.property(hours, (all) => {
        const { health, hour } = table({ present: { coupon: 0.5 }, perHour: { min: 1, max: null } });
        const open = new Set<string>();
        all.forEach((sources, i) => {
          for (const told of hour(i, sources)) {
            expect(open.has(told.slice(1))).toBe(told.startsWith("-"));
            if (told.startsWith("-")) open.delete(told.slice(1));
            else open.add(told.slice(1));
          }
        });
        const known = health.openBreaks(99).map(({ source, expectation }) => `${source} ${expectation}`);
        expect(known.sort()).toEqual([...open].sort());
      }),
      { numRuns: 60 },
    );
  });
});

describe("hours", () => {
  it("are judged from the newest on at first, then one after the other, HEALTH.openHours back at most", () => {
    const { health, hour } = table();
    expect(health.openHours(hourAt(5))).toEqual([hourAt(5)]);
    hour(5, {});
    expect(health.openHours(hourAt(5))).toEqual([]);
    expect(health.openHours(hourAt(7))).toEqual([hourAt(6), hourAt(7)]);
    expect(health.openHours(hourAt(5 + HEALTH.openHours))).toHaveLength(HEALTH.openHours);
    expect(health.openHours(hourAt(6 + HEALTH.openHours))).toHaveLength(HEALTH.openHours);
    expect(health.openHours(hourAt(6 + HEALTH.openHours))[0]).toBe(hourAt(7));
  });

  it("promise 9: are kept for HEALTH.keptHours, breaks up to HEALTH.breaksOpen, and HEALTH.breaksKept of those that are over", () => {
    const { health, hour } = table();
    for (let i = 0; i < HEALTH.keptHours; i++) hour(i, { shop: {} });
    expect(health.hours("Paid")).toHaveLength(HEALTH.keptHours);
    hour(HEALTH.keptHours, { shop: {} });
    expect(health.hours("Paid").at(-1)!.hour).toBe(hourAt(1));
    expect(health.newestHours(9)).toMatchObject([{ eventName: "Paid", hour: hourAt(HEALTH.keptHours) }]);
    // What came last is still shown where nothing came since.
    hour(HEALTH.keptHours + 1, {});
    expect(health.newestHours(9)).toMatchObject([{ hour: hourAt(HEALTH.keptHours) }]);
    health.finish(hourAt(2 * HEALTH.keptHours + 1), 0);
    expect([health.hours("Paid"), health.newestHours(9)]).toEqual([[], []]);

    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`s${i}`, { events: 0, quarantined: 50 }]));
    const { breaksOpen, breaksKept } = HEALTH;
    expect(hour(160, many(breaksOpen))).toHaveLength(breaksOpen);
    expect(health.leftBreaks).toBe(0);
    expect(hour(161, many(breaksOpen + 1))).toEqual([]);
    expect([health.open, health.leftBreaks]).toEqual([breaksOpen, 1]);
    const good = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`s${i}`, {}]));
    hour(162, good(breaksKept));
    hour(163, good(breaksKept));
    const over = () => health.breaks("Paid", 9_999).filter(({ ended }) => ended).length;
    expect(over()).toBe(breaksKept);
    hour(164, good(breaksKept + 1));
    hour(165, good(breaksKept + 1));
    expect([health.open, over()]).toEqual([breaksOpen - breaksKept - 1, breaksKept]);
  });
});
