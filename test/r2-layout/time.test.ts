import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dayOf, isoMicros, parseTime } from "../../r2-layout/time.ts";

const micros = fc.integer({ min: Date.UTC(1970, 0, 1) * 1_000, max: Date.UTC(2255, 0, 1) * 1_000 });

describe("times", () => {
  it("reads back every microsecond it writes", () => {
    fc.assert(
      fc.property(micros, (us) => {
        expect(parseTime(isoMicros(us))).toBe(us);
      }),
    );
  });

  it("writes texts whose order is the order of the times", () => {
    fc.assert(
      fc.property(micros, micros, (a, b) => {
        expect(isoMicros(a) < isoMicros(b)).toBe(a < b);
      }),
    );
  });

  it.each([
    ["2026-11-22T05:02:51Z", "2026-11-22T05:02:51.000000Z"],
    ["2026-11-22T05:02:51.5Z", "2026-11-22T05:02:51.500000Z"],
    ["2026-11-22T05:02:51.123456789Z", "2026-11-22T05:02:51.123456Z"],
    ["2026-11-22T06:02:51.000001+01:00", "2026-11-22T05:02:51.000001Z"],
    ["2026-11-22T06:02:51+0100", "2026-11-22T05:02:51.000000Z"],
    ["2026-11-22 05:02:51", "2026-11-22T05:02:51.000000Z"],
    ["2026-11-22", "2026-11-22T00:00:00.000000Z"],
    ["1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"],
    [1_795_323_771, "2026-11-22T05:02:51.000000Z"],
    [1_795_323_771_123, "2026-11-22T05:02:51.123000Z"],
    [1_795_323_771_123_456, "2026-11-22T05:02:51.123456Z"],
    ["1795323771123", "2026-11-22T05:02:51.123000Z"],
  ])("reads %j", (given, expected) => {
    const us = parseTime(given);
    expect(us === null ? null : isoMicros(us)).toBe(expected);
  });

  it.each([
    ["yesterday"],
    [""],
    ["2026"],
    ["2026-13-45T00:00:00Z"],
    [null],
    [{}],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [true],
    ["9".repeat(80)],
    [1e300],
  ])("says that %j is no time", (given) => expect(parseTime(given)).toBeNull());

  it("puts the last microsecond of a day into that day", () => {
    expect(dayOf(Date.UTC(2026, 10, 22) * 1_000 - 1)).toBe("2026-11-21");
    expect(dayOf(Date.UTC(2026, 10, 22) * 1_000)).toBe("2026-11-22");
  });
});
