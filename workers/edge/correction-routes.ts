/**
 * POST /v1/corrections counts what a change would touch and keeps it as a preview; POST …/confirm makes it so, in the log
 * and in every store.
 */
import type { Hono } from "hono";
import type { CorrectionSpec } from "../../durable-objects/replay-desk/api.ts";
import { REPLAY_DESK_NAME } from "../../durable-objects/replay-desk/api.ts";
import { INGEST, REPLAY } from "../../r2-layout/limits.ts";
import {
  CORRECTION_MEMBERS,
  correctionSpec,
  previewSamples,
  previewWhere,
  type SqlRows,
} from "./correction-request.ts";
import type { Fetches } from "./env.ts";
import { readJsonBody } from "./json-body.ts";
import { Refused } from "./parameters.ts";
import { addJob, created, fingerprint, idempotencyKey, listed, newJob, type ReplayRoutes } from "./replay-routes.ts";

export function addCorrections(app: Hono, routes: ReplayRoutes, query: Fetches): void {
  const desk = () => routes.desks.getByName(REPLAY_DESK_NAME);

  app.post("/v1/corrections", async (c) => {
    const token = routes.admin(c.req.raw);
    const spec = correctionSpec(await readJsonBody(c.req.raw, REPLAY.bodyBytes, CORRECTION_MEMBERS));
    const key = idempotencyKey(c, token);
    // Counting costs: a repeat is answered without it.
    const known = key === null ? null : await desk().known(key);
    if (known) {
      return created({ kind: known.fingerprint === fingerprint(spec) ? "known" : "mismatch", job: known.job });
    }
    const preview = await counted(spec, (sql) => ask(query, c.req.url, token, sql));
    return created(await desk().create(newJob(spec, key, routes.now(), { preview })));
  });
  app.get("/v1/corrections", async (c) => {
    routes.admin(c.req.raw);
    const { replays, ...rest } = await listed(c, desk(), ["correction"]);
    return c.json({ corrections: replays, ...rest });
  });
  addJob(app, "/v1/corrections", routes, "correction");
}

interface SqlAnswer extends SqlRows {
  readonly stats: { readonly snapshot?: number };
}

/** What the change touches in the lake, as of one snapshot, and a few of the rows. @throws Refused */
async function counted(spec: CorrectionSpec, sql: (statement: string) => Promise<SqlAnswer>) {
  const where = previewWhere(spec.filter, spec.change);
  const found = await sql(`select count(*) from events where ${where}`);
  const count = Number(found.rows[0]?.[0] ?? 0);
  const rows = count === 0 ? null : await sql(`select * from events where ${where} limit ${REPLAY.samples}`);
  return {
    count,
    samples: rows === null ? [] : previewSamples(rows, spec.change),
    as_of: found.stats.snapshot ?? null,
  };
}

/** @throws Refused where the statement is refused: the filter cannot be counted, so nobody should confirm it. */
async function ask(query: Fetches, url: string, token: string, sql: string): Promise<SqlAnswer> {
  const headers = new Headers({ "content-type": "application/json", "x-eventpile-token": token });
  const body = JSON.stringify({ sql, format: "json" });
  const response = await query.fetch(new Request(new URL("/v1/sql", url), { method: "POST", headers, body }));
  if (response.ok) return response.json();
  const { title, detail } = (await response.json().catch(() => ({}))) as { title?: string; detail?: string };
  if (response.status >= 500 || response.status === 429) {
    throw new Refused({ reason: "upstream_unavailable", retry_after_s: INGEST.retryAfterSeconds });
  }
  throw new Refused({ reason: "not_countable", detail: [title, detail].filter(Boolean).join(": ") });
}
