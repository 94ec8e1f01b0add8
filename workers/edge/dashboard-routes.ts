/**
 * Dashboards of the live page, kept for all who may see figures. Who may read one may change it: it says which figures are shown, and has
 * none. `ETag` is its version; a PUT with `If-Match` replaces that version only, one with `If-None-Match: *` none.
 */
import type { Hono } from "hono";
import { DASHBOARDS_NAME, type DashboardsApi, type StoredDashboard } from "../../durable-objects/dashboards/api.ts";
import { DASHBOARD_MEMBERS, isDashboardId, parseDashboard } from "../../durable-objects/dashboards/parse-dashboard.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import { DASHBOARDS } from "../../r2-layout/limits.ts";
import { problem } from "../problem.ts";
import { readJsonBody } from "./json-body.ts";
import { badParameter } from "./parameters.ts";

export interface DashboardRoutes {
  readonly dashboards: ObjectNamespace<DashboardsApi>;
  /** @throws Refused where the request's token may not. */
  readonly allow: (request: Request) => void;
}

export function addDashboards(app: Hono, { dashboards, allow }: DashboardRoutes): void {
  const store = () => dashboards.getByName(DASHBOARDS_NAME);

  app.get("/v1/dashboards", async (c) => {
    allow(c.req.raw);
    const entries = await store().list();
    return c.json({
      dashboards: entries.map(({ updatedAt, ...entry }) => ({ ...entry, updated_at: isoTime(updatedAt) })),
    });
  });
  app.get("/v1/dashboards/:id", async (c) => {
    allow(c.req.raw);
    const stored = await store().get(c.req.param("id"));
    return stored ? c.json(dashboardJson(stored), 200, etag(stored)) : problem({ reason: "not_found" });
  });
  app.put("/v1/dashboards/:id", async (c) => {
    allow(c.req.raw);
    const id = c.req.param("id");
    if (!isDashboardId(id)) {
      throw badParameter("id", `1 to ${DASHBOARDS.idChars} lower case letters, digits and hyphens`);
    }
    const expected = expectedVersion(c.req.raw.headers);
    const asked = parseDashboard(await readJsonBody(c.req.raw, DASHBOARDS.bodyBytes, DASHBOARD_MEMBERS));
    if (!asked.ok) throw badParameter(asked.error.parameter, asked.error.detail);
    const answer = await store().put(id, asked.value, expected);
    switch (answer.kind) {
      case "moved":
        return problem({ reason: "dashboard_changed", version: answer.version });
      case "full":
        return problem({ reason: "too_many_dashboards", limit: answer.limit });
      case "created":
      case "changed":
      case "same":
        return c.json(dashboardJson(answer.stored), answer.kind === "created" ? 201 : 200, etag(answer.stored));
    }
  });
  app.delete("/v1/dashboards/:id", async (c) => {
    allow(c.req.raw);
    return (await store().remove(c.req.param("id"))) ? c.body(null, 204) : problem({ reason: "not_found" });
  });
}

const isoTime = (ms: number): string => new Date(ms).toISOString();
const etag = ({ version }: StoredDashboard) => ({ etag: `"${version}"` });

/** As GET answers it, and PUT. */
export const dashboardJson = ({ id, version, updatedAt, dashboard }: StoredDashboard) => ({
  id,
  version,
  updated_at: isoTime(updatedAt),
  ...dashboard,
});
export type DashboardJson = ReturnType<typeof dashboardJson>;

/** Null: whatever there is. @throws Refused */
function expectedVersion(headers: Headers): number | null {
  const [match, noneMatch] = [headers.get("if-match"), headers.get("if-none-match")];
  if (noneMatch !== null) {
    if (noneMatch.trim() === "*") return 0;
    throw badParameter("If-None-Match", "only * is understood: there must be none yet");
  }
  if (match === null) return null;
  const version = /^\s*(?:W\/)?"(\d{1,15})"\s*$/.exec(match)?.[1];
  if (version === undefined) throw badParameter("If-Match", "the ETag that a GET or a PUT has answered");
  return Number(version);
}
