/** Addresses of who is on call: the figures as JSON, the ledger alone, and all of it for Prometheus. */
import type { Hono } from "hono";
import { readLedger } from "../../../durable-objects/event-log/ledger.ts";
import { REPLAY_DESK_NAME } from "../../../durable-objects/replay-desk/api.ts";
import { REPLAY } from "../../../r2-layout/limits.ts";
import { contractMetricLines } from "../contracts/health-json.ts";
import { erasureMetricLines } from "../erasures/erasures-overview.ts";
import { icebergMetricLines } from "../iceberg-metrics.ts";
import { lakeMetricLines } from "../lake-metrics.ts";
import { prometheusText } from "../metrics.ts";
import { piiMetricLines } from "../privacy/pii-json.ts";
import { replayMetricLines } from "../replay-metrics.ts";
import { operationsMetricLines } from "./operations-metrics.ts";
import { type OperationsDeps, readOperations } from "./read-operations.ts";

export interface OperationsRoutes extends OperationsDeps {
  /** @throws Refused unless the request has a token with the scope admin. */
  readonly admin: (request: Request) => void;
}

export function addOperations(app: Hono, routes: OperationsRoutes): void {
  const { admin, desks, now } = routes;
  app.get("/v1/ledger", async (c) => {
    admin(c.req.raw);
    return c.json(await readLedger(routes));
  });
  app.get("/v1/operations", async (c) => {
    admin(c.req.raw);
    return c.json((await readOperations(routes)).json);
  });
  app.get("/metrics", async (c) => {
    admin(c.req.raw);
    const desk = await desks.getByName(REPLAY_DESK_NAME).overview(undefined, REPLAY.jobsListedMax);
    const { json, lake, iceberg } = await readOperations(routes);
    const lines = [
      ...lakeMetricLines(lake),
      ...icebergMetricLines(iceberg, now()),
      ...operationsMetricLines(json),
      ...piiMetricLines(json.pii, now()),
      ...contractMetricLines(json.contracts, now()),
      ...erasureMetricLines(json.erasures, now()),
      ...replayMetricLines(desk),
    ];
    const text = `${prometheusText(json.ledger)}${lines.join("\n")}\n`;
    return c.text(text, 200, { "content-type": "text/plain; version=0.0.4" });
  });
}
