import { env, reset, SELF } from "cloudflare:test";
import { afterEach, expect, it } from "vitest";
import type { ObjectNamespace } from "../../../../durable-objects/namespace.ts";
import { PII_AUDIT_NAME, type PiiAuditApi } from "../../../../durable-objects/pii-audit/api.ts";
import { type PiiKeyApi, userKeyName } from "../../../../durable-objects/pii-key/api.ts";
import { PII } from "../../../../r2-layout/limits.ts";
import { subjectHasher } from "../../../../r2-layout/subjects.ts";
import { deliveredEvent } from "../delivered.ts";
import { SOURCE, TOKEN, WRITE_KEY } from "../edge-config.ts";

afterEach(() => reset());

const bound = env as unknown as { PII_KEY: ObjectNamespace<PiiKeyApi>; PII_AUDIT: ObjectNamespace<PiiAuditApi> };
const hash = subjectHasher("test-identity-key");

async function ask(method: string, path: string, body?: unknown, token: string = TOKEN.admin) {
  const init = {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  };
  const response = await SELF.fetch(`https://collect.example${path}`, init);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

it("a person's field is encrypted on its way to the queue, and can be read while there is the key (promise 7)", async () => {
  // A name of its own: what this isolate knows of contracts is of other tests, too.
  const event = `Sealed ${crypto.randomUUID()}`;
  await ask("POST", "/v1/contracts", {
    "x-event": event,
    "x-version": 1,
    "x-owner": "growth",
    description: "It happened.",
    type: "object",
    properties: { name: { type: "string", "x-pii": { class: "name", treatment: "encrypt" } } },
  });
  await ask("PUT", `/v1/contracts/${encodeURIComponent(event)}/rollout`, { mode: "warn" });
  const send = async (id: string) => {
    const headers = { authorization: `Basic ${btoa(`${WRITE_KEY}:`)}` };
    const batch = [{ type: "track", event, messageId: id, userId: "ada", properties: { name: "Lovelace" } }];
    const response = await SELF.fetch("https://collect.example/v1/batch", {
      method: "POST",
      headers,
      body: JSON.stringify({ batch }),
    });
    expect(response.status).toBe(200);
    return deliveredEvent(id);
  };
  const { row, raw } = await send(`${event} 1`);
  const sealed = row.properties!.name!;
  expect(sealed).toMatch(/^enc\.1\./);
  expect(JSON.stringify(raw)).not.toContain("Lovelace");

  const reveal = (body: object, token?: string) => ask("POST", "/v1/pii/reveal", body, token);
  const asked = { user_id: "ada", values: [sealed, "plain"] };
  expect(await reveal(asked)).toEqual({ status: 200, body: { values: [{ value: "Lovelace" }, null] } });
  expect((await reveal(asked, TOKEN.support)).status).toBe(403);
  expect((await reveal({ ...asked, user_id: "grace" })).status).toBe(404);
  await bound.PII_KEY.getByName(userKeyName(hash({ kind: "user", id: "ada" }))).destroy(1);
  expect((await reveal(asked)).status).toBe(404);
});

it("promise 9: PII.revealed values are made readable at once, of PII.revealBytes, and of one person", async () => {
  await bound.PII_KEY.getByName(userKeyName(hash({ kind: "device", id: "phone" }))).secret(null);
  const reveal = (more: object) => ask("POST", "/v1/pii/reveal", { anonymous_id: "phone", values: ["x"], ...more });
  const values = Array.from({ length: PII.revealed }, () => "x");
  expect((await reveal({ values })).status).toBe(200);
  for (const wrong of [{ values: [...values, "x"] }, { values: [] }, { values: [1] }, { user_id: "ada" }]) {
    expect(await reveal(wrong)).toMatchObject({ status: 400, body: { reason: "bad_parameter" } });
  }
  const around = JSON.stringify({ anonymous_id: "phone", values: [""] }).length;
  expect((await reveal({ values: ["x".repeat(PII.revealBytes - around)] })).status).toBe(200);
  expect((await reveal({ values: ["x".repeat(PII.revealBytes - around + 1)] })).status).toBe(413);
});

it("what the daily search has found is told by event, field and source: by the API, on the operations page, and to Prometheus", async () => {
  expect((await ask("GET", "/v1/pii/findings")).body).toEqual({ audited_at: null, sampled: 0, findings: [], left: 0 });
  const audit = bound.PII_AUDIT.getByName(PII_AUDIT_NAME);
  const at = Date.UTC(2026, 10, 22, 12);
  const found = {
    source: SOURCE,
    eventName: "Paid",
    field: "properties.note",
    kind: "email",
    events: 3,
    newestAt: at * 1_000,
  };
  await audit.put("2026-11-22", 0, {
    findings: [found],
    sampled: [{ source: SOURCE, eventName: "Paid", events: 4 }],
    left: 0,
  });
  await audit.put("2026-11-22", 1, {
    findings: [found],
    sampled: [{ source: SOURCE, eventName: "Paid", events: 4 }],
    left: 2,
  });
  await audit.finish("2026-11-22", at);
  const expected = {
    audited_at: "2026-11-22T12:00:00.000Z",
    sampled: 8,
    findings: [
      {
        source: SOURCE,
        event_name: "Paid",
        field: "properties.note",
        kind: "email",
        sampled: 8,
        events: 6,
        first_day: "2026-11-22",
        last_day: "2026-11-22",
        newest_at: "2026-11-22T12:00:00.000Z",
      },
    ],
    left: 2,
  };
  expect((await ask("GET", "/v1/pii/findings?days=1")).body).toEqual(expected);
  expect((await ask("GET", `/v1/pii/findings?days=${PII.auditDays + 1}`)).status).toBe(400);
  expect((await ask("GET", "/v1/pii/findings", undefined, TOKEN.sql)).status).toBe(403);
  expect((await ask("GET", "/v1/operations")).body.pii).toEqual(expected);
  const metrics = await SELF.fetch("https://collect.example/metrics", {
    headers: { authorization: `Bearer ${TOKEN.admin}` },
  });
  expect(await metrics.text()).toContain(`eventpile_undeclared_pii_fields{source="${SOURCE}",kind="email"} 1\n`);
});
