/**
 * POST /v1/corrections counts what a change would touch and keeps it as a preview; POST …/confirm makes it so, in the log
 * and in every store.
 */
import type { Hono } from "hono";
import type { CorrectionSpec } from "../../durable-objects/replay-desk/api.ts";
import { REPLAY_DESK_NAME } from "../../durable-objects/replay-desk/api.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import { askSql, type SqlAnswer } from "./ask-sql.ts";
import { CORRECTION_MEMBERS, correctionSpec, previewSamples, previewWhere } from "./correction-request.ts";
import type { Fetches } from "./env.ts";
import { readJsonBody } from "./json-body.ts";
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
    const preview = await counted(spec, (sql) => askSql(query, c.req.url, token, sql));
    return created(await desk().create(newJob(spec, key, routes.now(), { preview })));
  });
  app.get("/v1/corrections", async (c) => {
    routes.admin(c.req.raw);
    const { replays, ...rest } = await listed(c, desk(), ["correction"]);
    return c.json({ corrections: replays, ...rest });
  });
  addJob(app, "/v1/corrections", routes, "correction");
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
