/** Every page in light and dark, wide and on a phone, into screenshots/: for eyes. What a program can see is asserted. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page, Request } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { OperationsJson } from "../../workers/operations-json.ts";
import { type RunningSystem, startSystem, until } from "../system/harness.ts";
import { expectAccessible } from "./accessible.ts";
import { launchChromium } from "./chromium.ts";
import { shopDashboard } from "./shop-dashboard.ts";

const FOLDER = join(import.meta.dirname, "../../screenshots");
const SHOWN_MINUTES = 40;

let system: RunningSystem;
let browser: Browser;

beforeAll(async () => {
  mkdirSync(FOLDER, { recursive: true });
  [system, browser] = await Promise.all([startSystem(), launchChromium()]);
  await seed();
  await shopDashboard(system);
});
afterAll(() => Promise.all([browser?.close(), system?.stop()]));

const LOOKS = [
  { name: "wide-light", width: 1360, height: 900, colorScheme: "light" },
  { name: "wide-dark", width: 1360, height: 900, colorScheme: "dark" },
  { name: "phone-light", width: 390, height: 844, colorScheme: "light" },
  { name: "phone-dark", width: 390, height: 844, colorScheme: "dark" },
] as const;
type Look = (typeof LOOKS)[number];
/** Pages that are open at once: a page mostly waits, for the server or for its own drawing. */
const LANES = 2;
const LOOK_WAIT_MS = 180_000;

const PAGES: Readonly<Record<string, (page: Page) => Promise<void>>> = {
  async live(page) {
    await page.goto(`${system.url}/live`);
    await page.locator(".top-list li").first().waitFor();
  },
  async "live-wall"(page) {
    await page.goto(`${system.url}/live?wall=1`);
    await page.locator(".wall .top-list li").first().waitFor();
  },
  async "live-edit"(page) {
    await page.goto(`${system.url}/live?country=DE`);
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await page.getByRole("button", { name: "Add a tile" }).click();
    await page.getByLabel("Shows").selectOption("new");
  },
  async "live-tiles"(page) {
    await page.goto(`${system.url}/live?dashboard=shop`);
    await page.locator(".funnel li").first().waitFor();
    await page.locator(".chart-tile .legend li").first().waitFor();
  },
  async support(page) {
    await page.goto(`${system.url}/support?user=user-1&minutes=60`);
    await page.locator(".profile").waitFor();
    await page.locator(".event", { hasText: "Order Completed" }).first().click();
  },
  async "support-start"(page) {
    await page.goto(`${system.url}/support`);
    await page.getByText("Whom do you have").waitFor();
  },
  async sql(page) {
    await page.goto(`${system.url}/sql`);
    await page.getByRole("button", { name: /^Run/ }).click();
    await page.locator(".grid .cell").nth(7).click();
    await page.locator(".price", { hasText: "Reads up to" }).waitFor();
  },
  async "sql-mistake"(page) {
    await runSql(page, "SELECT event_name, count(*)\nFROM events\nWHERE nonsense = 1\nGROUP BY 1");
    await page.locator(".cm-wrong").waitFor();
  },
  async "sql-lines"(page) {
    await runSql(page, MINUTES);
    await page.getByRole("radio", { name: "Chart" }).check();
    await page.locator(".u-over").hover();
    await page.locator(".tooltip").waitFor();
  },
  async "sql-bars"(page) {
    await runSql(
      page,
      "SELECT event_name, count(*) AS events, count(DISTINCT user_id) AS users FROM events GROUP BY 1",
    );
    await page.getByRole("radio", { name: "Chart" }).check();
    await page.getByRole("checkbox", { name: "users" }).check();
    await page.locator(".bars").waitFor();
  },
  async "sql-plan"(page) {
    await runSql(
      page,
      "SELECT count(*) FROM events WHERE event_name = 'page' AND event_time > now() - INTERVAL 1 HOUR",
    );
    await page.getByRole("radio", { name: "Plan" }).check();
    await page.locator(".table-plan").waitFor();
  },
  async "sql-running"(page) {
    await page.route("**/v1/sql", (route) => (isRun(route.request()) ? undefined : route.continue()));
    const progress = { state: "running", bytes_read: 31e6, bytes_scanned: 42e6, bytes_planned: 84e6 };
    await page.route("**/v1/sql/*", (route) => route.fulfill({ json: progress }));
    await runSql(page, "SELECT count(DISTINCT properties) FROM events");
    await page.getByText("42.0 MB of 84.0 MB").waitFor();
  },
  async "sql-too-large"(page) {
    await page.route("**/v1/sql", (route) =>
      isRun(route.request()) ? route.fulfill({ status: 422, json: TOO_LARGE }) : route.continue(),
    );
    await runSql(page, "SELECT count(DISTINCT user_id) FROM events");
    await page.getByText("A range that fits").waitFor();
    await page.getByText("Trino", { exact: true }).click();
  },
  async "sql-history"(page) {
    await runSql(page, "SELECT 1 AS one");
    await page.locator(".grid").waitFor();
    await page.getByRole("radio", { name: "History" }).check();
    await page.locator(".past li").waitFor();
  },
  async "sql-keys"(page) {
    await page.goto(`${system.url}/sql`);
    await page.locator(".cm-content").evaluate((content: HTMLElement) => content.blur());
    await page.keyboard.press("?");
    await page.locator("dialog[open]").waitFor();
  },
  async operations(page) {
    await page.goto(`${system.url}/operations`);
    await page.locator(".verdict").waitFor();
    await page.locator("#jobs :is(.entries li, .none)").first().waitFor();
  },
  async "operations-trouble"(page) {
    const read = await system.read<OperationsJson>("/v1/operations");
    await page.route("**/v1/operations", (route) => route.fulfill({ json: troubled(read) }));
    await page.goto(`${system.url}/operations`);
    await page.locator(".verdict.behind").waitFor();
  },
  async "operations-forbidden"(page) {
    const body = JSON.stringify({ title: "This token may not do that", status: 403, reason: "missing_scope" });
    await page.route("**/v1/operations", (route) => route.fulfill({ status: 403, body }));
    await page.route("**/v1/token", (route) => route.fulfill({ json: { scopes: ["live", "sql"] } }));
    await page.goto(`${system.url}/operations`);
    await page.getByText("It opens").waitFor();
  },
  async "operations-unreachable"(page) {
    await page.route("**/v1/operations", (route) => route.abort());
    await page.goto(`${system.url}/operations`);
    await page.getByText("The server cannot be reached").waitFor();
  },
  async "operations-loading"(page) {
    await page.route("**/v1/operations", () => undefined);
    await page.goto(`${system.url}/operations`);
    await page.getByText("Loading the figures").waitFor();
  },
  async about(page) {
    await page.goto(`${system.url}/operations`);
    await page.getByRole("button", { name: "About" }).click();
    await page.getByText("Send an event of your own").waitFor();
  },
  async "sign-in"(page) {
    await page.goto(`${system.url}/live`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Access token").waitFor();
  },
};

/** A sink and a queue that stand still. */
const troubled = (of: OperationsJson): OperationsJson => ({
  ...of,
  sinks: of.sinks.map((sink) =>
    sink.sink === "lake" ? { ...sink, lag_seconds: 754, shard: 0, in_flight: 8_112 } : sink,
  ),
  queues: of.queues.map((queue) => ({ ...queue, messages: 1_204, bytes: 2.1e6, oldest_seconds: 95 })),
});

/** Lists: two looks show what there is to see. */
const PLAIN_PAGES = new Set([
  "live-edit",
  "operations-unreachable",
  "operations-loading",
  "sql-history",
  "sql-keys",
  "operations-trouble",
  "operations-forbidden",
  "about",
]);

const MINUTES = `SELECT date_trunc('minute', event_time) AS minute, device_type, count(*) AS events
FROM events
GROUP BY minute, device_type
ORDER BY minute`;

/** As the query Worker refuses what 730 days of 100 files would read. */
const TOO_LARGE = {
  reason: "scan_too_large",
  title: "The statement reads too much",
  detail: "It would read 21 GB of columns.",
  estimate: { files: 73_000, row_groups: 73_000, bytes: 22e9, scan_bytes: 21e9, requests: 146_000, dollars: 0.0612 },
  limit: { bytes: 4_294_967_296, files: 5_000, requests: 9_000 },
  narrower: {
    condition: "event_time >= TIMESTAMP '2026-11-02 00:00:00' AND event_time < TIMESTAMP '2026-11-22 00:00:00'",
    sql: "SELECT count(DISTINCT user_id) FROM events WHERE event_time >= TIMESTAMP '2026-11-02 00:00:00'",
  },
  elsewhere: {
    trino: "SELECT count(DISTINCT user_id) FROM eventpile.lake.events",
    spark: "SELECT 1",
    duckdb: "SELECT 1",
  },
};

async function runSql(page: Page, sql: string): Promise<void> {
  await page.goto(`${system.url}/sql#${new URLSearchParams({ sql })}`);
  await page.getByRole("button", { name: /^Run/ }).click();
}

const isRun = (request: Request): boolean => !request.postData()?.includes('"explain":true');

it.each(LOOKS)("pages fit the screen and log no error: $name", { timeout: LOOK_WAIT_MS }, async (look) => {
  const titles = Object.keys(PAGES).filter((title) => isFullLook(look) || !PLAIN_PAGES.has(title));
  const lane = async () => {
    for (let title = titles.shift(); title !== undefined; title = titles.shift()) await photograph(title, look);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
});

/** Both colours and both widths are among these two. */
const isFullLook = ({ name }: Look): boolean => name === "wide-light" || name === "phone-dark";

async function photograph(title: string, look: Look): Promise<void> {
  const { name, width, height, colorScheme } = look;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await PAGES[title]!(page);
  if (isFullLook(look)) await expectAccessible(page, `${title}-${name}`);
  await page.screenshot({ path: join(FOLDER, `${title}-${name}.png`) });
  const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect({ title, tooWide: Math.max(0, tooWide), errors }).toEqual({ title, tooWide: 0, errors: [] });
  await context.close();
}

/** An hour of a small shop, the same each time but for its clock. */
async function seed(): Promise<void> {
  const countries = ["US", "DE", "GB", "FR", "IN", "BR"];
  const paths = ["/", "/products/blue-kettle", "/products/a-lamp-with-a-very-long-name-indeed", "/cart", "/checkout"];
  const names = ["page", "page", "page", "Product Viewed", "page", "Product Added", "search"];
  const now = Date.now();
  const events: Record<string, unknown>[] = [];
  for (let minute = 0; minute < SHOWN_MINUTES; minute++) {
    const count = Math.round(30 + 20 * Math.sin(minute / 5));
    for (let i = 0; i < count; i++) {
      const ordered = i % 17 === 5;
      const user = (minute * 7 + i) % 23;
      events.push({
        event_name: ordered ? "Order Completed" : names[(minute + i) % names.length],
        user_id: `user-${user}`,
        anonymous_id: `device-${user}-${i % 2}`,
        session_id: `session-${user}-${Math.floor(minute / 20)}`,
        client_time: new Date(now - minute * 60_000 - i * 500).toISOString(),
        page_url: `https://shop.example${paths[(minute * 3 + i) % paths.length]}`,
        country: countries[(i * i) % countries.length],
        device_type: i % 3 ? "desktop" : "mobile",
        browser: "Firefox",
        os: "Linux",
        properties: ordered
          ? { order_id: `o-${minute}-${i}`, revenue: 12.5 + i, currency: "EUR" }
          : { product_id: `p-${i}`, name: "Blue kettle" },
      });
    }
  }
  const response = await fetch(`${system.url}/v1/events?writeKey=${system.writeKey}`, {
    method: "POST",
    body: JSON.stringify({ events, sent_at: new Date().toISOString() }),
  });
  expect(response.ok).toBe(true);
  await system.settled();
  await until("the hour in the rollups", 10_000, async () => {
    const range = { from: new Date(now - 3_600_000).toISOString(), to: new Date(now + 60_000).toISOString() };
    const points = await system.rollups({ metric: "events", grain: "minute", ...range });
    return points.reduce((sum, point) => sum + point.value, 0) === events.length;
  });
}
