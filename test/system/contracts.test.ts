/** What the command line tells the registry of a running system, and what it is told. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type RunningSystem, startSystem, until } from "./harness.ts";

const ROOT = join(import.meta.dirname, "../..");
const SHOP = join(ROOT, "scripts/demo/contracts");

let system: RunningSystem;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "eventpile-contracts-"));
});
afterEach(async () => {
  await system?.stop();
  await rm(folder, { recursive: true, force: true });
});

function contracts(...args: string[]): Promise<{ failed: boolean; out: string; err: string }> {
  const env = { ...process.env, EVENTPILE_URL: system.url };
  return new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, "scripts/contracts.ts"), ...args], { env }, (error, out, err) =>
      resolve({ failed: error !== null, out, err }),
    );
  });
}

it("contracts are pushed once, compared with what is registered, and refused where they would break it", async () => {
  system = await startSystem({ waitFactor: 0.1 });
  expect(await contracts("diff", SHOP)).toMatchObject({
    out: expect.stringMatching(/Order Completed: not registered/),
  });
  expect(await contracts("push", SHOP)).toMatchObject({
    failed: false,
    out: expect.stringMatching(/2 registered, 0 were/),
  });
  expect(await contracts("push", SHOP)).toMatchObject({ failed: false, out: "0 registered, 2 were there before\n" });

  const broken = {
    "x-event": "Order Completed",
    "x-version": 2,
    "x-owner": "shop@example.com",
    description: "An order was paid for.",
    type: "object",
    properties: { order_id: { type: "integer" } },
    required: ["order_id"],
  };
  await writeFile(join(folder, "2.json"), JSON.stringify(broken));
  const told = "#/properties/order_id breaks version 1: the type is another (TYPE_CHANGED)";
  expect(await contracts("diff", folder)).toMatchObject({
    failed: false,
    out: expect.stringContaining("! #/properties/order_id  the type is another (TYPE_CHANGED)"),
  });
  expect(await contracts("check", folder, "--registry")).toMatchObject({
    failed: true,
    err: expect.stringContaining(told),
  });
  expect(await contracts("push", folder)).toMatchObject({ failed: true, err: expect.stringContaining(told) });

  // What the log has recorded keeps to the one and would break the other.
  const properties = { order_id: "A1", revenue: 5, currency: "EUR" };
  const context = { app: { name: "Shop", version: "2.0" } };
  const event = { type: "track", event: "Order Completed", userId: "ada", messageId: "tried", context, properties };
  await system.sendBatch([event]);
  await system.settled();
  expect(await contracts("try", SHOP)).toMatchObject({
    failed: false,
    out: expect.stringContaining("Order Completed, version 1: 0 of 1 events of 24 hours would fail\n"),
  });
  const { failed, out } = await contracts("try", folder, "--event", "Order Completed", "--hours", "1");
  expect(out).toContain("Order Completed, version 2: 1 of 1 events of 1 hours would fail\n");
  expect(out).toMatch(/1 {2}dev 2\.0: properties\.order_id type "integer"\n +tried: properties\.order_id is text A1/);
  expect(failed).toBe(true);
  expect(await contracts("try", SHOP, "--source", "other")).toMatchObject({ failed: false });
});

it("a version is rolled out from telling to keeping apart to refusing, and promise 3 holds all the way", async () => {
  system = await startSystem({ waitFactor: 0.1 });
  await contracts("push", SHOP);
  const rollout = async (mode: string) => {
    const init = { method: "PUT", headers: { authorization: "Bearer dev-admin" }, body: JSON.stringify({ mode }) };
    const response = await fetch(`${system.url}/v1/contracts/Order%20Completed/rollout`, init);
    expect(await response.json()).toMatchObject({ rollouts: [{ source: "*", mode, version: null }] });
  };
  let sent = 0;
  const send = async (properties: object) => {
    const event = { type: "track", event: "Order Completed", userId: "ada", messageId: `order-${++sent}`, properties };
    const response = await system.sendBatch([event]);
    return (await response.json()) as { accepted: number; outcomes: { outcome: string; field?: string }[] };
  };
  const wrong = { order_id: "1", revenue: -5, currency: "EUR" };
  const outcomeOf = async () => (await send(wrong)).outcomes[0]?.outcome ?? "ok";
  const seen = async (mode: string, outcome: string, flag: () => Promise<boolean>) => {
    await rollout(mode);
    await until(
      `${mode} to be known at the edge`,
      20_000,
      async () => (await outcomeOf()) === outcome && (await flag()),
    );
  };
  const count = async (sql: string) => {
    await system.settled();
    return Number((await system.sql(sql)).rows[0]?.[0]);
  };

  expect(await outcomeOf()).toBe("ok");
  await seen("warn", "warning", async () => true);
  expect(await count("select count(*) from events where list_contains(flags, 'off_contract')")).toBe(1);
  await seen("quarantine", "warning", async () => (await count("select count(*) from quarantine")) > 0);
  const { rows } = await system.sql("select cause, field, expected, actual, contract_version from quarantine limit 1");
  expect(rows).toEqual([["contract_violated", "properties.revenue", "minimum 0", "number -5", 1]]);
  await seen("reject", "drop", async () => true);
  const right = await send({ order_id: "2", revenue: 5, currency: "EUR" });
  expect(right).toMatchObject({ accepted: 1, outcomes: [] });
  await system.settled();
  expect(await count("select count(*) from events where contract_version = 1 and flags is null")).toBe(1);
  const { balanced, total } = await system.ledger();
  expect({ balanced, in_flight: total.in_flight }).toEqual({ balanced: true, in_flight: 0 });
  expect(total.accepted).toBe(sent - 1);
});
