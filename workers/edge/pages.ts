/** The pages and the browser SDK: static files, which the Worker only hands on. */
import type { Hono } from "hono";
import { problem } from "../problem.ts";
import { preflight, withCors } from "./cors.ts";
import type { Fetches } from "./env.ts";

const BEACON_CACHE = "public, max-age=3600";

export function addPages(app: Hono, assets: Fetches): void {
  app.get("/", (c) => c.redirect("/live"));

  app.options("/beacon.js", (c) => preflight(c.req.raw));
  app.get("/beacon.js", async (c) => {
    const file = await assets.fetch(c.req.raw);
    const script = new Response(file.body, file);
    script.headers.set("cache-control", BEACON_CACHE);
    // For pages that isolate themselves from other origins.
    script.headers.set("cross-origin-resource-policy", "cross-origin");
    return withCors(c.req.raw, script);
  });

  app.get("*", async (c) => {
    const { pathname } = new URL(c.req.url);
    if (pathname.startsWith("/v1/")) return problem({ reason: "not_found" });
    const page = await assets.fetch(c.req.raw);
    return page.status === 404 ? problem({ reason: "not_found" }) : page;
  });
}
