/** Addresses of the lake's history: its snapshots, and its cuts. Reading takes the scope of SQL, which reads by them. */
import type { Hono } from "hono";
import { LAKE_CATALOG_NAME, type LakeCatalogApi, type LakeHistoryApi } from "../../durable-objects/lake-catalog/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { CUT, RETENTION } from "../../r2-layout/limits.ts";
import { dayOf, MICROS_PER_MS } from "../../r2-layout/time.ts";
import { problem } from "../problem.ts";
import { type CutRequest, cutJson, cutSummary, openCutJson, snapshotJson } from "./history-json.ts";
import { readJsonBody } from "./json-body.ts";
import { badParameter, countParameter } from "./parameters.ts";

export interface HistoryRoutes {
  readonly catalog: ObjectNamespace<Pick<LakeCatalogApi, "status"> & LakeHistoryApi>;
  /** Microseconds. */
  readonly now: () => number;
  /** @throws Refused where the token may not. */
  readonly reader: (request: Request) => void;
  readonly admin: (request: Request) => void;
}

export function addHistory(app: Hono, { catalog: catalogs, now, reader, admin }: HistoryRoutes): void {
  const catalog = () => catalogs.getByName(LAKE_CATALOG_NAME);
  const queryOf = (request: Request) => new URL(request.url).searchParams;

  app.get("/v1/snapshots", async (c) => {
    reader(c.req.raw);
    const query = queryOf(c.req.raw);
    const { snapshotsDefault: fallback, snapshotsMax: max } = RETENTION;
    const limit = countParameter(query, "limit", { fallback, max });
    const before = countParameter(query, "before", { fallback: Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
    const found = await catalog().snapshots(limit, before);
    const next = found.length === limit ? found.at(-1)!.seq : null;
    return c.json({ snapshots: found.map(snapshotJson), next });
  });
  app.get("/v1/cuts", async (c) => {
    reader(c.req.raw);
    const query = queryOf(c.req.raw);
    const limit = countParameter(query, "limit", { fallback: CUT.listDefault, max: CUT.listMax });
    const found = (await catalog().cuts(limit, query.get("before") ?? undefined)).map(cutSummary);
    return c.json({ cuts: found, next: found.length === limit ? found.at(-1)!.as_of : null });
  });
  app.get("/v1/cuts/:name", async (c) => {
    reader(c.req.raw);
    const found = await catalog().cut(c.req.param("name"));
    return found ? c.json(cutJson(found)) : problem({ reason: "not_found" });
  });
  app.post("/v1/cuts", async (c) => {
    admin(c.req.raw);
    const request = parseCutRequest(await readJsonBody(c.req.raw, CUT.bodyBytes, ["day", "name"]), now());
    const made = await catalog().requestCut(request, Math.floor(now() / MICROS_PER_MS));
    if (!made) return problem({ reason: "cut_exists" });
    return "state" in made ? c.json(cutJson(made), 201) : c.json(openCutJson(made), 202);
  });
}

/** One of them: a day to be frozen now, or a name for all there is now. @throws Refused */
export function parseCutRequest(body: Readonly<Record<string, unknown>>, nowUs: number): CutRequest {
  const { day, name } = body;
  if ((day === undefined) === (name === undefined)) throw badParameter("day", "either day or name");
  if (day !== undefined) {
    const startMs = typeof day === "string" && /^\d{4}-\d\d-\d\d$/.test(day) ? Date.parse(day) : Number.NaN;
    if (!Number.isFinite(startMs) || dayOf(startMs * MICROS_PER_MS) !== day) throw badParameter("day", "YYYY-MM-DD");
    if (startMs * MICROS_PER_MS > nowUs) throw badParameter("day", "a day that has begun");
    return { day: day as string };
  }
  // No dot, so that a name is never taken for a version, and a letter first, so that it is never a time.
  if (typeof name !== "string" || !NAME.test(name)) {
    throw badParameter("name", `a letter, then up to ${CUT.nameChars - 1} letters, digits, - and _`);
  }
  return { name };
}

const NAME = new RegExp(`^[a-zA-Z][a-zA-Z0-9_-]{0,${CUT.nameChars - 1}}$`);
