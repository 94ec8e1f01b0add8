/** Addresses that take events, as Segment's SDKs and our own beacon know them. */
import type { Hono } from "hono";
import { problem } from "../problem.ts";
import { preflight, withCors } from "./cors.ts";
import { type Ingest, ingest } from "./ingest.ts";
import type { Call } from "./request-facts.ts";
import { segmentSettings } from "./segment-settings.ts";

/** Browsers send single calls to their first letter; `import` is what older mobile SDKs call a batch. */
const PATHS: readonly (readonly [path: string, call: Call])[] = [
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

export function addIngest(app: Hono, parts: Ingest): void {
  for (const [path, call] of PATHS) {
    app.post(path, async (c) => {
      const waitUntil = c.executionCtx.waitUntil.bind(c.executionCtx);
      const answer = ingest(c.req.raw, call, parts, waitUntil);
      // So that it also ends, and lets go of what it holds, when the sender hangs up.
      waitUntil(answer.catch(() => {}));
      return withCors(c.req.raw, await answer);
    });
    app.options(path, (c) => preflight(c.req.raw));
    app.all(path, (c) => withCors(c.req.raw, problem({ reason: "method_not_allowed", allow: "POST, OPTIONS" })));
  }

  app.options("/v1/projects/:writeKey/settings", (c) => preflight(c.req.raw));
  app.get("/v1/projects/:writeKey/settings", (c) => {
    const writeKey = c.req.param("writeKey");
    if (!parts.writeKeys.has(writeKey)) return withCors(c.req.raw, problem({ reason: "unknown_write_key" }));
    const settings = Response.json(segmentSettings(new URL(c.req.url), writeKey));
    settings.headers.set("cache-control", "public, max-age=300");
    return withCors(c.req.raw, settings);
  });

  // Where analytics.js reports on itself when its settings were not ours. Taken and forgotten.
  app.options("/v1/m", (c) => preflight(c.req.raw));
  app.post("/v1/m", (c) => withCors(c.req.raw, Response.json({ success: true })));
}
