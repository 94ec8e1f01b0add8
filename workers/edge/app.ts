/** Every address of the edge. A route reads its request, calls one function and answers. */
import { Hono } from "hono";
import { timelineName } from "../../durable-objects/user-timeline/timeline-name.ts";
import { SQL } from "../../r2-layout/limits.ts";
import { problem, type Scope } from "../problem.ts";
import { authorize, type Tokens, tokenOf } from "../tokens.ts";
import { readBytes } from "./body.ts";
import { preflight, withCors } from "./cors.ts";
import type { Env } from "./env.ts";
import { type Ingest, ingest } from "./ingest.ts";
import { Parameters, Refused } from "./parameters.ts";
import type { Call } from "./request-facts.ts";
import { segmentSettings } from "./segment-settings.ts";
import { eventsRequest, type TimelineOf, userEvents, userProfile, userSessions } from "./timelines.ts";

export interface EdgeParts {
  readonly env: Env;
  readonly tokens: Tokens;
  readonly ingest: Ingest;
}

/** Browsers send single calls to their first letter, `import` is what older mobile SDKs call a batch. */
const INGEST_PATHS: readonly (readonly [path: string, call: Call])[] = [
  ["/v1/batch", "batch"],
  ["/v1/b", "batch"],
  ["/v1/import", "batch"],
  ["/v1/track", "track"],
  ["/v1/t", "track"],
  ["/v1/page", "page"],
  ["/v1/p", "page"],
  ["/v1/screen", "screen"],
  ["/v1/s", "screen"],
  ["/v1/identify", "identify"],
  ["/v1/i", "identify"],
  ["/v1/group", "group"],
  ["/v1/g", "group"],
  ["/v1/alias", "alias"],
  ["/v1/a", "alias"],
  ["/v1/events", "events"],
];

export function createApp(parts: EdgeParts): Hono {
  const app = new Hono();
  addIngest(app, parts);
  addReading(app, parts);
  addPages(app, parts);
  app.notFound(() => problem({ reason: "not_found" }));
  app.onError((error) => {
    if (error instanceof Refused) return problem(error.rejection);
    console.error(JSON.stringify({ reason: "internal", error: String(error), stack: error.stack }));
    return problem({ reason: "internal" });
  });
  return app;
}

function addIngest(app: Hono, parts: EdgeParts): void {
  for (const [path, call] of INGEST_PATHS) {
    app.post(path, async (c) => withCors(c.req.raw, await ingest(c.req.raw, call, parts.ingest)));
    app.options(path, (c) => preflight(c.req.raw));
    app.all(path, (c) => withCors(c.req.raw, problem({ reason: "method_not_allowed", allow: "POST, OPTIONS" })));
  }
  app.options("/v1/projects/:writeKey/settings", (c) => preflight(c.req.raw));
  app.get("/v1/projects/:writeKey/settings", (c) => {
    const writeKey = c.req.param("writeKey");
    if (!parts.ingest.writeKeys.has(writeKey)) return withCors(c.req.raw, problem({ reason: "unknown_write_key" }));
    const settings = Response.json(segmentSettings(new URL(c.req.url), writeKey));
    settings.headers.set("cache-control", "public, max-age=300");
    return withCors(c.req.raw, settings);
  });
  // Where analytics.js reports on itself when its settings were not ours. Taken and forgotten.
  app.options("/v1/m", (c) => preflight(c.req.raw));
  app.post("/v1/m", (c) => withCors(c.req.raw, Response.json({ success: true })));
}

function addReading(app: Hono, { env, tokens, ingest: { now } }: EdgeParts): void {
  /** @returns the hash of the token. @throws Refused */
  const allow = (request: Request, scope: Scope, query?: URLSearchParams): string => {
    const allowed = authorize(tokens, tokenOf(request, query), scope);
    if (!allowed.ok) throw new Refused(allowed.error);
    return allowed.value;
  };
  const parametersOf = (request: Request) => new Parameters(new URL(request.url).searchParams);
  const timelines: TimelineOf = (subject) => env.USER_TIMELINE.getByName(timelineName(env.IDENTITY_KEY, subject));

  app.get("/v1/users/:id/events", async (c) => {
    allow(c.req.raw, "support");
    return c.json(await userEvents(timelines, c.req.param("id"), eventsRequest(parametersOf(c.req.raw), now())));
  });
  app.get("/v1/users/:id/sessions", async (c) => {
    allow(c.req.raw, "support");
    return c.json(await userSessions(timelines, c.req.param("id"), parametersOf(c.req.raw)));
  });
  app.get("/v1/users/:id/profile", async (c) => {
    allow(c.req.raw, "support");
    return c.json(await userProfile(timelines, c.req.param("id")));
  });

  app.post("/v1/sql", async (c) => {
    const token = allow(c.req.raw, "sql");
    const limit = 2 * SQL.statementBytes;
    const body = await readBytes(c.req.raw, { bodyBytes: limit, inflatedBytes: limit });
    if (!body.ok) {
      const tooLarge = body.error.reason === "body_too_large";
      return problem(tooLarge ? { reason: "statement_too_large", limit_bytes: limit } : body.error);
    }
    const headers = new Headers({ "content-type": "application/json", "x-eventpile-token": token });
    return env.QUERY.fetch(new Request(c.req.url, { method: "POST", headers, body: body.value }));
  });

  app.get("/v1/live", (c) => {
    const url = new URL(c.req.url);
    allow(c.req.raw, "live", url.searchParams);
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") return problem({ reason: "upgrade_required" });
    url.searchParams.delete("token");
    return env.LIVE_HUB.getByName("live").fetch(new Request(url, c.req.raw));
  });

  app.get("/healthz", (c) => c.json({ ok: true }));
  for (const path of ["/v1/replays", "/v1/replays/:id", "/iceberg/*"]) {
    app.all(path, (c) => {
      allow(c.req.raw, path.startsWith("/iceberg") ? "sql" : "admin");
      return problem({ reason: "not_implemented", detail: `${path.split("/*")[0]} is not built yet` });
    });
  }
}

function addPages(app: Hono, { env }: EdgeParts): void {
  app.options("/beacon.js", (c) => preflight(c.req.raw));
  app.get("/beacon.js", async (c) => {
    const script = await env.ASSETS.fetch(c.req.raw);
    const response = new Response(script.body, script);
    response.headers.set("cross-origin-resource-policy", "cross-origin");
    response.headers.set("cache-control", "public, max-age=3600");
    return withCors(c.req.raw, response);
  });
  app.get("/", (c) => c.redirect("/live"));
  app.get("*", async (c) => {
    if (new URL(c.req.url).pathname.startsWith("/v1/")) return problem({ reason: "not_found" });
    const page = await env.ASSETS.fetch(c.req.raw);
    return page.status === 404 ? problem({ reason: "not_found" }) : page;
  });
}
