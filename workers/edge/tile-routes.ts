/**
 * Custom rollups: what a dashboard's tile counts, for good. Reading takes the scope `live`; making and deleting takes `admin`, because each
 * costs work for every event and rows in every shard for as long as it is there.
 */
import type { Hono } from "hono";
import { ulid } from "ulidx";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { type Job, REPLAY_DESK_NAME, type ReplayDeskApi } from "../../durable-objects/replay-desk/api.ts";
import { isWorking } from "../../durable-objects/replay-desk/job-rules.ts";
import { TILE_REGISTRY_NAME, type TileRecord, type TileRegistryApi } from "../../durable-objects/tile-rollup/api.ts";
import type { TileDefinition } from "../../durable-objects/tile-rollup/definition.ts";
import { DEFINITION_MEMBERS, parseDefinition } from "../../durable-objects/tile-rollup/parse-definition.ts";
import type { TilesProgress } from "../../queues/rollups/tiles-job.ts";
import { createTilesJob } from "../../queues/rollups/tiles-upkeep.ts";
import { TILES } from "../../r2-layout/limits.ts";
import type { RuleField } from "../../r2-layout/rule.ts";
import { problem } from "../problem.ts";
import { readJsonBody } from "./json-body.ts";
import { badParameter } from "./parameters.ts";

export interface TileRoutes {
  readonly registry: ObjectNamespace<TileRegistryApi>;
  readonly desks: ObjectNamespace<Pick<ReplayDeskApi, "create" | "job">>;
  /** @throws Refused where the token may not. */
  readonly reader: (request: Request) => void;
  readonly admin: (request: Request) => void;
}

const PATH = "/v1/rollup-definitions";

export function addTiles(app: Hono, { registry: registries, desks, reader, admin }: TileRoutes): void {
  const registry = () => registries.getByName(TILE_REGISTRY_NAME);
  const desk = () => desks.getByName(REPLAY_DESK_NAME);
  const shown = async (record: TileRecord) =>
    definitionJson(record, record.filled || record.job === null ? null : await desk().job(record.job));

  /** It has none yet, or that was cancelled; one that has failed can be resumed. */
  const isWithoutJob = async ({ job: id }: TileRecord) => {
    const job = id === null ? null : await desk().job(id);
    return job === null || job.state === "cancelled";
  };

  app.post(PATH, async (c) => {
    admin(c.req.raw);
    const parsed = parseDefinition(await readJsonBody(c.req.raw, TILES.bodyBytes, DEFINITION_MEMBERS));
    if (!parsed.ok) throw badParameter(parsed.error.parameter, parsed.error.detail);
    const answer = await registry().define(parsed.value);
    if (answer.kind === "full") return problem({ reason: "too_many_rollups", limit: answer.limit });
    const { id } = answer.record.definition;
    if (!answer.record.filled && (await isWithoutJob(answer.record))) {
      // One that was given up has its name for good.
      const job = `tiles-${id}-${ulid().toLowerCase()}`;
      // Where the desk is full the cron makes one, as it does where this dies here.
      if (await createTilesJob(desk(), job, { tiles: [id], windows: null })) await registry().assign([id], job);
    }
    const record = (await registry().record(id)) ?? answer.record;
    return c.json(await shown(record), answer.kind === "added" ? 201 : 200);
  });

  app.get(PATH, async (c) => {
    reader(c.req.raw);
    const { records } = await registry().list();
    return c.json({ definitions: await Promise.all(records.map(shown)) });
  });

  app.get(`${PATH}/:id`, async (c) => {
    reader(c.req.raw);
    const record = await registry().record(c.req.param("id"));
    return record ? c.json(await shown(record)) : problem({ reason: "not_found" });
  });

  app.delete(`${PATH}/:id`, async (c) => {
    admin(c.req.raw);
    const version = await registry().remove(c.req.param("id"));
    if (version === null) return problem({ reason: "not_found" });
    // The shards are told, and let go of its rows.
    await createTilesJob(desk(), `tiles-without-v${version}`, { tiles: [], windows: null });
    return new Response(null, { status: 204 });
  });
}

/** How far its past has been filled in: `job` is the one to look at where that failed. */
function definitionJson({ definition, filled, job: jobId, createdAt }: TileRecord, job: Job | null) {
  const moves = jobId === null || (job !== null && (isWorking(job.state) || job.state === "done"));
  return {
    ...requestOf(definition),
    state: filled ? "ready" : moves ? "filling" : "failed",
    progress: filled ? 1 : progressOf(job),
    job: jobId,
    created_at: new Date(createdAt).toISOString(),
  };
}

/** Window by window, the newest first: the job tells how far it is with one. */
function progressOf(job: Job | null): number | null {
  const { n = 0, windows = [] } = (job?.progress ?? {}) as Partial<TilesProgress>;
  if (job === null || windows.length === 0) return null;
  const { read, total } = job.meter;
  return Math.min(1, (n + (total ? Math.min(1, read / total) : 0)) / windows.length);
}

/** As the request names it. */
function requestOf(definition: TileDefinition) {
  const { id, name, measure, field, numerator, denominator, steps, by, grainMinutes, filter } = definition;
  return {
    id,
    name,
    measure,
    ...(field && fieldJson(field)),
    ...(numerator && { numerator }),
    ...(denominator && { denominator }),
    ...(steps && { steps }),
    by: by.map((one) => (isProperty(one) ? fieldJson(one) : one)),
    grain_minutes: grainMinutes,
    filter,
  };
}

const PROPERTY = "properties.";
const isProperty = (field: RuleField): boolean => field.startsWith(PROPERTY);
const fieldJson = (field: RuleField) =>
  isProperty(field) ? { property: field.slice(PROPERTY.length) } : { column: field };
