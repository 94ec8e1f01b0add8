import fc from "fast-check";
import { expect, it } from "vitest";
import { flushParts } from "../../../queues/lake/flush-parts.ts";
import { DAY_US, dayOf } from "../../../r2-layout/time.ts";
import { eventRow, TODAY_US } from "../../r2-layout/event-rows.ts";

const nowMs = TODAY_US / 1_000 + 12 * 3_600_000;

it("puts every row into one part, at most three, those of a day hold that day only", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -400, max: 2 }), { maxLength: 50 }), (days) => {
      const rows = days.map((day, id) => eventRow(id, { event_time: TODAY_US + day * DAY_US + id }));
      const parts = flushParts("events", rows, nowMs);
      expect(parts.length).toBeLessThanOrEqual(3);
      expect(parts.flatMap((part) => part.rows).length).toBe(rows.length);
      expect(new Set(parts.flatMap((part) => part.rows))).toEqual(new Set(rows));
      for (const { day, rows } of parts) {
        expect(rows.length).toBeGreaterThan(0);
        if (day) expect(rows.every((row) => dayOf(row.event_time as number) === day)).toBe(true);
      }
    }),
  );
});

it("names today and yesterday, and goes by received day in quarantine", () => {
  const row = (received_at: number) => ({ event_time: 0, received_at });
  const parts = flushParts("quarantine", [row(TODAY_US), row(TODAY_US - 1), row(TODAY_US - 2 * DAY_US)], nowMs);
  expect(parts.map(({ day }) => day)).toEqual(["2026-11-22", "2026-11-21", null]);
});
