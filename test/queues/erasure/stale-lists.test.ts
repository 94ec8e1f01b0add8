import { describe, expect, it } from "vitest";
import type { ActAnswer, Job, JobState } from "../../../durable-objects/replay-desk/api.ts";
import { PREVIEW_OBJECT, SUBJECTS_OBJECT } from "../../../queues/erasure/erasure-objects.ts";
import { letGoStaleLists, type StaleListsDeps } from "../../../queues/erasure/stale-lists.ts";
import { jobKey } from "../../../r2-layout/keys.ts";
import { ERASURE, MINUTE_MS } from "../../../r2-layout/limits.ts";

const NOW = 1_800_000_000_000;

/** Requests by id, and lists by their key. */
function world(
  states: Readonly<Record<string, { state: JobState; age?: number }>>,
  keys: Readonly<Record<string, number>>,
) {
  const jobs = new Map(
    Object.entries(states).map(([id, { state, age = 0 }]) => [id, { id, state, createdAt: NOW - age } as Job]),
  );
  const objects = new Map(Object.entries(keys).map(([key, age]) => [key, new Date(NOW - age)]));
  const deps: StaleListsDeps = {
    desk: {
      job: async (id) => jobs.get(id) ?? null,
      async act(id, action): Promise<ActAnswer> {
        expect(action).toBe("cancel");
        const job = jobs.get(id)!;
        if (job.state !== "preview") return { kind: "refused", detail: "", job };
        jobs.set(id, { ...job, state: "cancelled" });
        return { kind: "accepted", job: jobs.get(id)! };
      },
    },
    bucket: {
      async list({ prefix, startAfter = "", limit }) {
        const found = [...objects].filter(([key]) => key.startsWith(prefix) && key > startAfter).sort();
        const page = found.slice(0, limit).map(([key, uploaded]) => ({ key, uploaded }));
        return { objects: page, truncated: found.length > limit };
      },
      async delete(gone) {
        for (const key of gone) objects.delete(key);
      },
    },
  };
  const left = () => [...objects.keys()].sort();
  return { deps, jobs, left };
}

const preview = (id: string) => jobKey(id, PREVIEW_OBJECT);
const subjects = (id: string) => jobKey(id, SUBJECTS_OBJECT);

describe("lists of people whom nobody goes on to erase", () => {
  it("promise 7: go with a preview that nobody confirms in ERASURE.previewMs, and not before", async () => {
    const { deps, jobs, left } = world(
      {
        "erasure-old": { state: "preview", age: ERASURE.previewMs + 1 },
        "erasure-young": { state: "preview", age: ERASURE.previewMs },
        "erasure-open": { state: "running", age: 2 * ERASURE.previewMs },
      },
      {
        [preview("erasure-old")]: ERASURE.previewMs,
        [preview("erasure-young")]: ERASURE.previewMs,
        [preview("erasure-open")]: 2 * ERASURE.previewMs,
        [subjects("erasure-open")]: ERASURE.previewMs,
      },
    );
    expect(await letGoStaleLists(deps, NOW, null)).toEqual({ withdrawn: 1, deleted: 1, after: null });
    expect(jobs.get("erasure-old")?.state).toBe("cancelled");
    expect(jobs.get("erasure-young")?.state).toBe("preview");
    expect(left()).toEqual([preview("erasure-open"), subjects("erasure-open"), preview("erasure-young")].sort());
    expect(await letGoStaleLists(deps, NOW, null)).toEqual({ withdrawn: 0, deleted: 0, after: null });
  });

  it("promise 7: go where a crash left them without a job, once ERASURE.listGraceMs is over, and after a withdrawal at once", async () => {
    const { deps, left } = world(
      { "erasure-gone": { state: "cancelled" }, "erasure-done": { state: "done" } },
      {
        [preview("erasure-crashed")]: ERASURE.listGraceMs + 1,
        [preview("erasure-being-made")]: ERASURE.listGraceMs,
        [preview("erasure-gone")]: 1,
        [subjects("erasure-gone")]: 1,
        [jobKey("erasure-done", "replaced/lake/1.json.gz")]: 1,
      },
    );
    expect(await letGoStaleLists(deps, NOW, null)).toMatchObject({ withdrawn: 0, deleted: 3 });
    expect(left()).toEqual([preview("erasure-being-made"), jobKey("erasure-done", "replaced/lake/1.json.gz")]);
  });

  it("stay where somebody confirms in the moment in which the preview runs out", async () => {
    const { deps, jobs, left } = world(
      { "erasure-late": { state: "preview", age: ERASURE.previewMs + MINUTE_MS } },
      { [preview("erasure-late")]: ERASURE.previewMs },
    );
    const raced: StaleListsDeps = {
      ...deps,
      desk: {
        ...deps.desk,
        async act(id, action) {
          jobs.set(id, { ...jobs.get(id)!, state: "running" });
          return deps.desk.act(id, action);
        },
      },
    };
    expect(await letGoStaleLists(raced, NOW, null)).toMatchObject({ withdrawn: 0, deleted: 0 });
    expect(left()).toEqual([preview("erasure-late")]);
  });

  it("are gone over a page of ERASURE.recordsListed at a time, to the last", async () => {
    const ids = Array.from({ length: ERASURE.recordsListed + 1 }, (_, i) => `erasure-${String(i).padStart(6, "0")}`);
    const { deps, left } = world({}, Object.fromEntries(ids.map((id) => [preview(id), 2 * ERASURE.listGraceMs])));
    const first = await letGoStaleLists(deps, NOW, null);
    expect(first).toMatchObject({ deleted: ERASURE.recordsListed, after: preview(ids.at(-2)!) });
    expect(await letGoStaleLists(deps, NOW, first.after)).toMatchObject({ deleted: 1, after: null });
    expect(left()).toEqual([]);
  });
});
