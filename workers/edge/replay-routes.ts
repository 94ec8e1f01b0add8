/** POST /v1/replays and what follows from it: one job of the desk for each, seen and steered here. */
import { createHash } from "node:crypto";
import type { Context, Hono } from "hono";
import { ulid } from "ulidx";
import type { EventLogApi, EventLogPlacesApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type {
  CreateAnswer,
  JobAction,
  JobKind,
  JobSpec,
  NewJob,
  ReplayDeskApi,
} from "../../durable-objects/replay-desk/api.ts";
import { JOB_ACTIONS, REPLAY_DESK_NAME } from "../../durable-objects/replay-desk/api.ts";
import { shardName } from "../../r2-layout/keys.ts";
import { INGEST, REPLAY } from "../../r2-layout/limits.ts";
import { isoMicros, MICROS_PER_MS } from "../../r2-layout/time.ts";
import { problem } from "../problem.ts";
import { jobJson, jobsJson } from "./job-json.ts";
import { readJsonBody } from "./json-body.ts";
import { badParameter, countParameter, Refused } from "./parameters.ts";
import { auditSpec, REPLAY_MEMBERS, replaySpec } from "./replay-request.ts";

export interface ReplayRoutes {
  readonly desks: ObjectNamespace<ReplayDeskApi>;
  readonly logs: ObjectNamespace<Pick<EventLogApi, "segments"> & EventLogPlacesApi>;
  readonly shards: number;
  /** Microseconds. */
  readonly now: () => number;
  /** The token's hash, if it has the scope. @throws Refused */
  readonly admin: (request: Request) => string;
}

export function addReplays(app: Hono, routes: ReplayRoutes): void {
  const { admin, now, shards } = routes;
  const desk = () => routes.desks.getByName(REPLAY_DESK_NAME);

  app.post("/v1/replays", async (c) => {
    const token = admin(c.req.raw);
    const spec = replaySpec(await readJsonBody(c.req.raw, REPLAY.bodyBytes, REPLAY_MEMBERS), shards);
    await refuseBeyondLog(routes, spec);
    return created(await desk().create(newJob(spec, idempotencyKey(c, token), now())));
  });
  app.post("/v1/audits", async (c) => {
    const token = admin(c.req.raw);
    const spec = auditSpec(await readJsonBody(c.req.raw, REPLAY.bodyBytes, ["days", "rate"]), now() / MICROS_PER_MS);
    return created(await desk().create(newJob(spec, idempotencyKey(c, token), now())));
  });
  app.get("/v1/replays", async (c) => {
    admin(c.req.raw);
    return c.json(await listed(c, desk()));
  });
  addJob(app, "/v1/replays", routes);
}

/** GET one, POST an action, DELETE to cancel: the same for every kind of job. */
export function addJob(app: Hono, path: string, { desks, admin }: ReplayRoutes, kind?: JobKind): void {
  const desk = () => desks.getByName(REPLAY_DESK_NAME);
  app.get(`${path}/:id`, async (c) => {
    admin(c.req.raw);
    const job = await desk().job(c.req.param("id"));
    return job && (kind === undefined || job.kind === kind) ? c.json(jobJson(job)) : problem({ reason: "not_found" });
  });
  const act = async (id: string, action: JobAction): Promise<Response> => {
    if (kind !== undefined && (await desk().job(id))?.kind !== kind) return problem({ reason: "not_found" });
    const answer = await desk().act(id, action);
    if (answer.kind === "unknown") return problem({ reason: "not_found" });
    if (answer.kind === "accepted") return Response.json(jobJson(answer.job), { status: 202 });
    return problem({ reason: "job_refuses", detail: answer.detail, state: answer.job.state });
  };
  app.post(`${path}/:id/:action`, async (c) => {
    admin(c.req.raw);
    const action = JOB_ACTIONS.find((known) => known === c.req.param("action"));
    if (!action) return problem({ reason: "not_found" });
    // Read, though it says nothing: a body that is left unread costs the client its connection.
    await readJsonBody(c.req.raw, REPLAY.bodyBytes, []);
    return act(c.req.param("id"), action);
  });
  app.delete(`${path}/:id`, (c) => {
    admin(c.req.raw);
    return act(c.req.param("id"), "cancel");
  });
}

/** A page, newest first; `cursor` is what the page before gave as `next`. @throws Refused */
export async function listed(c: Context, desk: ReplayDeskApi, kinds?: readonly JobKind[]) {
  const query = new URL(c.req.url).searchParams;
  const limit = countParameter(query, "limit", { fallback: REPLAY.jobsListed, max: REPLAY.jobsListedMax });
  const cursor = query.get("cursor");
  if (cursor !== null && !/^\d{1,15}$/.test(cursor)) throw badParameter("cursor", "as the last page gave it");
  return jobsJson(await desk.overview(kinds, limit, cursor === null ? undefined : Number(cursor)));
}

export function newJob(
  spec: JobSpec,
  key: string | null,
  nowUs: number,
  given: { readonly preview?: unknown; readonly fingerprint?: string } = {},
): NewJob {
  return {
    id: `${spec.kind}-${ulid(nowUs / MICROS_PER_MS).toLowerCase()}`,
    spec,
    ...(key !== null && { key, fingerprint: fingerprint(spec) }),
    ...given,
  };
}

export const fingerprint = (of: unknown): string => createHash("sha256").update(JSON.stringify(of)).digest("hex");

/** The caller's own, apart from other callers'. @throws Refused */
export function idempotencyKey(c: Context, token: string): string | null {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return null;
  if (key === "" || key.length > REPLAY.keyChars) {
    throw badParameter("Idempotency-Key", `1 to ${REPLAY.keyChars} characters`);
  }
  return `${token.slice(0, 16)}:${new URL(c.req.url).pathname}:${key}`;
}

/** 202 for a new job, 200 for one that the key has made before. */
export function created(answer: CreateAnswer): Response {
  switch (answer.kind) {
    case "created":
      return Response.json(jobJson(answer.job), { status: 202 });
    case "known":
      return Response.json(jobJson(answer.job));
    case "busy":
      return problem({
        reason: "sink_is_busy",
        detail: `${answer.job.id} is ${answer.job.state}: let it end, or confirm, revert or cancel it`,
        job: answer.job.id,
      });
    case "mismatch":
      return problem({ reason: "idempotency_mismatch", job: answer.job.id });
    case "too_many":
      return problem({ reason: "too_many_jobs", limit: REPLAY.openJobs, retry_after_s: INGEST.retryAfterSeconds });
  }
}

/** The lake is the long record: what the log no longer has stands nowhere else to build the lake from. @throws Refused */
async function refuseBeyondLog({ logs, shards }: ReplayRoutes, spec: JobSpec): Promise<void> {
  if ((spec.kind !== "fill" && spec.kind !== "rebuild") || !spec.sinks.includes("lake")) return;
  const asked = spec.range ? [spec.range.shard] : Array.from({ length: shards }, (_, shard) => shard);
  for (const shard of asked) {
    const log = logs.getByName(shardName(shard));
    const { oldest } = await log.between(0, 0);
    if (oldest <= 1) continue;
    const first = (await log.segments(oldest - 1, 1)).segments[0];
    const since = first ? isoMicros(first.minReceivedAt) : null;
    const isBefore = spec.range
      ? spec.range.from < oldest
      : spec.from === null || first === undefined || spec.from * MICROS_PER_MS < first.minReceivedAt;
    if (isBefore) throw new Refused({ reason: "beyond_the_log", shard, oldest_seq: oldest, oldest_received_at: since });
  }
}
