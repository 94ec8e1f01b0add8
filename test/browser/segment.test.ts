import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningSystem, startSystem, until } from "../system/harness.ts";
import { launchChromium } from "./chromium.ts";
import { openShop, type Shop } from "./shop.ts";

interface Analytics {
  page(category?: string, name?: string, properties?: object): Promise<unknown>;
  track(event: string, properties?: object): Promise<unknown>;
  identify(userId: string, traits?: object): Promise<unknown>;
  group(groupId: string, traits?: object): Promise<unknown>;
  alias(userId: string): Promise<unknown>;
  reset(): Promise<unknown>;
}
declare const analytics: Analytics;

const TRACKS = 40;

let system: RunningSystem;
let browser: Browser;
let shop: Shop;
let page: Page;

/** Segment's own library from its package, as an application would bundle it. */
async function bundle(): Promise<string> {
  const result = await build({
    stdin: {
      contents: `
        import { AnalyticsBrowser } from "@segment/analytics-next";
        const { writeKey, origin } = document.currentScript.dataset;
        window.analytics = AnalyticsBrowser.load({ writeKey, cdnURL: origin });`,
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    write: false,
    format: "iife",
    target: "es2020",
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "silent",
  });
  return result.outputFiles[0]!.text;
}

beforeAll(async () => {
  const [script, started, launched] = await Promise.all([bundle(), startSystem(), launchChromium()]);
  [system, browser] = [started, launched];
  shop = await openShop(
    `<script src="/app.js" data-write-key="${system.writeKey}" data-origin="${system.url}"></script>`,
    { "/app.js": script },
  );
  page = await browser.newPage();
});
afterAll(async () => {
  shop?.close();
  await Promise.all([browser?.close(), system?.stop()]);
});

describe("unmodified @segment/analytics-next, told only our origin", () => {
  const errors: string[] = [];
  const hosts = new Set<string>();

  it("sends every kind of call without an error, and to no other host", async () => {
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    page.on("request", (request) => hosts.add(new URL(request.url()).origin));
    await page.goto(`${shop.url}/checkout?utm_campaign=spring`);
    await page.evaluate(async (count) => {
      await analytics.page("Shop", "Checkout", { step: 1 });
      await analytics.identify("grace", { plan: "pro", email: "grace@example.com" });
      for (let i = 0; i < count; i++) await analytics.track(`Clicked ${i % 4}`, { i, nested: { a: [1, 2] } });
      await analytics.track("Order Completed", { revenue: 25.5, currency: "USD" });
      await analytics.group("analysts", { seats: 3 });
      await analytics.alias("grace-2");
    }, TRACKS);
    await until("all in SQL", 30_000, async () => (await rows("count(*)"))[0]?.[0] === TRACKS + 5);
    expect(errors).toEqual([]);
    expect([...hosts].sort()).toEqual([shop.url, system.url].sort());
  });

  it("promise 2: every call is in SQL once", async () => {
    await system.settled();
    expect(await rows("count(*), count(DISTINCT event_id)")).toEqual([[TRACKS + 5, TRACKS + 5]]);
    expect(await rows("event_type, count(*)", "GROUP BY 1 ORDER BY 1")).toEqual([
      ["alias", 1],
      ["group", 1],
      ["identify", 1],
      ["page", 1],
      ["track", TRACKS + 1],
    ]);
    const numbers = await rows("CAST(properties['i'][1] AS INTEGER)", "AND event_name LIKE 'Clicked%' ORDER BY 1");
    expect(numbers.map(([i]) => i)).toEqual(Array.from({ length: TRACKS }, (_, i) => i));
  });

  it("its fields are in their columns", async () => {
    const columns =
      "page_path, page_host, utm_campaign, sdk LIKE 'analytics.js/%', browser IS NOT NULL, locale IS NOT NULL";
    expect(await rows(columns, "AND event_name = 'page'")).toEqual([
      ["/checkout", new URL(shop.url).host, "spring", true, true, true],
    ]);
    expect(await rows("revenue, currency, user_id", "AND event_name = 'Order Completed'")).toEqual([
      [25.5, "USD", "grace"],
    ]);
  });

  it("every call is in the user's timeline and in the rollups, once", async () => {
    const calls = await rows("event_id, user_id, anonymous_id");
    const users = new Set(calls.flatMap(([, user]) => (user === null ? [] : [String(user)])));
    expect(users).toContain("grace");
    for (const user of users) {
      const { events } = await system.userEvents(user, { limit: 200 });
      const own = calls.filter((call) => call[1] === user).map(([id]) => id);
      expect(events.map((event) => event.event_id).sort()).toEqual(own.sort());
    }
    // Before she signed in, and after: her browser has all of it.
    const { events } = await system.deviceEvents(String(calls[0]![2]), { limit: 200 });
    expect(events.map((event) => event.event_id).sort()).toEqual(calls.map(([id]) => id).sort());
    const hour = 3_600_000;
    const points = await system.rollups({
      metric: "events",
      grain: "hour",
      from: new Date(Date.now() - hour).toISOString(),
      to: new Date(Date.now() + hour).toISOString(),
    });
    expect(points.reduce((sum, point) => sum + point.value, 0)).toBe(TRACKS + 5);
    expect((await system.ledger()).balanced).toBe(true);
  });
});

/** Of this test's events. */
async function rows(columns: string, more = ""): Promise<readonly (readonly unknown[])[]> {
  return (await system.sql(`SELECT ${columns} FROM events WHERE page_host = '${new URL(shop.url).host}' ${more}`)).rows;
}
