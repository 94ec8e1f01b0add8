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
    const reason = isOurs(error) ? "internal" : "upstream_unavailable";
    console.error(JSON.stringify({ reason, error: String(error), stack: error.stack }));
    return problem(reason === "internal" ? { reason } : { reason, retry_after_s: INGEST.retryAfterSeconds });
  });
  return app;
}

/**
 * What the parts behind the edge throw may be gone in a moment: an object (workerd marks it), R2 and the queues (an Error
 * with a text), one that did not answer in time. A class of the language's own that no object threw is a fault in here.
 */
function isOurs(error: Error): boolean {
  const marks = ["remote", "retryable", "overloaded", "durableObjectReset"];
  return !marks.some((mark) => mark in error) && FAULTS.some((Fault) => error instanceof Fault);
}

const FAULTS = [TypeError, RangeError, SyntaxError, ReferenceError, URIError];
