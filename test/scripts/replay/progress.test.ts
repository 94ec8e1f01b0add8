import { expect, it } from "vitest";
import { progressLine } from "../../../scripts/replay/progress.ts";
import type { JobJson } from "../../../workers/job-json.ts";

const job = (rest: Partial<JobJson> = {}): JobJson => ({
  id: "r",
  kind: "rebuild",
  state: "running",
  phase: "build",
  progress: { events: 25_000, total: 100_000, events_per_second: 5_000, eta_seconds: 15 },
  comparison: null,
  waits_for: null,
  error: null,
  attempts: 0,
  outcome: null,
  actions: ["cancel"],
  ...{ sinks: ["lake"], from: null, to: null, rate: 20_000, note: null },
  ...{
    created_at: "2026-11-22T05:00:00.000Z",
    started_at: null,
    updated_at: "2026-11-22T05:00:00.000Z",
    ended_at: null,
  },
  ...rest,
});

it("says in one line how far a replay has come, how fast it is, and what it waits for", () => {
  expect(progressLine(job())).toBe(`[${"=".repeat(8)}${" ".repeat(22)}] 25%  25,000 events  5,000/s  15 s left  build`);
  const waiting = progressLine(job({ waits_for: "job c", error: "away" }));
  expect(waiting).toContain("waits for job c");
  expect(waiting).toContain("failed last: away");
});

it("draws no share of what is not known, and no more than all", () => {
  const unknown = { events: 7, total: null, events_per_second: 0, eta_seconds: null };
  expect(progressLine(job({ progress: unknown }))).toContain(`[${" ".repeat(30)}] 7 events`);
  expect(progressLine(job({ progress: { ...unknown, total: 5 } }))).toContain("100%");
});
