import { reset, SELF } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WEBHOOKS } from "../../../../r2-layout/limits.ts";
import { TOKEN } from "../edge-config.ts";

const ORIGIN = "https://collect.example";
const URL = "https://hooks.example.com/eventpile";

beforeEach(
  () => void vi.spyOn(globalThis, "fetch").mockImplementation(async () => new Response(null, { status: 503 })),
);
afterEach(async () => {
  await reset();
  vi.restoreAllMocks();
});

async function ask(method: string, path: string, body?: unknown, token: string = TOKEN.admin) {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const init = { method, headers: { authorization: `Bearer ${token}` }, ...(text !== undefined && { body: text }) };
  const response = await SELF.fetch(`${ORIGIN}${path}`, init);
  const answer = await response.text();
  return { status: response.status, body: answer === "" ? null : (JSON.parse(answer) as Record<string, unknown>) };
}
const added = async () => (await ask("POST", "/v1/webhooks", { url: URL })).body as { id: string; secret: string };

describe("/v1/webhooks", () => {
  it("adds a receiver and tells its secret, once", async () => {
    const { status, body } = await ask("POST", "/v1/webhooks", { url: URL, description: "on call" });
    expect(status).toBe(201);
    expect(body).toMatchObject({ url: URL, description: "on call", secret: expect.stringMatching(/^whsec_.{44}$/) });
    const listed = await ask("GET", "/v1/webhooks");
    expect(listed.body).toMatchObject({ webhooks: [{ id: body!.id, url: URL, waiting: 0, last_error: null }] });
    expect(JSON.stringify(listed.body)).not.toContain("whsec_");
    expect((await ask("DELETE", `/v1/webhooks/${body!.id}`)).status).toBe(204);
    expect((await ask("DELETE", `/v1/webhooks/${body!.id}`)).status).toBe(404);
    expect((await ask("GET", `/v1/webhooks/${body!.id}`)).body).toMatchObject({ reason: "not_found" });
  });

  it("shows what was sent, how often, and what was answered last", async () => {
    const { id } = await added();
    const { status, body } = await ask("POST", `/v1/webhooks/${id}/test`);
    expect(status).toBe(202);
    const seen = async () => (await ask("GET", `/v1/webhooks/${id}`)).body;
    await expect.poll(seen).toMatchObject({
      last_error: "answered 503",
      deliveries: [
        { id: body!.message, type: "webhook.test", state: "waiting", attempts: 1, last_error: "answered 503" },
      ],
    });
    expect((await ask("POST", "/v1/webhooks/none/test")).status).toBe(404);
    // On operations, too, and in figures that an alert can be made of.
    const { contracts } = (await ask("GET", "/v1/operations")).body as { contracts: Record<string, unknown> };
    expect(contracts).toMatchObject({ judged_through: null, open_breaks: 0, webhooks: [{ id, waiting: 1 }] });
    const init = { headers: { authorization: `Bearer ${TOKEN.admin}` } };
    const metrics = await (await SELF.fetch(`${ORIGIN}/metrics`, init)).text();
    expect(metrics).toContain(`eventpile_webhook_waiting{webhook="${id}"} 1`);
    expect(metrics).toContain("eventpile_contract_breaks_open 0");
  });

  it("takes admin, and nothing else", async () => {
    for (const [method, path] of [
      ["POST", "/v1/webhooks"],
      ["GET", "/v1/webhooks"],
      ["GET", "/v1/webhooks/a"],
      ["POST", "/v1/webhooks/a/test"],
      ["DELETE", "/v1/webhooks/a"],
    ] as const) {
      expect((await ask(method, path, undefined, TOKEN.sql)).body).toMatchObject({ reason: "missing_scope" });
    }
  });

  it("promise 9: has WEBHOOKS.bodyBytes, a description of WEBHOOKS.descriptionChars, WEBHOOKS.webhooks receivers, and no more", async () => {
    const post = async (body: unknown) => (await ask("POST", "/v1/webhooks", body)).body?.reason;
    const padded = (bytes: number) => JSON.stringify({ url: URL }).padEnd(bytes, " ");
    expect(await post(padded(WEBHOOKS.bodyBytes))).toBeUndefined();
    expect(await post(padded(WEBHOOKS.bodyBytes + 1))).toBe("body_too_large");
    expect(await post({ url: URL, description: "x".repeat(WEBHOOKS.descriptionChars) })).toBeUndefined();
    expect(await post({ url: URL, description: "x".repeat(WEBHOOKS.descriptionChars + 1) })).toBe("bad_parameter");
    expect(await post({ url: "http://example.com/" })).toBe("bad_parameter");
    for (let i = 2; i < WEBHOOKS.webhooks; i++) expect(await post({ url: URL })).toBeUndefined();
    expect(await post({ url: URL })).toBe("too_many_webhooks");
  });
});
