/** Who is told when an expectation breaks: receivers, and what was sent to each. The secret is told once, when one is added. */
import type { Hono } from "hono";
import {
  CONTRACT_HEALTH_NAME,
  type ContractHealthApi,
  type Delivery,
  type WebhookState,
} from "../../../durable-objects/contract-health/api.ts";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { WEBHOOKS } from "../../../r2-layout/limits.ts";
import type { WebhookJson } from "../../operations-json.ts";
import { problem } from "../../problem.ts";
import { readJsonBody } from "../json-body.ts";
import { badParameter } from "../parameters.ts";
import { receiverUrl } from "./receiver-url.ts";

type WebhookApi = Pick<ContractHealthApi, "addWebhook" | "removeWebhook" | "testWebhook" | "deliveries" | "overview">;

export interface WebhookRoutes {
  readonly health: ObjectNamespace<WebhookApi>;
  readonly isLocal: boolean;
  /** @throws Refused where the token may not. */
  readonly admin: (request: Request) => void;
}

export function addWebhooks(app: Hono, { health: objects, isLocal, admin }: WebhookRoutes): void {
  const health = () => objects.getByName(CONTRACT_HEALTH_NAME);

  app.post("/v1/webhooks", async (c) => {
    admin(c.req.raw);
    const { url, description = "" } = await readJsonBody(c.req.raw, WEBHOOKS.bodyBytes, ["url", "description"]);
    if (typeof description !== "string" || description.length > WEBHOOKS.descriptionChars)
      throw badParameter("description", `a text of at most ${WEBHOOKS.descriptionChars} characters`);
    const webhook = { url: receiverUrl(url, isLocal), description };
    const added = await health().addWebhook(webhook);
    if (added === "full") return problem({ reason: "too_many_webhooks", limit: WEBHOOKS.webhooks });
    return c.json({ id: added.id, ...webhook, secret: added.secret }, 201, { "cache-control": "no-store" });
  });

  app.get("/v1/webhooks", async (c) => {
    admin(c.req.raw);
    const { webhooks } = await health().overview();
    return c.json({ webhooks: webhooks.map(webhookJson) });
  });

  app.get("/v1/webhooks/:id", async (c) => {
    admin(c.req.raw);
    const found = await health().deliveries(c.req.param("id"));
    if (!found) return problem({ reason: "not_found" });
    return c.json({ ...webhookJson(found.webhook), deliveries: found.deliveries.map(deliveryJson) });
  });

  app.post("/v1/webhooks/:id/test", async (c) => {
    admin(c.req.raw);
    const message = await health().testWebhook(c.req.param("id"));
    return message === null ? problem({ reason: "not_found" }) : c.json({ message }, 202);
  });

  app.delete("/v1/webhooks/:id", async (c) => {
    admin(c.req.raw);
    const removed = await health().removeWebhook(c.req.param("id"));
    return removed ? c.body(null, 204) : problem({ reason: "not_found" });
  });
}

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

export const webhookJson = (webhook: WebhookState): WebhookJson => ({
  id: webhook.id,
  url: webhook.url,
  description: webhook.description,
  created_at: new Date(webhook.createdAt).toISOString(),
  waiting: webhook.waiting,
  delivered: webhook.delivered,
  given_up: webhook.givenUp,
  last_error: webhook.lastError,
  last_delivered_at: iso(webhook.lastDeliveredAt),
});

const deliveryJson = ({ id, type, state, attempts, createdAt, nextAt, lastError, body }: Delivery) => ({
  id,
  type,
  state,
  attempts,
  created_at: iso(createdAt),
  next_at: iso(nextAt),
  last_error: lastError,
  body: JSON.parse(body) as unknown,
});
