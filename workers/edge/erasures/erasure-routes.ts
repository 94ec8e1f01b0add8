/**
 * POST /v1/erasures finds who else is the same person and keeps both lists as a preview; POST …/confirm makes it so, in the
 * log and in every store; …/receipt is what it leaves. Identifiers in clear lie in one object of the bucket each, never in
 * the desk; they go with the end of the job.
 */
import type { Hono } from "hono";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { type Job, REPLAY_DESK_NAME, type ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import {
  type ClosureLink,
  confirmedSubjects,
  countSubjects,
  type ErasurePreview,
  PREVIEW_OBJECT,
  SUBJECTS_OBJECT,
} from "../../../queues/erasure/erasure-objects.ts";
import { type FirstPutBucket, type JobBucket, JobStore } from "../../../queues/replay/job-store.ts";
import { jobKey, RECEIPT_KEYS, receiptName } from "../../../r2-layout/keys.ts";
import { ERASURE, INGEST, REPLAY } from "../../../r2-layout/limits.ts";
import type { Subject, SubjectHasher } from "../../../r2-layout/subjects.ts";
import type { ErasurePreviewJson } from "../../erasure-json.ts";
import { problem } from "../../problem.ts";
import { readJsonBody } from "../json-body.ts";
import { badParameter, countParameter, Refused } from "../parameters.ts";
import { fingerprint, idempotencyKey, newJob } from "../replay-routes.ts";
import { erasureJson } from "./erasure-json.ts";
import {
  CONFIRM_MEMBERS,
  confirmation,
  ERASURE_MEMBERS,
  erasureRequest,
  erasureSpec,
  listed,
} from "./erasure-request.ts";
import { readCheck } from "./erasures-overview.ts";

export interface ErasureRoutes {
  readonly desks: ObjectNamespace<ReplayDeskApi>;
  readonly bucket: JobBucket & FirstPutBucket & { delete(keys: string | string[]): Promise<unknown> };
  /** Who else is the same person. */
  closure(
    subjects: readonly Subject[],
  ): Promise<{ readonly links: readonly ClosureLink[]; readonly complete: boolean }>;
  readonly hash: SubjectHasher;
  /** Microseconds. */
  readonly now: () => number;
  /** The token's hash, if it has the scope. @throws Refused */
  readonly admin: (request: Request) => string;
}

export function addErasures(app: Hono, routes: ErasureRoutes): void {
  const { admin, bucket } = routes;
  const desk = () => routes.desks.getByName(REPLAY_DESK_NAME);
  const nowMs = () => routes.now() / 1_000;
  const find = async (id: string): Promise<Job | null> => {
    const job = await desk().job(id);
    return job?.kind === "erasure" ? job : null;
  };

  app.post("/v1/erasures", async (c) => {
    const token = admin(c.req.raw);
    const request = erasureRequest(await readJsonBody(c.req.raw, ERASURE.bodyBytes, ERASURE_MEMBERS));
    const spec = erasureSpec(request);
    const key = idempotencyKey(c, token);
    // Kept with the job for good: of keyed hashes, for a plain one could be tried out by who guesses a name.
    const print = fingerprint({ spec, subjects: request.subjects.map(routes.hash) });
    const known = key === null ? null : await desk().known(key);
    if (known) {
      if (known.fingerprint !== print) return problem({ reason: "idempotency_mismatch", job: known.job.id });
      return c.json(await withPreview(bucket, known.job, nowMs()));
    }
    const closure = await routes.closure(request.subjects);
    const preview: ErasurePreview = { asked: request.subjects, ...closure };
    const links = closure.links.map(({ subject }) => subject);
    if (request.subjects.length + links.length > ERASURE.subjects) {
      throw badParameter("user_ids", `${links.length} others are the same people: at most ${ERASURE.subjects} at once`);
    }
    const own = closure.links.filter(({ shared }) => !shared).map(({ subject }) => subject);
    const job = newJob(spec, key, routes.now(), { preview: countSubjects(own) });
    // Before the job: whoever confirms it finds it. Should the job not come about, the object is nobody's, and goes.
    const store = new JobStore(bucket, job.id);
    await store.put(PREVIEW_OBJECT, preview);
    const answer = await desk().create({ ...job, ...(key !== null && { fingerprint: print }) });
    if (answer.kind === "created") return c.json(await withPreview(bucket, answer.job, nowMs()), 201);
    await bucket.delete(jobKey(job.id, PREVIEW_OBJECT));
    switch (answer.kind) {
      case "known":
        return c.json(await withPreview(bucket, answer.job, nowMs()));
      case "too_many":
        return problem({ reason: "too_many_jobs", limit: REPLAY.openJobs, retry_after_s: INGEST.retryAfterSeconds });
      default:
        return problem({ reason: "idempotency_mismatch", job: answer.job.id });
    }
  });

  app.get("/v1/erasures", async (c) => {
    admin(c.req.raw);
    const query = new URL(c.req.url).searchParams;
    const limit = countParameter(query, "limit", { fallback: REPLAY.jobsListed, max: REPLAY.jobsListedMax });
    const cursor = query.get("cursor");
    if (cursor !== null && !/^\d{1,15}$/.test(cursor)) throw badParameter("cursor", "as the last page gave it");
    const { jobs, next } = await desk().overview(["erasure"], limit, cursor === null ? undefined : Number(cursor));
    const erasures = jobs.map((job) => erasureJson(job, nowMs()));
    const check = await readCheck(desk());
    return c.json({ check, erasures, next: next === undefined ? null : String(next) });
  });

  app.get("/v1/erasures/key", async (c) => {
    admin(c.req.raw);
    const { objects } = await bucket.list({ prefix: RECEIPT_KEYS, limit: KEYS_LISTED });
    const keys = await Promise.all(objects.map(async ({ key }) => JSON.parse((await textAt(bucket, key)) ?? "null")));
    return c.json({ algorithm: "Ed25519", keys });
  });

  app.get("/v1/erasures/:id", async (c) => {
    admin(c.req.raw);
    const job = await find(c.req.param("id"));
    return job ? c.json(await withPreview(bucket, job, nowMs())) : problem({ reason: "not_found" });
  });

  app.get("/v1/erasures/:id/receipt", async (c) => {
    admin(c.req.raw);
    const id = c.req.param("id");
    const job = await find(id);
    if (!job) return problem({ reason: "not_found" });
    // Written a moment before the end: what is not done has none to show.
    const receipt = job.state === "done" ? await textAt(bucket, receiptName(id)) : null;
    if (receipt === null) {
      return problem({
        reason: "job_refuses",
        detail: "there is a receipt once every store has confirmed",
        state: job.state,
      });
    }
    return new Response(receipt, { headers: { "content-type": "application/json" } });
  });

  app.post("/v1/erasures/:id/confirm", async (c) => {
    admin(c.req.raw);
    const asked = confirmation(await readJsonBody(c.req.raw, ERASURE.bodyBytes, CONFIRM_MEMBERS));
    const id = c.req.param("id");
    const job = await find(id);
    if (!job) return problem({ reason: "not_found" });
    if (job.state === "preview") await keepConfirmed(bucket, id, asked.exclude, asked.include);
    const answer = await desk().act(id, "confirm");
    if (answer.kind === "unknown") return problem({ reason: "not_found" });
    if (answer.kind === "accepted") return c.json(erasureJson(answer.job, nowMs()), 202);
    return problem({ reason: "job_refuses", detail: answer.detail, state: answer.job.state });
  });

  app.post("/v1/erasures/:id/resume", async (c) => {
    admin(c.req.raw);
    await readJsonBody(c.req.raw, REPLAY.bodyBytes, []);
    if (!(await find(c.req.param("id")))) return problem({ reason: "not_found" });
    const answer = await desk().act(c.req.param("id"), "resume");
    if (answer.kind === "accepted") return c.json(erasureJson(answer.job, nowMs()), 202);
    if (answer.kind === "unknown") return problem({ reason: "not_found" });
    return problem({ reason: "job_refuses", detail: answer.detail, state: answer.job.state });
  });

  app.delete("/v1/erasures/:id", async (c) => {
    admin(c.req.raw);
    const id = c.req.param("id");
    if (!(await find(id))) return problem({ reason: "not_found" });
    const answer = await desk().act(id, "cancel");
    if (answer.kind === "unknown") return problem({ reason: "not_found" });
    if (answer.kind === "refused") {
      return problem({ reason: "job_refuses", detail: answer.detail, state: answer.job.state });
    }
    // A preview ends at once, and nobody else comes for its lists; of a running one the driver does this.
    if (answer.job.state === "cancelled") await deleteLists(bucket, id);
    return c.json(erasureJson(answer.job, nowMs()), 202);
  });
}

const KEYS_LISTED = 100;

/** The first confirmation says whom it is about; one that comes again, or beside it, does not change that. @throws Refused */
async function keepConfirmed(
  bucket: ErasureRoutes["bucket"],
  id: string,
  exclude: readonly Subject[],
  include: readonly Subject[],
): Promise<void> {
  const store = new JobStore(bucket, id);
  const preview = await store.get<ErasurePreview>(PREVIEW_OBJECT);
  const subjects = confirmedSubjects(preview, exclude, include);
  if (subjects.length === 0) throw badParameter("exclude", "nobody is left to erase: delete the request instead");
  if (await store.putFirst(bucket, SUBJECTS_OBJECT, subjects)) return;
  const before = await store.get<readonly Subject[]>(SUBJECTS_OBJECT);
  if (fingerprint(before) !== fingerprint(subjects)) {
    throw new Refused({ reason: "job_refuses", detail: "it was confirmed with other exclusions", state: "preview" });
  }
}

async function deleteLists(bucket: ErasureRoutes["bucket"], id: string): Promise<void> {
  await bucket.delete([jobKey(id, PREVIEW_OBJECT), jobKey(id, SUBJECTS_OBJECT)]);
}

/** Whom it is about is shown while somebody still has to decide; afterwards only how many. */
async function withPreview(bucket: JobBucket, job: Job, nowMs: number): Promise<ErasurePreviewJson> {
  const json = erasureJson(job, nowMs);
  const nobody = { asked: listed([]), closure: null };
  if (job.state !== "preview") return { ...json, ...nobody };
  const { asked, links, complete } = await new JobStore(bucket, job.id).get<ErasurePreview>(PREVIEW_OBJECT);
  const shown = links.map(({ subject, via, shared }) => ({ kind: subject.kind, id: subject.id, via, shared }));
  return { ...json, asked: listed(asked), closure: { links: shown, complete } };
}

async function textAt(bucket: Pick<JobBucket, "get">, key: string): Promise<string | null> {
  const object = await bucket.get(key);
  return object && new TextDecoder().decode(await object.arrayBuffer());
}
