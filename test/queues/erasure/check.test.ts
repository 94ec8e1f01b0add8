import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Job } from "../../../durable-objects/replay-desk/api.ts";
import {
  checkErasures,
  ERASURE_CHECK,
  type ErasureCheck,
  type ErasureCheckDeps,
} from "../../../queues/erasure/check.ts";
import type { ErasureRun, ErasureStore } from "../../../queues/erasure/erasure-store.ts";
import { nothingFound } from "../../../queues/erasure/erasure-store.ts";
import { ruleKey } from "../../../r2-layout/keys.ts";
import { DAY_MS, ERASURE, REPLAY } from "../../../r2-layout/limits.ts";
import { packSubjects, subjectHasher } from "../../../r2-layout/subjects.ts";
import { MapBucket } from "./map-bucket.ts";

const hash = subjectHasher("key");
const MIDNIGHT = 20_000 * DAY_MS;

beforeEach(() => void vi.spyOn(console, "error").mockImplementation(() => {}));
afterEach(() => void vi.restoreAllMocks());

interface Looked {
  readonly job: string;
  readonly store: string;
  readonly run: ErasureRun;
}

/** Erasures that are done, of one person each; a verification takes `stepMs`, and `slices` steps. */
async function world({ jobs = 1, people = 1, stepMs = 1, slices = 1 } = {}) {
  const clock = { ms: MIDNIGHT };
  const bucket = new MapBucket();
  const done: Job[] = [];
  for (let n = 1; n <= jobs; n++) {
    const hashes = Array.from({ length: people }, (_, i) => hash({ kind: "user", id: `user-${n}-${i}` }));
    await bucket.put(ruleKey(n), JSON.stringify({ filter: { subjects: packSubjects(hashes) } }));
    const progress = { rules: { versions: [n], places: [5] }, raisedAt: 7 };
    done.unshift({ id: `erasure-${n}`, n, state: "done", spec: { kind: "erasure", mode: "erase" }, progress } as Job);
  }
  const marks = new Map<string, string>();
  const looked: Looked[] = [];
  const traces: Record<string, number | Error> = {};
  const store = (name: "lake" | "timelines"): ErasureStore => ({
    name,
    erase: async () => ({ done: true, position: null, found: nothingFound("rows") }),
    async verify(run, position) {
      clock.ms += stepMs;
      const slice = (position as number | null) ?? 1;
      if (slice < slices) return { done: false, position: slice + 1, traces: 0, statement: "" };
      looked.push({ job: run.id, store: name, run });
      const found = traces[`${run.id} ${name}`] ?? 0;
      if (found instanceof Error) throw found;
      return { done: true, position: null, traces: found, statement: "" };
    },
  });
  const deps: ErasureCheckDeps = {
    ...{ hash, bucket, stores: [store("lake"), store("timelines")] },
    logs: { getByName: () => ({ rules: async () => ({ version: 9, rules: [] }) }) } as never,
    desk: {
      overview: async (_kinds, limit) => ({ jobs: done.slice(0, limit), settled: [], rules: jobs }),
      job: async (id) => done.find((job) => job.id === id) ?? null,
      mark: async (name) => marks.get(name) ?? null,
      setMark: async (name, value) => void marks.set(name, value),
    },
  };
  const check = (asked: "hourly" | "more" | "now") => checkErasures(deps, () => clock.ms, asked);
  const toEnd = async (asked: "hourly" | "now") => {
    let more = await check(asked);
    while (more) more = await check("more");
  };
  const saved = () => JSON.parse(marks.get(ERASURE_CHECK)!) as ErasureCheck;
  return { check, clock, done, looked, saved, toEnd, traces };
}

describe("the daily look for people who were erased", () => {
  it("promise 7: asks every store, with keyed hashes alone, once a day", async () => {
    const { check, clock, looked, saved } = await world();
    expect(await check("hourly")).toBe(false);
    expect(looked.map(({ job, store }) => [job, store])).toEqual([
      ["erasure-1", "lake"],
      ["erasure-1", "timelines"],
    ]);
    const { run } = looked[0]!;
    expect(run).toMatchObject({ subjects: [], version: 1, places: [5], raisedAt: 7 });
    expect(run.matches({ user_id: "user-1-0", anonymous_id: null, properties: null })).toBe(true);
    expect(run.matches({ user_id: "user-2-0", anonymous_id: null, properties: null })).toBe(false);
    expect(saved()).toMatchObject({ stores: { lake: { looked: 1, traces: 0, error: null } }, found: [] });
    expect(saved().endedAt).not.toBeNull();
    clock.ms += ERASURE.checkStallMs;
    await check("hourly");
    expect(looked).toHaveLength(2);
    clock.ms += DAY_MS;
    await check("hourly");
    expect(looked).toHaveLength(4);
  });

  it("promise 7: tells loudly of a trace, looks there first the next day, and forgets it once it is gone", async () => {
    const { clock, looked, saved, toEnd, traces } = await world({ jobs: ERASURE.checkedJobs + 3 });
    traces["erasure-2 lake"] = 3;
    for (let day = 0; saved === undefined || !looked.some(({ job }) => job === "erasure-2"); day++) {
      expect(day).toBeLessThan(3);
      await toEnd("hourly");
      clock.ms += DAY_MS;
    }
    expect(saved().found).toMatchObject([{ job: "erasure-2", store: "lake", traces: 3 }]);
    expect(saved().stores.lake!.traces).toBe(3);
    expect(vi.mocked(console.error).mock.calls.flat().join()).toContain('"traces":3');
    traces["erasure-2 lake"] = 0;
    looked.length = 0;
    await toEnd("hourly");
    expect(looked[0]!.job).toBe("erasure-2");
    expect(saved().found).toEqual([]);
  });

  it("looks for ERASURE.checkedJobs a day, each day others, until all have had their turn", async () => {
    const { clock, looked, toEnd } = await world({ jobs: 2 * ERASURE.checkedJobs });
    for (let day = 0; day < 4; day++) {
      looked.length = 0;
      await toEnd("hourly");
      expect(new Set(looked.map(({ job }) => job)).size).toBe(ERASURE.checkedJobs);
      clock.ms += DAY_MS;
    }
    const seen = new Set<string>();
    for (let day = 0; day < 2 * ERASURE.checkedJobs; day++) {
      await toEnd("hourly");
      clock.ms += DAY_MS;
      for (const { job } of looked) seen.add(job);
    }
    expect(seen.size).toBe(2 * ERASURE.checkedJobs);
  });

  it("looks for ERASURE.checkedSubjects of an erasure's people at most", async () => {
    const { looked, toEnd } = await world({ people: ERASURE.checkedSubjects + 1 });
    await toEnd("now");
    expect(looked[0]!.run.hashes.size).toBeGreaterThan(ERASURE.checkedSubjects / 3);
    expect(looked[0]!.run.hashes.size).toBeLessThanOrEqual(ERASURE.checkedSubjects);
  });

  it("goes on in slices, and where a day's ERASURE.checkMs are used up on the day after, where it stood", async () => {
    const { check, clock, looked, saved } = await world({
      stepMs: REPLAY.sliceMs,
      slices: 3 * (ERASURE.checkMs / REPLAY.sliceMs),
    });
    let slices = 1;
    for (let more = await check("hourly"); more; more = await check("more")) slices++;
    expect(slices).toBe(ERASURE.checkMs / REPLAY.sliceMs);
    expect(saved()).toMatchObject({ endedAt: null, spent: { ms: ERASURE.checkMs } });
    const { at } = saved();
    clock.ms += ERASURE.checkStallMs + 1;
    expect(await check("hourly")).toBe(false);
    expect(saved().at).toEqual(at);
    clock.ms += DAY_MS;
    expect(await check("hourly")).toBe(true);
    expect(saved().at.position).toBe((at.position as number) + 1);
    expect(looked).toEqual([]);
  });

  it("is left to whoever is at it, and taken up again where nothing was heard of them for ERASURE.checkStallMs", async () => {
    const { check, clock, saved } = await world({ stepMs: REPLAY.sliceMs, slices: 9 });
    await check("hourly");
    const { at } = saved();
    clock.ms += ERASURE.checkStallMs;
    expect(await check("hourly")).toBe(false);
    expect(saved().at).toEqual(at);
    clock.ms += 1;
    expect(await check("hourly")).toBe(true);
    expect(saved().at.position).toBe(3);
  });

  it("goes on with the others where a store cannot look, and says which", async () => {
    const { looked, saved, toEnd, traces } = await world();
    traces["erasure-1 lake"] = new Error("the catalog is down");
    await toEnd("hourly");
    expect(looked.map(({ store }) => store)).toContain("timelines");
    expect(saved().stores.lake).toMatchObject({ looked: 0, error: "the catalog is down" });
    expect(saved().stores.timelines).toMatchObject({ looked: 1, error: null });
  });

  it("has nothing to look for where nobody was erased", async () => {
    const { saved, toEnd, looked } = await world({ jobs: 0 });
    await toEnd("hourly");
    expect(looked).toEqual([]);
    expect(saved()).toMatchObject({ jobs: [], stores: {} });
    expect(saved().endedAt).not.toBeNull();
  });
});
