import { expect, it } from "vitest";
import {
  MAINTENANCE_NOW_CRON,
  maintenanceMessages,
  parseMaintenanceMessage,
} from "../../../queues/maintenance/messages.ts";
import { DAY_MS, HOUR_MS, LOG, MINUTE_MS } from "../../../r2-layout/limits.ts";

const midnight = Date.UTC(2026, 10, 22);

it("sends each kind of work in every hour, and all of it when asked to", () => {
  const hour = Array.from({ length: 60 }, (_, minute) => maintenanceMessages(midnight + minute * MINUTE_MS)).flat();
  const kinds = (messages: typeof hour) => new Set(messages.map(({ kind }) => kind));
  expect(kinds(hour)).toEqual(new Set(["compact", "sweep-lake", "sweep-log"]));
  expect(hour.filter(({ kind }) => kind === "compact")).toHaveLength(12);
  expect(maintenanceMessages(midnight + MINUTE_MS)).toEqual([]);
  expect(kinds(maintenanceMessages(midnight + MINUTE_MS, MAINTENANCE_NOW_CRON))).toEqual(kinds(hour));
});

it("sweeps every day of the log once its objects are past their grace", () => {
  const swept = new Set<string>();
  for (let hour = 0; hour < 24 * 10; hour++) {
    for (const message of maintenanceMessages(midnight + hour * HOUR_MS + 37 * MINUTE_MS)) {
      if (message.kind === "sweep-log") swept.add(message.day);
    }
  }
  for (let ms = midnight; ms < midnight + 10 * DAY_MS - LOG.orphanGraceMs - DAY_MS; ms += DAY_MS) {
    expect(swept).toContain(new Date(ms).toISOString().slice(0, 10));
  }
});

it("reads every message it makes, and nothing else", () => {
  for (const message of maintenanceMessages(midnight, MAINTENANCE_NOW_CRON)) {
    expect(parseMaintenanceMessage(JSON.parse(JSON.stringify(message)))).toEqual(message);
  }
  for (const body of [
    null,
    1,
    "compact",
    {},
    { kind: "drop" },
    { kind: "sweep-log" },
    { kind: "sweep-log", day: "../x" },
  ]) {
    expect(parseMaintenanceMessage(body)).toBeNull();
  }
});
