import { expect, it } from "vitest";
import { byMinute, type Change, changeText, correctedKey } from "../../../workers/console/live/corrections.ts";
import type { LiveMinute } from "../../../workers/console/live/minutes.ts";

const T0 = Date.UTC(2026, 10, 22, 5, 0);

const change = (more: Partial<Change> = {}): Change => ({
  minute: new Date(T0).toISOString(),
  grain: "minute",
  at: new Date(T0 + 600_000).toISOString(),
  version: 2,
  reason: "late",
  events: 3,
  revenue: {},
  ...more,
});

it.each([
  [change(), "+3 events, came late"],
  [change({ events: 1, revenue: { EUR: 12.5, USD: -3 } }), "+1 event, +€12.50, −$3.00, came late"],
  [change({ events: -1_200, reason: "correction" }), "−1,200 events, by a correction"],
  [change({ events: 0, reason: "rebuild" }), "other values, by a rebuild"],
])("says what changed in a final minute: %j", (one, text) => {
  expect(changeText(one).replace(/ \(.*\)$/, "")).toBe(text);
});

it("keeps changes by their minute, newest first, and leaves out what stands for a whole hour", () => {
  const [newer, older] = [change({ version: 3 }), change({ version: 2 })];
  const found = byMinute([
    newer,
    change({ grain: "hour" }),
    older,
    change({ minute: new Date(T0 + 60_000).toISOString() }),
  ]);
  expect(found.get(T0)).toEqual([newer, older]);
  expect(found.size).toBe(2);
});

it("asks anew when a corrected minute has a new version, and not when only a provisional one grows", () => {
  const minute = (version: number, events = 1) => ({ version, events }) as LiveMinute;
  const shown = (corrected: number, growing: number) =>
    correctedKey([
      { start: T0, minute: minute(corrected) },
      { start: T0 + 60_000, minute: null },
      { start: T0 + 120_000, minute: minute(1, growing) },
    ]);
  expect(correctedKey([{ start: T0, minute: minute(1) }])).toBe("");
  expect(shown(2, 1)).toBe(shown(2, 9));
  expect(shown(3, 1)).not.toBe(shown(2, 1));
});
