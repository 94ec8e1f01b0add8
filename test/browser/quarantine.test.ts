import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ORIGIN_HEADERS, type RunningSystem, startSystem, until } from "../system/harness.ts";
import { expectAccessible } from "./accessible.ts";
import { launchChromium } from "./chromium.ts";

const FOLDER = join(import.meta.dirname, "../../screenshots");
const EVENT = "Order Placed";
const contract = (version: number, required: readonly string[]) => ({
  "x-event": EVENT,
  "x-version": version,
  "x-owner": "shop@example.com",
  description: "Somebody has paid.",
  type: "object",
  additionalProperties: false,
  properties: { total: { type: "number", minimum: 0 }, coupon: { type: "string", default: "" } },
  required,
});

let system: RunningSystem;
let browser: Browser;
let page: Page;
const errors: string[] = [];
let sent = 0;

async function order(properties: object, version = "1.0") {
  const context = { app: { name: "Shop", version } };
  const event = { type: "track", event: EVENT, userId: "ada", messageId: `order-${++sent}`, context, properties };
  return (await (await system.sendBatch([event])).json()) as { outcomes: readonly { outcome: string }[] };
}

beforeAll(async () => {
  mkdirSync(FOLDER, { recursive: true });
  [system, browser] = await Promise.all([startSystem({ waitFactor: 0.1 }), launchChromium()]);
  page = await (await browser.newContext()).newPage();
  page.on("pageerror", (error) => errors.push(String(error)));
  await system.read("/v1/contracts", contract(1, ["total"]));
  await system.read("/v1/contracts", contract(2, ["total", "coupon"]));
});
afterAll(() => Promise.all([browser?.close(), system?.stop()]));

/** In light and dark, wide and on a phone, and never wider than the screen. */
async function photographed(name: string) {
  for (const look of [
    { of: "wide-light", width: 1360, height: 900, colorScheme: "light" },
    { of: "wide-dark", width: 1360, height: 900, colorScheme: "dark" },
    { of: "phone-light", width: 390, height: 844, colorScheme: "light" },
    { of: "phone-dark", width: 390, height: 844, colorScheme: "dark" },
  ] as const) {
    await page.emulateMedia({ colorScheme: look.colorScheme });
    await page.setViewportSize(look);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect([look.of, wide <= 0]).toEqual([look.of, true]);
    await page.screenshot({ path: join(FOLDER, `${name}-${look.of}.png`), fullPage: true });
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1360, height: 900 });
}

const cause = (text: string) => page.locator(".cause", { hasText: text });
const count = async (sql: string) => Number((await system.sql(sql)).rows[0]?.[0]);

describe("the quarantine page", () => {
  it("says that nothing is there, and where else to look", async () => {
    await page.goto(`${system.url}/quarantine`);
    await page.getByText("Nothing has broken its contract").waitFor();
    await expectAccessible(page, "empty");
  });

  it("tries a version before it is enforced, call by call, and says whose events would fail", async () => {
    for (let i = 0; i < 3; i++) await order({ total: i });
    for (let i = 0; i < 2; i++) await order({ total: i, coupon: "spring" }, "2.0");
    await system.settled();
    const trial = page.locator("#trial");
    // Slices, as of a log with more segments than one call reads.
    const calls: unknown[] = [];
    await page.route("**/trials", async (route) => {
      const body = route.request().postDataJSON() as Record<string, unknown>;
      calls.push(body.cursor);
      const answer = await route.fetch();
      const json = (await answer.json()) as Record<string, unknown>;
      await route.fulfill({ response: answer, json: { ...json, ...(calls.length === 1 && { next: "0-1-1" }) } });
    });
    await trial.getByLabel("Against").selectOption("2");
    await trial.getByRole("button", { name: "Run the trial" }).click();
    // The second call, from a place of 1970, finds nothing more.
    await trial.locator(".told", { hasText: "3 of 5 events would fail (60%)." }).waitFor();
    expect(calls).toEqual([undefined, "0-1-1"]);
    await page.unroute("**/trials");
    const row = trial.locator("tbody tr");
    expect(await row.count()).toBe(1);
    expect(await row.innerText()).toMatch(/dev\s+1\.0\s+properties\.coupon\s+required\s+3\s+60%/);
    await trial.getByText("3 samples").click();
    await trial.locator("li", { hasText: "order-1" }).waitFor();

    await trial.getByLabel("Against").selectOption("document");
    await trial.getByRole("button", { name: "Run the trial" }).click();
    await trial.getByRole("alert").getByText("no JSON document of a contract").waitFor();
    await trial.getByLabel(/as it stands in the repository/).fill(JSON.stringify(contract(9, [])));
    await trial.getByRole("button", { name: "Run the trial" }).click();
    await trial.locator(".told", { hasText: "0 of 5 events would fail (0%)." }).waitFor();
    await trial.getByLabel(/as it stands in the repository/).fill('{"x-event": "Order Placed", "type": 7}');
    await trial.getByRole("button", { name: "Run the trial" }).click();
    await trial.getByRole("alert").getByText("The document is no contract").waitFor();
    await trial.getByLabel("Against").selectOption("2");
    await trial.getByRole("button", { name: "Run the trial" }).click();
    await trial.locator(".told", { hasText: "3 of 5 events would fail" }).waitFor();
    await photographed("trial");
    await expectAccessible(page, "with a trial");
  });

  it("shows causes, the most frequent first, and each beside the contract that it broke", async () => {
    const init = { method: "PUT", headers: ORIGIN_HEADERS.read, body: JSON.stringify({ mode: "quarantine" }) };
    await fetch(`${system.url}/v1/contracts/${encodeURIComponent(EVENT)}/rollout`, init);
    await until("the edge enforces version 2", 20_000, async () => {
      const { outcomes } = await order({ total: 1 });
      return outcomes[0]?.outcome === "warning";
    });
    for (let i = 0; i < 8; i++) await order({ total: i });
    for (let i = 0; i < 2; i++) await order({ total: "12.50", coupon: "spring" }, "2.0");
    await order({ total: -1, coupon: "spring" }, "2.0");
    // The ledger is settled as soon as the log has them.
    const inLake = () => count("select count(*) from quarantine where app_version = '2.0'");
    await until("the lake has them", 30_000, async () => (await inLake()) === 3);

    await page.reload();
    await cause("properties.coupon").waitFor();
    expect(await page.locator(".cause").count()).toBe(3);
    expect(await page.locator(".cause[aria-current]").innerText()).toMatch(/properties\.coupon required/);
    await cause('type "number"').click();
    await page.locator("h2", { hasText: 'properties.total type "number"' }).waitFor();
    await page.getByText("app version 2.0").waitFor();
    await page.locator(".beside pre", { hasText: '"total": "12.50"' }).first().waitFor();
    await page.locator(".beside pre", { hasText: '"minimum": 0' }).first().waitFor();
    // What came before the edge knew of the rollout was not checked.
    const hour = page.locator(".health tbody tr").first();
    expect(Number.parseInt(await hour.locator("td").nth(3).innerText(), 10)).toBeGreaterThan(30);
    expect(await hour.locator("td").count()).toBe(7);
    await expectAccessible(page, "with causes");
  });

  it("tries a mapping, says what would still fail, and gives back what keeps to the version", async () => {
    await page.getByRole("button", { name: "Try" }).click();
    await page.locator(".told", { hasText: "0 events of 2 would go back." }).waitFor();
    await page.locator(".told", { hasText: "2 events would still break the contract" }).waitFor();
    await page.getByLabel(/Mended first/).fill("no list");
    await page.getByRole("button", { name: "Try" }).click();
    await page.getByRole("alert").getByText("no JSON list of steps").waitFor();
    await page.getByLabel(/Mended first/).fill('[{"field": "total", "as": "number"}]');
    await page.getByRole("button", { name: "Try" }).click();
    await page.locator(".told", { hasText: "2 events of 2 would go back." }).waitFor();
    await photographed("quarantine");
    expect(await count("select count(*) from events where app_version = '2.0'")).toBe(2);

    await page.getByRole("button", { name: "Give back to the log" }).click();
    await page.locator(".told", { hasText: "2 events of 2 went back." }).waitFor();
    await system.settled();
    expect(await count("select count(*) from events where app_version = '2.0' and contract_version = 2")).toBe(2);
    await page.getByRole("button", { name: "Give back to the log" }).click();
    await page.locator(".told", { hasText: "0 events of 2 went back. 2 events had gone back before." }).waitFor();
  });

  it("gives back by a new version what the mistake of another kept apart", async () => {
    await system.read("/v1/contracts", contract(3, ["total"]));
    await page.reload();
    await cause("properties.coupon").waitFor();
    const kept = await count("select count(*) from quarantine where field = 'properties.coupon'");
    await page.getByLabel("Are to keep to").selectOption("2");
    await page.getByRole("button", { name: "Try" }).click();
    await page.locator(".told", { hasText: `0 events of ${kept} would go back.` }).waitFor();
    await page.getByLabel("Are to keep to").selectOption("3");
    await page.getByRole("button", { name: "Give back to the log" }).click();
    await page.locator(".told", { hasText: `${kept} events of ${kept} went back.` }).waitFor();
    await system.settled();
    const { balanced, total } = await system.ledger();
    expect({ balanced, quarantined: total.quarantined }).toEqual({ balanced: true, quarantined: 1 });
  });

  it("is told on Operations, too: what share of each source's events has what, and who is told of a break", async () => {
    await system.read("/v1/webhooks", { url: "http://127.0.0.1:22599/", description: "on call" });
    await system.maintain();
    await page.goto(`${system.url}/operations`);
    const card = page.locator("#contracts");
    const row = card.getByRole("row", { name: /Order Placed/ });
    await row.waitFor();
    expect(await row.innerText()).toMatch(/Order Placed\s+dev\s+\S+ \S+ \(so far\)\s+\d+\s+\S+%\s+total \d+%/);
    await card.getByRole("row", { name: /on call\s+0\s+0\s+0\s+–/ }).waitFor();
    await card.getByText("What is expected holds.").waitFor();
    await expectAccessible(page, "operations, with contracts");
    await photographed("contracts-operations");
    expect(errors).toEqual([]);
  });
});
