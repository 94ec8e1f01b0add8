import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DAY_MS, VIOLATIONS } from "../../../../r2-layout/limits.ts";
import type { LogEntry } from "../../../../r2-layout/log-line.ts";
import { Refused } from "../../../../workers/edge/parameters.ts";
import { causeSql, isOfCause, parseCause } from "../../../../workers/edge/violations/cause.ts";

const NOW = Date.parse("2026-11-22T12:00:30Z");

const entry = (over: { at?: number; app_version?: string | null; cause?: string } = {}): LogEntry => {
  const { at = NOW - 1_000, app_version = "1.0", cause = "contract_violated" } = over;
  const row = {
    event_id: "e",
    event_name: "Paid",
    source: "shop",
    received_at: at * 1_000,
    app_version,
    contract_version: 2,
  };
  return {
    row: row as unknown as LogEntry["row"],
    q: { cause, field: "properties.coupon", expected: "required" },
    rawText: "{}",
  };
};

describe("a cause", () => {
  it("is of the last days unless it says otherwise, to the minute", () => {
    const { from, to } = parseCause({}, NOW);
    expect(new Date(to).toISOString()).toBe("2026-11-22T12:01:00.000Z");
    expect(to - from).toBe(VIOLATIONS.rangeMs);
  });

  it.each([
    ["nothing in particular", {}, true],
    ["its event", { event: "Paid" }, true],
    ["another event", { event: "Left" }, false],
    [
      "all there is",
      { event: "Paid", field: "properties.coupon", expected: "required", source: "shop", app_version: "1.0" },
      true,
    ],
    ["another app", { app_version: "2.0" }, false],
    ["its version, as a query has it", { contract_version: "2" }, true],
    ["another version", { contract_version: 1 }, false],
    ["a time before", { to: "2026-11-22T11:00:00Z" }, false],
  ])("that names %s: %o", (_, given, fits) => {
    expect(isOfCause(entry(), parseCause(given, NOW))).toBe(fits);
  });

  it("is never one of columns that do not fit, or of an event that is well", () => {
    const { q: _, ...well } = entry();
    expect(isOfCause({ ...well }, parseCause({}, NOW))).toBe(false);
    expect(isOfCause(entry({ cause: "wrong_type" }), parseCause({}, NOW))).toBe(false);
  });

  it("quotes whatever it names", () => {
    const texts = fc.string({ minLength: 1, maxLength: 50 }).filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(texts, (app_version) => {
        const sql = causeSql(parseCause({ app_version }, NOW));
        const quoted = /app_version = '((?:[^']|'')*)'$/s.exec(sql)?.[1];
        expect(quoted?.replaceAll("''", "'")).toBe(app_version.toWellFormed());
      }),
    );
  });

  it("promise 9: reaches over VIOLATIONS.rangeMaxMs and names VIOLATIONS.textChars characters, and no more", () => {
    const to = new Date(NOW).toISOString();
    const from = (ms: number) => new Date(NOW - ms).toISOString();
    expect(parseCause({ from: from(VIOLATIONS.rangeMaxMs), to }, NOW).to).toBe(NOW);
    expect(() => parseCause({ from: from(VIOLATIONS.rangeMaxMs + 1), to }, NOW)).toThrow(Refused);
    const text = "x".repeat(VIOLATIONS.textChars);
    expect(parseCause({ expected: text }, NOW).expected).toBe(text);
    expect(() => parseCause({ expected: `${text}x` }, NOW)).toThrow(Refused);
    expect(() => parseCause({ from: to, to: from(DAY_MS) }, NOW)).toThrow(Refused);
    for (const odd of [{ from: "soon" }, { event: 7 }, { event: "" }, { event: "a\0" }, { contract_version: "x" }])
      expect(() => parseCause(odd, NOW), JSON.stringify(odd)).toThrow(Refused);
  });
});
