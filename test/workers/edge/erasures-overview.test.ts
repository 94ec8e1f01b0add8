import { describe, expect, it } from "vitest";
import type { Job } from "../../../durable-objects/replay-desk/api.ts";
import type { ErasureCheck } from "../../../queues/erasure/check.ts";
import { DAY_MS, ERASURE } from "../../../r2-layout/limits.ts";
import { erasureMetricLines, readErasures } from "../../../workers/edge/erasures/erasures-overview.ts";

const NOW = 20_000 * DAY_MS;
const job = (state: Job["state"], startedAt: number | null): Job =>
  ({
    state,
    startedAt,
    createdAt: NOW,
    spec: { kind: "erasure", mode: "erase" },
    progress: null,
    endedAt: null,
  }) as Job;

const CHECK: ErasureCheck = {
  ...{ startedAt: NOW - 60_000, endedAt: NOW - 1_000, savedAt: NOW, jobs: ["erasure-1"] },
  ...{ at: { job: 1, store: 0, position: null }, spent: { day: 0, ms: 5 } },
  stores: {
    lake: { looked: 1, traces: 2, error: null, at: NOW },
    log: { looked: 0, traces: 0, error: "down", at: NOW },
  },
  found: [{ job: "erasure-1", store: "lake", traces: 2, at: NOW }],
};

const desk = (check: ErasureCheck | null) => ({
  overview: async () => ({
    jobs: [
      job("running", NOW - ERASURE.overdueMs - 1),
      job("running", NOW - ERASURE.overdueMs),
      job("preview", null),
      job("done", NOW - 9 * ERASURE.overdueMs),
    ],
    ...{ settled: [], rules: 0 },
  }),
  mark: async () => (check === null ? null : JSON.stringify(check)),
});

describe("requests to be forgotten, at a glance", () => {
  it("counts the confirmed ones, those open for longer than ERASURE.overdueMs, and tells of the daily look", async () => {
    const erasures = await readErasures(desk(CHECK), NOW);
    expect(erasures).toMatchObject({ open: 2, overdue: 1 });
    expect(erasures.check).toMatchObject({
      ...{ erasures: 1, started_at: new Date(NOW - 60_000).toISOString() },
      stores: [
        { store: "lake", looked: 1, traces: 2, error: null },
        { store: "log", looked: 0, error: "down" },
      ],
      found: [{ erasure: "erasure-1", store: "lake", traces: 2 }],
    });
    expect(erasureMetricLines(erasures, NOW).filter((line) => !line.startsWith("#"))).toEqual([
      "eventpile_erasures_open 2",
      "eventpile_erasures_overdue 1",
      'eventpile_erased_traces{store="lake"} 2',
      'eventpile_erasure_check_failed{store="lake"} 0',
      'eventpile_erasure_check_failed{store="log"} 1',
      "eventpile_erasure_check_age_seconds 60",
    ]);
  });

  it("has no age before the first look: nothing was found by nobody", async () => {
    const erasures = await readErasures(desk(null), NOW);
    expect(erasures.check).toBeNull();
    const lines = erasureMetricLines(erasures, NOW).filter((line) => line.includes("age_seconds"));
    expect(lines.map((line) => line.split(" ")[1])).toEqual(["HELP", "TYPE"]);
  });
});
