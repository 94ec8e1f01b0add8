import { env, reset } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { CONTRACT_HEALTH_NAME } from "../../../durable-objects/contract-health/api.ts";
import { signature } from "../../../durable-objects/contract-health/deliver.ts";
import { CONTRACT_REGISTRY_NAME } from "../../../durable-objects/contract-registry/api.ts";
import { type ContractHealthDeps, evaluateHours } from "../../../queues/contract-health/evaluate-hours.ts";
import { HEALTH, HOUR_MS } from "../../../r2-layout/limits.ts";
import type { PipelineEnv } from "../../../workers/pipeline/env.ts";

const calls: { readonly url: string; readonly init: RequestInit }[] = [];
// Objects run in the test's isolate.
beforeEach(() => {
  vi.spyOn(globalThis, "fetch").mockImplementation(async (url, init) => {
    calls.push({ url: String(url), init: init! });
    return new Response(null, { status: 204 });
  });
});
afterEach(async () => {
  await reset();
  vi.restoreAllMocks();
  calls.length = 0;
});

const bindings = env as unknown as PipelineEnv;
const HOUR = Date.parse("2026-11-22T10:00:00Z");
const CONTRACT = JSON.stringify({
  ...{ "x-event": "Paid", "x-version": 1, "x-owner": "shop@example.com", description: "Somebody has paid." },
  "x-expectations": { present: { coupon: 0.9 } },
  type: "object",
  properties: { coupon: { type: "string" } },
});

it("a field that went missing is one call when its hour is whole, and another when it is back, however often each hour is looked at", async () => {
  const health = bindings.CONTRACT_HEALTH.getByName(CONTRACT_HEALTH_NAME);
  const registry = bindings.CONTRACT_REGISTRY.getByName(CONTRACT_REGISTRY_NAME) as unknown as {
    register(text: string): Promise<unknown>;
  };
  await registry.register(CONTRACT);
  const added = await health.addWebhook({ url: "https://hooks.example.com/", description: "" });
  if (added === "full") throw new Error("there is room");
  const share = (hour: number) => (hour < HOUR + 2 * HOUR_MS ? 4 : 10);
  const deps: ContractHealthDeps = {
    ...{ logs: bindings.EVENT_LOG, catalog: bindings.LAKE_CATALOG, shards: 1 },
    ...{ registry: bindings.CONTRACT_REGISTRY, health: bindings.CONTRACT_HEALTH },
    async ask(sql) {
      if (sql.includes("from quarantine")) return [];
      const hour = Date.parse(`${/received_at >= TIMESTAMP '([^']+)'/.exec(sql)![1]!.replace(" ", "T")}Z`);
      return [["shop", hour, 10, hour + 1, 0, 0, share(hour)]];
    },
  };
  const look = async (nowMs: number) => {
    for (let next = await evaluateHours(deps, nowMs, {}); next; ) next = await evaluateHours(deps, nowMs, next);
  };
  for (let hour = HOUR; hour < HOUR + 6 * HOUR_MS; hour += HOUR_MS) {
    const end = hour + HOUR_MS;
    await look(end + HEALTH.settleMs);
    expect((await health.overview()).judged).toBe(hour === HOUR ? null : hour - HOUR_MS);
    // Nothing came since, so the log is idle rather than whole, until it has been so for long enough.
    for (let i = 0; i < 2; i++) await look(end + HEALTH.idleMs);
    expect((await health.overview()).judged).toBe(hour);
  }
  await expect.poll(async () => (await health.overview()).webhooks).toMatchObject([{ delivered: 2, waiting: 0 }]);
  const told = calls.map(
    ({ init }) => JSON.parse(String(init.body)) as { type: string; data: Record<string, unknown> },
  );
  expect(told.map(({ type, data }) => [type, data.hour, data.actual, data.because])).toEqual([
    ["contract.broken", "2026-11-22T10:00:00.000Z", 0.4, undefined],
    ["contract.recovered", "2026-11-22T13:00:00.000Z", 0.4, "holds"],
  ]);
  for (const { init } of calls) {
    const headers = init.headers as Record<string, string>;
    const text = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${String(init.body)}`;
    expect(headers["webhook-signature"]).toBe(await signature(added.secret, text));
  }
});
