/** The live page over the whole local run: what moves it, what it says when it stands still, and dashboards that people make. */
import type { Browser, BrowserContext, Page, WebSocketRoute } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { DashboardJson } from "../../workers/edge/dashboard-routes.ts";
import { ORIGIN_HEADERS, type RunningSystem, startSystem } from "../system/harness.ts";
import { expectAccessible } from "./accessible.ts";
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

const tile = (title: string | RegExp, of = page) => of.getByRole("region", { name: title });
const figure = (title: string | RegExp, of = page) => tile(title, of).locator(".figure");
const shows = (text: string | RegExp) => page.getByText(text).first().waitFor();
const isLive = (of = page) => of.locator(".badge.live").waitFor();
/** Of the tile's form, by the beginning of its label. */
const field = (label: string) =>
  page
    .getByRole("dialog")
    .locator("label", { hasText: new RegExp(`^${label}`) })
    .locator("select, input, textarea");
const button = (name: string) => page.getByRole("button", { name, exact: true });

async function keep(id: string, rest: object = {}): Promise<void> {
  const body = { name: "Shop wall", tiles: [{ id: "a", view: "figure", metric: "events" }], ...rest };
  const init = { method: "PUT", headers: ORIGIN_HEADERS.read, body: JSON.stringify(body) };
  expect((await fetch(`${system.url}/v1/dashboards/${id}`, init)).ok).toBe(true);
}

describe("the overview", () => {
  it("is what / leads to, says what to do while there is nothing, and moves when an event arrives", async () => {
    await page.goto(system.url);
    expect(new URL(page.url()).pathname).toBe("/live");
    await shows("No events in the last 60 minutes");
    await send(
      { event_type: "page", user_id: "u1", page_url: "https://shop.example/cart", country: "DE" },
      { event_name: "Order Completed", user_id: "u2", country: "FR", properties: { revenue: 19.5, currency: "EUR" } },
    );
    await figure("Events, last 60 minutes").getByText("2", { exact: true }).waitFor();
    await shows("€19.50");
    for (const text of ["/cart", "Germany", "France", "Order Completed"]) await shows(text);
    await expectAccessible(page);
    await send(...Array.from({ length: 5 }, (_, i) => ({ event_name: "Clicked", user_id: `u${i}` })));
    await figure("Events, last 60 minutes").getByText("7", { exact: true }).waitFor();
    await page.getByRole("radio", { name: "24 hours" }).check();
    await figure("Events, last 24 hours").getByText("7", { exact: true }).waitFor();
    await page.getByRole("radio", { name: "30 days" }).check();
    await figure("Events, last 30 days").getByText("7", { exact: true }).waitFor();
    expect(errors).toEqual([]);
  });

  it("draws its charts with each second, whether anything arrives or not", async () => {
    await page.goto(`${system.url}/live`);
    await isLive();
    const drawn = await page.locator(".u-wrap canvas").evaluate(
      (canvas: HTMLCanvasElement) =>
        new Promise<number>((resolve) => {
          const context = canvas.getContext("2d")!;
          const clear = context.clearRect;
          let frames = 0;
          // Each drawing begins by clearing all of it.
          context.clearRect = (x, y, width, height) => {
            clear.call(context, x, y, width, height);
            if (width === canvas.width && ++frames === 3) resolve(frames);
          };
        }),
    );
    expect(drawn).toBe(3);
  });

  it("marks a minute that changed after it was final, says by how much, and that it was corrected just now (promise 8)", async () => {
    const minute = Date.now() - 20 * 60_000;
    const event = { event_name: "Late", user_id: "late", client_time: new Date(minute).toISOString() };
    await send({ event_name: "In time", user_id: "late" });
    await system.settled();
    await page.goto(`${system.url}/live`);
    await isLive();
    await send({ ...event, properties: { revenue: 7.5, currency: "EUR" } }, { ...event, user_id: "later" });
    await page.locator(".legend .mark").waitFor();
    await page.locator(".changes li", { hasText: /\+2 events, \+€7\.50, came late/ }).waitFor();
    await page.getByText("The same as a table").click();
    const row = page.locator(".chart-table tr", { has: page.locator(".corrected") });
    await row.getByText(/^\+2 events, \+€7\.50, came late/).waitFor();
    await row.getByText(/corrected: version \d+/).waitFor();
    await expectAccessible(page);
    // Each bar is a sixtieth of the chart, and the running minute's grows at its right edge.
    const box = (await page.locator(".chart .u-over").boundingBox())!;
    const ago = (Date.now() - Math.floor(minute / 60_000) * 60_000 - 30_000) / 60_000;
    await page.mouse.move(box.x + (box.width * (59 - ago)) / 59, box.y + box.height / 2);
    await page.locator(".tooltip", { hasText: "+2 events" }).waitFor();
    expect(errors).toEqual([]);
  });

  it("says unmistakably that it is not live while the server is gone, is live again by itself, and has neither gap nor double", async () => {
    await page.goto(`${system.url}/live`);
    await isLive();
    const before = Number(await figure("Events, last 60 minutes").textContent());
    await system.kill();
    await shows("The connection is lost.");
    await page.locator(".badge.stale").waitFor();
    expect(await page.title()).toMatch(/^⚠ Not live/);
    expect(await page.locator(".figures").evaluate((figures) => Number(getComputedStyle(figures).opacity) < 1)).toBe(
      true,
    );
    system = await system.again();
    await send(...Array.from({ length: 3 }, (_, i) => ({ event_name: "Meanwhile", user_id: `m${i}` })));
    await page.locator(".badge.live").waitFor({ timeout: 45_000 });
    await figure("Events, last 60 minutes")
      .getByText(String(before + 3), { exact: true })
      .waitFor();
    expect(await page.locator(".notice.stale").count()).toBe(0);
    expect(await page.title()).not.toContain("Not live");
  });
});

describe("a dashboard", () => {
  it("is made in the page, kept on the server, and another browser sees the same by its address", async () => {
    await send({ event_name: "Signed Up", user_id: "u1", country: "DE" });
    await page.goto(`${system.url}/live`);
    await isLive();
    await button("Edit").click();
    await page.getByLabel("Name").fill("Sign-ups");
    for (const name of ["Events, last 60 minutes", "Pages"])
      await tile(name).getByRole("button", { name: "Remove" }).click();
    await button("Add a tile").click();
    const editor = page.getByRole("dialog");
    await field("As").selectOption("chart");
    await field("By").selectOption("event_name");
    await field("Title").fill("What happens");
    await expectAccessible(page);
    await editor.getByRole("button", { name: "Add it" }).click();
    await tile("What happens").getByText("Signed Up").first().waitFor();
    await button("Save as new").click();
    await page.waitForURL(/dashboard=sign-ups/);
    await page.getByRole("radio", { name: "24 hours" }).check();
    const kept = await system.read<DashboardJson>("/v1/dashboards/sign-ups");
    expect(kept).toMatchObject({ name: "Sign-ups", version: 1 });
    expect(kept.tiles.at(-1)).toMatchObject({ title: "What happens", view: "chart", by: "event_name" });

    const other = await (await browser.newContext()).newPage();
    await other.goto(page.url());
    await tile("What happens", other).waitFor();
    expect(await other.getByRole("radio", { name: "24 hours" }).isChecked()).toBe(true);
    expect(await tile("Pages", other).count()).toBe(0);
    await other.context().close();
    expect(errors).toEqual([]);
  });

  it("tells the second of two who change it at once, who then takes theirs or puts his in its place", async () => {
    await keep("shared");
    await page.goto(`${system.url}/live?dashboard=shared`);
    await isLive();
    await button("Edit").click();
    await page.getByLabel("Name").fill("Mine");
    await keep("shared", { name: "Theirs" });
    await button("Save").click();
    await shows("Somebody else has changed this dashboard.");
    expect((await system.read<DashboardJson>("/v1/dashboards/shared")).name).toBe("Theirs");
    await button("Put mine in its place").click();
    await page.getByRole("heading", { name: "Mine" }).waitFor();
    expect((await system.read<DashboardJson>("/v1/dashboards/shared")).name).toBe("Mine");
  });

  it("is narrowed to what is asked for, in its address, and says of a tile that it is not counted so", async () => {
    await send({ event_name: "A", user_id: "a", country: "AT" }, { event_name: "B", user_id: "b", country: "CH" });
    await page.goto(`${system.url}/live`);
    await tile("Countries").getByText("Austria").waitFor();
    await button("Filter").click();
    await page.getByLabel("Filter by").selectOption("country");
    await page.getByRole("combobox", { name: "Value" }).fill("at");
    await button("Only this").click();
    await figure("Events, last 60 minutes").getByText("1", { exact: true }).waitFor();
    expect(await tile("Countries").locator("li").count()).toBe(1);
    await tile("Pages").getByText("It is not counted by country yet.").waitFor();
    expect(new URL(page.url()).searchParams.get("country")).toBe("AT");
    await expectAccessible(page);
    await page.goBack();
    await tile("Countries").getByText("Switzerland").waitFor();
    expect(errors).toEqual([]);
  });

  it("fills a wall's screen with nothing but its tiles, and says there, too, when it is not live", async () => {
    let isCut = false;
    const open: WebSocketRoute[] = [];
    await page.routeWebSocket(/\/v1\/live/, (socket) => {
      if (isCut) return void socket.close();
      socket.connectToServer();
      open.push(socket);
    });
    await keep("wall");
    await page.goto(`${system.url}/live?dashboard=wall`);
    await isLive();
    await button("Full screen").click();
    await page.locator(".wall").waitFor();
    expect(await page.getByRole("navigation").isVisible()).toBe(false);
    expect(await page.evaluate(() => document.fullscreenElement !== null)).toBe(true);
    isCut = true;
    expect(open).toHaveLength(1);
    await open[0]!.close();
    await page.locator(".wall.is-stale .notice.stale").waitFor();
    isCut = false;
    await button("Try now").click();
    await isLive();
    await button("Leave").click();
    await page.getByRole("navigation").waitFor();
    expect(new URL(page.url()).searchParams.get("wall")).toBeNull();
  });

  it("that is not there leads to the overview", async () => {
    await page.goto(`${system.url}/live?dashboard=gone`);
    await shows("There is no such dashboard");
    await page.getByRole("link", { name: "To the overview" }).click();
    await isLive();
  });
});

describe("a tile of what nothing counts yet", () => {
  it("is defined in its form, fills in the past, moves, and marks what was corrected", async () => {
    const chosen = (plan: string, minutesAgo = 0) => ({
      event_name: "Plan Chosen",
      user_id: "planner",
      client_time: new Date(Date.now() - minutesAgo * 60_000).toISOString(),
      properties: { plan },
    });
    await send(chosen("pro"), chosen("pro"), chosen("free"), { event_name: "Other", properties: { plan: "pro" } });
    await system.settled();
    await page.goto(`${system.url}/live`);
    await isLive();
    await button("Edit").click();
    await button("Add a tile").click();
    const editor = page.getByRole("dialog");
    await field("Shows").selectOption("new");
    await field("Name").fill("Plans");
    await field("Only events with").fill("event_name Plan Chosen");
    await field("Told apart by").fill("properties.plan");
    await field("As").selectOption("list");
    await editor.getByRole("button", { name: "Add it" }).click();
    await editor.getByText(/is not like country = DE, AT/).waitFor();
    await field("Only events with").fill("event_name = Plan Chosen");
    await expectAccessible(page);
    await editor.getByRole("button", { name: "Add it" }).click();
    const plans = (of: string) => tile("Plans by plan").getByRole("listitem").filter({ hasText: of });
    await plans("pro").getByText("2", { exact: true }).waitFor({ timeout: 40_000 });
    await plans("free").getByText("1", { exact: true }).waitFor();
    await send(chosen("pro"));
    await plans("pro").getByText("3", { exact: true }).waitFor();

    await tile("Plans by plan").getByRole("button", { name: "Edit" }).click();
    await editor.getByText("Events by plan, only event name Plan Chosen, every minute.").waitFor();
    await field("As").selectOption("chart");
    await field("By").selectOption("properties.plan");
    await editor.getByRole("button", { name: "Change it" }).click();
    await send(chosen("free", 20));
    await tile("Plans per minute by plan").locator(".legend .mark").waitFor();
    await page.locator(".changes li", { hasText: "Plans, free, 1 instead of 0" }).waitFor();
    expect(errors).toEqual([]);
  });

  it("is offered where the dashboard is narrowed, and shows what is counted from then on, as a live token may not ask", async () => {
    await send({ event_name: "Seen", user_id: "s", country: "NO", page_url: "https://shop.example/fjord" });
    await system.settled();
    await page.goto(`${system.url}/live?country=NO`);
    await isLive();
    const ask = tile("Pages").getByRole("button", { name: "Have it counted" });
    const refused = JSON.stringify({ title: "This token may not do that", status: 403, reason: "missing_scope" });
    await page.route("**/v1/rollup-definitions", (route) =>
      route.request().method() === "POST" ? route.fulfill({ status: 403, body: refused }) : route.continue(),
    );
    await ask.click();
    await tile("Pages")
      .getByText(/needs the scope admin/)
      .waitFor();
    await page.unroute("**/v1/rollup-definitions");
    await page.reload();
    await ask.click();
    await tile("Pages").getByText("/fjord").waitFor({ timeout: 40_000 });
  });
});

it("a token without the scope is told which one it lacks, without a figure (permission denied)", async () => {
  const body = JSON.stringify({ title: "This token may not do that", status: 403, reason: "missing_scope" });
  await page.route("**/v1/live*", (route) => route.fulfill({ status: 403, body }));
  await page.routeWebSocket(/\/v1\/live/, (socket) => socket.close());
  await page.goto(`${system.url}/live`);
  await shows("This token may not see this");
  await shows(/scope live/);
  expect(await page.locator(".figure").count()).toBe(0);
});
