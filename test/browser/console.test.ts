import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ORIGIN_HEADERS, type RunningSystem, startSystem } from "../system/harness.ts";
import { launchChromium } from "./chromium.ts";

let system: RunningSystem;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let errors: string[];

beforeAll(async () => {
  [system, browser] = await Promise.all([startSystem(), launchChromium()]);
});
afterAll(() => Promise.all([browser?.close(), system?.stop()]));

beforeEach(async () => {
  context = await browser.newContext();
  page = await context.newPage();
  errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
});
afterEach(() => context.close());

async function send(...events: Readonly<Record<string, unknown>>[]): Promise<void> {
  const body = JSON.stringify({ events });
  const answer = await fetch(`${system.url}/v1/events`, { method: "POST", headers: ORIGIN_HEADERS.write, body });
  expect(answer.status, await answer.text()).toBe(200);
}

const figure = (label: string) => page.locator(".totals .card", { hasText: label }).locator("dd").first();
const shows = (text: string | RegExp) => page.getByText(text).first().waitFor();

describe("the live page", () => {
  it("is what / leads to, says what to do while there is nothing, and moves when an event arrives", async () => {
    await page.goto(system.url);
    expect(new URL(page.url()).pathname).toBe("/live");
    await shows("No events in the last 60 minutes");
    await send(
      { event_type: "page", user_id: "u1", page_url: "https://shop.example/cart", country: "DE" },
      { event_name: "Order Completed", user_id: "u2", country: "FR", properties: { revenue: 19.5, currency: "EUR" } },
    );
    await figure("Events, last 60").getByText("2", { exact: true }).waitFor();
    await shows("€19.50");
    for (const text of ["/cart", "Germany", "France", "Order Completed"]) await shows(text);
    const before = await page.locator(".u-wrap canvas").evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
    await send(...Array.from({ length: 5 }, (_, i) => ({ event_name: "Clicked", user_id: `u${i}` })));
    await figure("Events, last 60").getByText("7", { exact: true }).waitFor();
    const after = await page.locator(".u-wrap canvas").evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
    expect(after).not.toBe(before);
    expect(errors).toEqual([]);
  });

  it("marks a minute that changed after it was final, and says by how much (promise 8)", async () => {
    const minute = Date.now() - 20 * 60_000;
    const event = { event_name: "Late", user_id: "late", client_time: new Date(minute).toISOString() };
    await send({ event_name: "In time", user_id: "late" });
    await system.settled();
    await page.goto(`${system.url}/live`);
    await page.locator(".badge.live").waitFor();
    await send({ ...event, properties: { revenue: 7.5, currency: "EUR" } }, { ...event, user_id: "later" });
    await page.locator(".legend .mark").waitFor();
    await page.getByText("The same as a table").click();
    const row = page.locator(".minute-table tr", { has: page.locator(".corrected") });
    await row.getByText(/^\+2 events, \+€7\.50, came late/).waitFor();
    await row.getByText(/corrected: version \d+/).waitFor();
    // Each bar is a sixtieth of the chart, the running minute's the last.
    const box = (await page.locator(".chart .u-over").boundingBox())!;
    const place = 60 - (Math.floor(Date.now() / 60_000) - Math.floor(minute / 60_000)) - 0.5;
    await page.mouse.move(box.x + (box.width * place) / 60, box.y + box.height / 2);
    await page.locator(".tooltip", { hasText: "+2 events" }).waitFor();
    expect(errors).toEqual([]);
  });

  it("says unmistakably that it is not live while the server is gone, and is live again by itself", async () => {
    await page.goto(`${system.url}/live`);
    await page.locator(".badge.live").waitFor();
    await system.kill();
    await shows("The connection is lost.");
    await page.locator(".badge.stale").waitFor();
    expect(await page.locator(".figures").evaluate((figures) => Number(getComputedStyle(figures).opacity) < 1)).toBe(
      true,
    );
    system = await system.again();
    await page.locator(".badge.live").waitFor({ timeout: 45_000 });
    expect(await page.locator(".notice.stale").count()).toBe(0);
  });
});

describe("the support page", () => {
  it("finds an event that was just sent, with its properties", async () => {
    await page.goto(`${system.url}/support`);
    await send({
      event_name: "Refund Asked",
      user_id: "ada lovelace/1",
      anonymous_id: "device-1",
      session_id: "session-1",
      page_url: "https://shop.example/orders/7",
      properties: { order_id: "o-7", reason: "too small" },
    });
    await page.getByPlaceholder(/User id/).fill("ada lovelace/1");
    await page.getByRole("button", { name: "Look up" }).click();
    await refreshUntil("Refund Asked");
    expect(new URL(page.url()).searchParams.get("user")).toBe("ada lovelace/1");
    await page.getByRole("button", { name: /Refund Asked/ }).click();
    await shows("too small");
    await page.getByRole("link", { name: "device-1" }).first().click();
    await shows(/on this device/);
    expect(new URL(page.url()).searchParams.get("device")).toBe("device-1");
    await page.goBack();
    await page.locator(".profile").waitFor();
    expect(errors).toEqual([]);
  });

  it("loads earlier events by the page, each once", async () => {
    const start = Date.now() - 600_000;
    const events = Array.from({ length: 250 }, (_, i) => ({
      event_name: `Step ${i}`,
      user_id: "pager",
      session_id: "pages",
      client_time: new Date(start + i * 1_000).toISOString(),
    }));
    await send(...events);
    await system.settled();
    await page.goto(`${system.url}/support?user=pager&minutes=60`);
    await shows("Step 249");
    expect(await page.locator(".event").count()).toBe(100);
    for (const count of [200, 250]) {
      await page.getByRole("button", { name: "Load earlier events" }).click();
      await page
        .locator(".event")
        .nth(count - 1)
        .waitFor();
    }
    expect(await page.getByRole("button", { name: "Load earlier events" }).count()).toBe(0);
    const names = await page.locator(".event .kind").allTextContents();
    expect(names).toEqual(events.map((event) => event.event_name).toReversed());
    expect(await page.locator(".session").count()).toBe(1);
  });

  it("says what to try where nobody is found", async () => {
    await page.goto(`${system.url}/support?user=nobody`);
    await shows("No events of this user");
    await page.getByRole("button", { name: "Look for a device with this id" }).click();
    await shows("No events of this device");
  });

  it("keeps the newest lookup when two overlap", async () => {
    await send({ event_name: "Slow One", user_id: "slow" }, { event_name: "Quick One", user_id: "quick" });
    await system.settled();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await page.route("**/v1/users/slow/**", async (route) => {
      await held;
      await route.continue().catch(() => {});
    });
    await page.goto(`${system.url}/support?user=slow`);
    await page.getByPlaceholder(/User id/).fill("quick");
    await page.getByRole("button", { name: "Look up" }).click();
    await shows("Quick One");
    release();
    await page.waitForLoadState("networkidle");
    expect(await page.getByText("Slow One").count()).toBe(0);
  });
});

describe("signing in", () => {
  it("is asked for after signing out, refuses a wrong token, and remembers the right one", async () => {
    await page.goto(`${system.url}/support?user=ada`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.reload();
    const field = page.getByLabel("Access token");
    await field.fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await shows("The token was not accepted");
    await field.fill(system.token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("button", { name: "Look up" }).waitFor();
    await page.goto(`${system.url}/live`);
    await page.locator(".badge.live").waitFor();
  });

  it("a token without the scope is told which one it lacks", async () => {
    const body = JSON.stringify({ title: "This token may not do that", status: 403, reason: "missing_scope" });
    await page.route("**/v1/users/**", (route) => route.fulfill({ status: 403, body }));
    await page.goto(`${system.url}/support?user=ada`);
    await shows("This token may not see this");
    await shows(/scope support/);
  });
});

/** Presses Refresh until the text is there: an event is in the timeline within ten seconds. */
async function refreshUntil(text: string): Promise<void> {
  const giveUp = Date.now() + 10_000;
  while ((await page.getByText(text).count()) === 0) {
    if (Date.now() > giveUp) throw new Error(`not shown within 10 s: ${text}`);
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.getByText(/as of/).waitFor();
    await page.waitForTimeout(200);
  }
}
