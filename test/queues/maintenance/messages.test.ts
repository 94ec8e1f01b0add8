import { expect, it } from "vitest";
import {
  MAINTENANCE_NOW_CRON,
  maintenanceMessages,
  PUBLISH_NOW_CRON,
  parseMaintenanceMessage,
} from "../../../queues/maintenance/messages.ts";
import { DAY_MS, HOUR_MS, LOG, MINUTE_MS } from "../../../r2-layout/limits.ts";

const midnight = Date.UTC(2026, 10, 22);

it("sends each kind of work in every hour, and all of it when asked to", () => {
  const hour = Array.from({ length: 60 }, (_, minute) => maintenanceMessages(midnight + minute * MINUTE_MS)).flat();
  const kinds = (messages: typeof hour) => new Set(messages.map(({ kind }) => kind));
  const all = [
    "compact",
    "contract-health",
    "cuts",
    "erasure-check",
    "erasure-lists",
    "expire",
    "pii-audit",
    "publish-iceberg",
    "sweep-lake",
    "sweep-log",
  ];
  expect([...kinds(hour)].sort()).toEqual(all);
  expect(hour.filter(({ kind }) => kind === "contract-health")).toHaveLength(6);
  expect(hour.filter(({ kind }) => kind === "compact")).toHaveLength(12);
  expect(hour.filter(({ kind }) => kind === "publish-iceberg")).toHaveLength(60);
  expect(maintenanceMessages(midnight + MINUTE_MS)).toEqual([{ kind: "publish-iceberg" }, { kind: "cuts" }]);
  expect(maintenanceMessages(midnight, PUBLISH_NOW_CRON)).toEqual([{ kind: "publish-iceberg", now: true }]);
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

it("comes back to every day of the log within two days, as far back as it is kept, and sends a bounded number", () => {
  const now = midnight + 10 * HOUR_MS;
  const swept = new Set<string>();
  for (let hour = 0; hour < 48; hour++) {
    const messages = maintenanceMessages(now + hour * HOUR_MS + 37 * MINUTE_MS);
    expect(messages.filter(({ kind }) => kind === "sweep-log").length).toBeLessThanOrEqual(6);
    for (const message of messages) if (message.kind === "sweep-log") swept.add(message.day);
  }
  // What an outage left that ended now, of any day that the bucket has not deleted by itself; and of the days whose rows the
  // log has forgotten since, for what an erasure has written anew is younger than its day.
  for (let back = 1; back <= LOG.retentionDays + 3; back++) {
    expect(swept).toContain(new Date(now - back * DAY_MS).toISOString().slice(0, 10));
  }
});

it("reads every message it makes, and nothing else", () => {
  for (const message of maintenanceMessages(midnight, MAINTENANCE_NOW_CRON)) {
    expect(parseMaintenanceMessage(JSON.parse(JSON.stringify(message)))).toEqual(message);
  }
  for (const more of [
    { kind: "erasure-check", more: true },
    { kind: "erasure-lists", after: "jobs/erasure-1/preview.json.gz" },
  ]) {
    expect(parseMaintenanceMessage(more)).toEqual(more);
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
