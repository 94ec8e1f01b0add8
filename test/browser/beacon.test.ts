import type { Browser, BrowserContext, Page, Request } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../workers/beacon/client.ts";
import { type RunningSystem, startSystem, until } from "../system/harness.ts";
import { launchChromium } from "./chromium.ts";
import { openShop, type Shop } from "./shop.ts";

type Sent = Readonly<Record<string, unknown>> & { readonly event_id: string; readonly event_name: string };
declare const eventpile: Client;

let system: RunningSystem;
let browser: Browser;
let shop: Shop;
let context: BrowserContext;
let page: Page;
/** Events in the requests the browser made, one list for each request. */
let requests: { events: Sent[] }[];

beforeAll(async () => {
  [system, browser] = await Promise.all([startSystem(), launchChromium()]);
  shop = await openShop(`<script async src="${system.url}/beacon.js" data-write-key="${system.writeKey}"></script>`);
});
afterAll(async () => {
  shop?.close();
  await Promise.all([browser?.close(), system?.stop()]);
});

beforeEach(async () => {
  context = await browser.newContext();
  requests = [];
  context.on("request", (request: Request) => {
    if (!request.url().startsWith(`${system.url}/v1/events`) || request.method() !== "POST") return;
    requests.push({ events: JSON.parse(request.postData() ?? "{}").events });
  });
  page = await context.newPage();
});
afterEach(() => context.close());

const ready = (on: Page = page) => on.waitForFunction("typeof eventpile === 'object' && 'track' in eventpile");
const open = async (path: string, on: Page = page) => {
  await on.goto(shop.url + path);
  await ready(on);
};
const track = (name: string, on: Page = page) => on.evaluate((event) => eventpile.track(event), name);
const deviceOf = (on: Page = page) => on.evaluate(() => localStorage.getItem("eventpile.device")!);
const namesSent = () => requests.flatMap(({ events }) => events.map((event) => event.event_name));

/**
 * The device's events once there are `count`; and then still as many a moment later. In the order in which the page made them:
 * each request corrects its times by its own way here, which may be another order.
 */
async function stored(device: string, count: number): Promise<Sent[]> {
  const read = async () => (await system.deviceEvents(device, { limit: 100 })).events as unknown as Sent[];
  await until(`${count} events of ${device}`, 20_000, async () => (await read()).length >= count);
  await system.settled();
  return (await read()).toSorted((a, b) => Number(a.client_seq) - Number(b.client_seq));
}

describe("beacon.js on a page of another origin", () => {
  it("sends a page view by itself, custom events, and who it is", async () => {
    await open("/products/kettle?utm_source=news#top");
    await page.evaluate(() => {
      eventpile.track("Product Viewed", { product_id: "p1", price: 49.9 });
      eventpile.identify("ada", { plan: "pro" });
      eventpile.track("Order Completed", { revenue: 49.9, currency: "EUR" });
    });
    const device = await deviceOf();
    const events = await stored(device, 4);
    expect(events.map((event) => [event.event_name, event.client_seq, event.user_id])).toEqual([
      ["page", 1, undefined],
      ["Product Viewed", 2, undefined],
      ["identify", 3, "ada"],
      ["Order Completed", 4, "ada"],
    ]);
    expect(new Set(events.map((event) => event.session_id)).size).toBe(1);
    expect(events[0]).toMatchObject({
      anonymous_id: device,
      page_url: `${shop.url}/products/kettle?utm_source=news`,
      page_path: "/products/kettle",
      page_title: "Shop /products/kettle",
      utm_source: "news",
      sdk: "eventpile-beacon/0.1.0",
      browser: expect.stringMatching(/chrom/i),
    });
    expect(events[3]).toMatchObject({ revenue: 49.9, currency: "EUR" });
    const users = await system.userEvents("ada");
    expect(users.events).toHaveLength(2);
  });

  it("asks for no preflight", async () => {
    const methods: string[] = [];
    const devtools = await context.newCDPSession(page);
    await devtools.send("Network.enable");
    devtools.on("Network.requestWillBeSent", ({ request }) => {
      if (request.url.includes("/v1/events")) methods.push(request.method);
    });
    await open("/");
    await until("a request", 5_000, async () => requests.length > 0);
    expect(methods).toEqual(["POST"]);
  });

  it("sees the navigations of an application that loads no page", async () => {
    await open("/app");
    await page.evaluate(() => {
      history.pushState(null, "", "/app/cart");
      document.title = "Cart";
    });
    await page.evaluate(() => history.replaceState(null, "", "/app/cart#details"));
    await page.evaluate(() => history.back());
    const events = await stored(await deviceOf(), 3);
    expect(events.map((event) => [event.page_path, event.page_title])).toEqual([
      ["/app", "Shop /app"],
      ["/app/cart", "Cart"],
      ["/app", "Cart"],
    ]);
  });

  it("takes calls that were left for it before it had loaded", async () => {
    await page.addInitScript(() => {
      const calls = [
        ["configure", { app: { name: "shop", version: "7" } }],
        ["track", "early"],
      ];
      Object.assign(window, { eventpile: calls });
    });
    await open("/");
    const events = await stored(await deviceOf(), 2);
    expect(events.map((event) => [event.event_name, event.app_name])).toEqual([
      ["page", "shop"],
      ["early", "shop"],
    ]);
  });

  it("sends what is left when the page goes", async () => {
    await open("/");
    const device = await deviceOf();
    await until("the page view", 5_000, async () => namesSent().includes("page"));
    await page.evaluate(() => eventpile.configure({ flushMs: 600_000 }));
    await track("leaving");
    expect(namesSent()).not.toContain("leaving");
    await page.goto("about:blank");
    const events = await stored(device, 2);
    expect(events.map((event) => event.event_name)).toEqual(["page", "leaving"]);
  });

  it("keeps events while there is no network and sends them, once, when it is back", async () => {
    await open("/");
    const device = await deviceOf();
    await stored(device, 1);
    await context.setOffline(true);
    await track("offline 1");
    await track("offline 2");
    expect(await page.evaluate(() => Object.keys(localStorage).some((key) => key.startsWith("eventpile.queue.")))).toBe(
      true,
    );
    expect(namesSent()).toEqual(["page"]);
    await context.setOffline(false);
    const events = await stored(device, 3);
    expect(events.map((event) => event.event_name)).toEqual(["page", "offline 1", "offline 2"]);
    expect(namesSent()).toEqual(["page", "offline 1", "offline 2"]);
    expect(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes("queue")))).toEqual([]);
  });

  it("promise 2: keeps them beyond the page: the next sends them, and if two tabs do, they count once", async () => {
    await open("/");
    const device = await deviceOf();
    await stored(device, 1);
    await context.setOffline(true);
    await track("before the tunnel");
    await Promise.all([page.waitForEvent("close"), page.close({ runBeforeUnload: true })]);
    await context.setOffline(false);
    const [one, two] = await Promise.all([context.newPage(), context.newPage()]);
    await Promise.all([open("/one", one), open("/two", two)]);
    const events = await stored(device, 4);
    expect(events.map((event) => event.event_name).sort()).toEqual(["before the tunnel", "page", "page", "page"]);
    expect(namesSent()).toContain("before the tunnel");
  });

  it.each([
    ["503 with Retry-After", 503],
    ["429 with Retry-After", 429],
  ])("promise 2: after a %s sends the same event ids again", async (_, status) => {
    let refused = 0;
    await context.route(`${system.url}/v1/events*`, (route) => {
      if (refused++ > 0) return route.continue();
      const headers = {
        "retry-after": "1",
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "Retry-After",
      };
      return route.fulfill({ status, headers, body: "{}" });
    });
    await open("/");
    const events = await stored(await deviceOf(), 1);
    expect(requests.length).toBe(2);
    expect(requests[1]?.events.map((event) => event.event_id)).toEqual(
      requests[0]?.events.map((event) => event.event_id),
    );
    expect(events).toHaveLength(1);
  });

  it("promise 2: an event whose answer was lost counts once", async () => {
    let lost = 0;
    await context.route(`${system.url}/v1/events*`, async (route) => {
      if (lost++ > 0) return route.continue();
      const answer = await route.fetch();
      expect(answer.ok()).toBe(true);
      return route.abort("connectionreset");
    });
    const before = (await system.settled()).total;
    await open("/");
    const device = await deviceOf();
    await until("a second request", 10_000, async () => requests.length > 1);
    expect(await stored(device, 1)).toHaveLength(1);
    expect((await system.ledger()).total.duplicates - before.duplicates).toBe(1);
  });

  it("drops what the server will never take, and goes on", async () => {
    await open("/");
    await until("the page view", 5_000, async () => namesSent().includes("page"));
    await page.evaluate(() => eventpile.configure({ writeKey: "unknown" }));
    await track("refused");
    await until("the refused request", 5_000, async () => namesSent().includes("refused"));
    await page.evaluate((writeKey) => eventpile.configure({ writeKey }), system.writeKey);
    await track("taken");
    const events = await stored(await deviceOf(), 2);
    expect(events.map((event) => event.event_name)).toEqual(["page", "taken"]);
  });

  it("works where storage is blocked", async () => {
    await page.addInitScript(() => {
      for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(window, name, {
          get() {
            throw new DOMException("denied", "SecurityError");
          },
        });
      }
    });
    await open("/");
    await track("without storage");
    await until("both", 5_000, async () => namesSent().length === 2);
    const device = requests[0]!.events[0]!.anonymous_id as string;
    const events = await stored(device, 2);
    expect(events.map((event) => event.client_seq)).toEqual([1, 2]);
  });
});
