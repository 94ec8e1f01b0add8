import { expect, it } from "vitest";
import type { JobSpec, ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import { createDueJobs } from "../../../queues/replay/due-jobs.ts";
import { HOUR_MS, MINUTE_MS, REPLAY } from "../../../r2-layout/limits.ts";

/** A desk that keeps marks and what was asked of it. */
class Desk {
  readonly jobs = new Map<string, JobSpec>();
  readonly marks = new Map<string, string>();
  /** Calls that fail from now on. */
  failing: "create" | "setMark" | null = null;

  readonly api = {
    mark: async (name: string) => this.marks.get(name) ?? null,
    setMark: async (name: string, value: string) => {
      if (this.failing === "setMark") throw new Error("injected");
      this.marks.set(name, value);
    },
    create: async ({ id, spec }: { id: string; spec: JobSpec }) => {
      if (this.failing === "create") throw new Error("injected");
      const known = this.jobs.has(id);
      this.jobs.set(id, spec);
      return { kind: known ? "known" : "created" };
    },
    overview: async () => ({ jobs: [] }),
    poke: async () => {},
  } as unknown as ReplayDeskApi;

  get audited(): string[] {
    return [...this.jobs.values()].flatMap((spec) => (spec.kind === "audit" ? spec.days : []));
  }
}

const cron = (desk: Desk, at: string | number) =>
  createDueJobs(
    { desk: desk.api, logs: { getByName: () => ({ republishedAfter: async () => [] }) }, shards: 1 },
    Number(new Date(at)),
    false,
  );

it("promise 2: audits each day once, two hours after it has ended, from the first day on", async () => {
  const desk = new Desk();
  const from = Date.parse("2026-11-20T12:00Z");
  for (let at = from; at < from + 72 * HOUR_MS; at += 7 * MINUTE_MS) await cron(desk, at);
  expect(desk.audited).toEqual(["2026-11-20", "2026-11-21", "2026-11-22"]);
});

it("promise 2: misses no day where turns of the cron are lost, or fail anywhere", async () => {
  const desk = new Desk();
  await cron(desk, "2026-11-20T12:00Z");
  await cron(desk, "2026-11-21T02:06Z");
  expect(desk.audited).toEqual([]);
  desk.failing = "create";
  await expect(cron(desk, "2026-11-21T02:07Z")).rejects.toThrow("injected");
  desk.failing = "setMark";
  await expect(cron(desk, "2026-11-21T02:08Z")).rejects.toThrow("injected");
  desk.failing = null;
  // Nothing for three days.
  await cron(desk, "2026-11-24T17:00Z");
  expect([...new Set(desk.audited)]).toEqual(["2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23"]);
  // A clock that went back.
  await cron(desk, "2026-11-22T17:00Z");
  expect(desk.jobs.size).toBe(2);
});

it("promise 9: an audit after a long time names REPLAY.auditDays days at most, the newest", async () => {
  const desk = new Desk();
  await cron(desk, "2026-01-01T12:00Z");
  await cron(desk, "2026-11-20T12:00Z");
  expect(desk.audited).toHaveLength(REPLAY.auditDays);
  expect(desk.audited.at(-1)).toBe("2026-11-19");
});
