/** Every address of the edge, and what a request is told when its route threw. */
import { Hono } from "hono";
import { INGEST } from "../../r2-layout/limits.ts";
import { problem } from "../problem.ts";
import type { Ingest } from "./ingest.ts";
import { addIngest } from "./ingest-routes.ts";
import { addPages } from "./pages.ts";
import { Refused } from "./parameters.ts";
import { addReading, type Reading } from "./reading-routes.ts";

export function createApp(ingest: Ingest, reading: Reading): Hono {
  const app = new Hono();
  addIngest(app, ingest);
  addReading(app, reading);
  addPages(app, reading.env.ASSETS);
  app.notFound(() => problem({ reason: "not_found" }));
  app.onError((error) => {
    if (error instanceof Refused) return problem(error.rejection);
    // workerd marks what an object threw, or what kept the call from reaching it: it may be back in a moment.
    const reason = "remote" in error || "retryable" in error ? "upstream_unavailable" : "internal";
    console.error(JSON.stringify({ reason, error: String(error), stack: error.stack }));
    return problem(reason === "internal" ? { reason } : { reason, retry_after_s: INGEST.retryAfterSeconds });
  });
  return app;
}
