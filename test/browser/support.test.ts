/** Support, as whoever has a customer on the line uses it: over the real local run, in a real browser. */
import { readFile } from "node:fs/promises";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
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
  context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
  page = await context.newPage();
  errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
});
afterEach(async ({ task }) => {
  if (task.result?.state === "fail")
    console.error(`${page.url()}\n${(await page.innerText("body")).slice(0, 3_000)}\n${system.output.slice(-3_000)}`);
  await context.close();
  expect(errors).toEqual([]);
});

type Event = Readonly<Record<string, unknown>>;

async function send(...events: Event[]): Promise<void> {
  const body = JSON.stringify({ events });
  const answer = await fetch(`${system.url}/v1/events`, { method: "POST", headers: ORIGIN_HEADERS.write, body });
  expect(answer.status, await answer.text()).toBe(200);
}

const box = () => page.getByRole("searchbox", { name: /User id, device id/ });
const rows = () => page.locator("button.event");
const row = (text: string | RegExp) => page.locator("button.event", { hasText: text }).first();
const open = (query: string) => page.goto(`${system.url}/support${query}`);
/** One clock for all, so that places in time are where they are meant, however long a test takes. */
const T0 = Date.now();
const ago = (seconds: number) => new Date(T0 - seconds * 1_000).toISOString();
const YEAR_S = 365 * 86_400;
const HOT_EVENTS = 100_000;
const HOT_START = T0 - HOT_EVENTS * 1_000;
const steps = (name: string, user_id: string, from: number, to: number): Event[] =>
  Array.from({ length: to - from }, (_, i) => ({
    event_name: `${name} ${from + i}`,
    user_id,
    client_time: ago(600 - from - i),
  }));

/** All that is there before anybody looks: sent at once, so that one wait is enough. */
async function seed(): Promise<void> {
  const onTv = (event_name: string, seconds: number, user_id?: string) => ({
    event_name,
    anonymous_id: "shared tv",
    client_time: ago(600 - seconds),
    ...(user_id && { user_id }),
  });
  await send(
    { event_id: "id-1", event_name: "Refund Asked", user_id: "ada lovelace/1", anonymous_id: "ada's phone" },
    {
      event_type: "identify",
      event_name: "identify",
      user_id: "ada lovelace/1",
      properties: { email: "Ada@Example.org", plan: "pro" },
    },
    { event_name: "Remote Pressed", user_id: "both", anonymous_id: "tv" },
    { event_name: "Remote Pressed", anonymous_id: "both" },
    ...steps("Step", "tail", 0, 120),
    ...steps("First", "bursting", 0, 1),
    { event_name: "Before", user_id: "lasting" },
    onTv("Looked Around", 1),
    onTv("Signed In", 2, "ann"),
    onTv("Bob Looked", 3),
    onTv("Bob In", 4, "bob"),
    {
      event_name: "page",
      event_type: "page",
      user_id: "keys",
      page_url: "https://shop.example/pay",
      client_time: ago(20),
    },
    { event_name: "Payment Failed", user_id: "keys", properties: { reason: "card" }, client_time: ago(10) },
    { event_name: "Visited", user_id: "keys", client_time: ago(7_200) },
    { event_name: "Kept", user_id: "export", properties: { note: '=1+1, "quoted"' } },
    { event_name: "Slow One", user_id: "slow" },
    { event_name: "Quick One", user_id: "quick" },
    { event_name: "Bought Then", user_id: "old friend", client_time: ago(YEAR_S) },
    { event_name: "Here Now", user_id: "old friend" },
  );
  for (let at = 0; at < HOT_EVENTS; at += 10_000) {
    await send(
      ...Array.from({ length: 10_000 }, (_, i) => ({
        event_name: "Tick",
        properties: { name: `n${at + i}` },
        user_id: "hot",
        client_time: new Date(HOT_START + (at + i) * 1_000).toISOString(),
      })),
    );
  }
  await system.settled();
  const { events } = await system.read<{ events: number }>("/v1/users/hot/profile");
  expect(events).toBe(HOT_EVENTS);
}

async function lookUp(text: string): Promise<void> {
  await box().fill(text);
  await box().press("Enter");
}

describe("an empty store", () => {
  it("says what goes into it while there is nothing, and what to do where nobody is found", async () => {
    await open("");
    await page.getByText("Whom do you have on the line?").waitFor();
    await expectAccessible(page);
    await lookUp("nobody-at-all");
    await page.getByText("Nothing is known under this").waitFor();
    await expectAccessible(page);
    await page.getByRole("button", { name: /Search 30 days/ }).click();
    await page.getByText(/Nor does the lake have an event/).waitFor();
    await open("?user=nobody-at-all");
    await page.getByText("No events of this user").waitFor();
  });
});

describe("a store that has events", () => {
  beforeAll(seed);

  describe("the one box", () => {
    it("takes a user id, a device id, an e-mail address and an event id", async () => {
      for (const text of ["ada lovelace/1", "ada@example.ORG", "id-1"]) {
        await open("");
        await lookUp(text);
        await row("Refund Asked").waitFor();
        expect(new URL(page.url()).searchParams.get("user")).toBe("ada lovelace/1");
      }
      // The event that was asked for is open.
      await page.locator(".details", { hasText: "id-1" }).waitFor();
      await expectAccessible(page);
      await page.locator(".details").getByRole("link", { name: "ada's phone" }).click();
      await page.getByText("User on this device").waitFor();
      await page.getByRole("complementary").getByRole("link", { name: "ada lovelace/1" }).click();
      await page.getByText("Ada@Example.org").first().waitFor();

      await lookUp("both");
      await page.getByText("is 2 things").waitFor();
      await expectAccessible(page);
      await page.getByRole("link", { name: /Device both/ }).click();
      await page.getByText("Nobody has signed in on it.").waitFor();
    });
  });

  describe("while the customer clicks", () => {
    it("events appear by themselves, in their place; further down they are counted and nothing moves", async () => {
      await open("?user=tail");
      await row("Step 119").waitFor();
      await page.getByRole("button", { name: "Live", exact: true }).waitFor();
      await send(
        { event_name: "Just Now", user_id: "tail" },
        { event_name: "Came Late", user_id: "tail", client_time: ago(481.5) },
      );
      await row("Just Now").waitFor();
      const names = await rows().locator(".kind").allTextContents();
      expect(names.slice(0, 4)).toEqual(["Just Now", "Step 119", "Came Late", "Step 118"]);

      await page.mouse.wheel(0, 1_500);
      await expect.poll(() => page.evaluate(() => scrollY)).toBeGreaterThan(400);
      const before = await page.evaluate(() => scrollY);
      await send({ event_name: "While Reading", user_id: "tail" });
      await page.getByRole("button", { name: /1 newer event/ }).waitFor();
      expect(await page.evaluate(() => scrollY)).toBe(before);
      await page.keyboard.press("t");
      await row("While Reading").waitFor();
      expect(await page.evaluate(() => scrollY)).toBe(0);
    });

    it("a burst of more than a page between two looks leaves no gap, and comes in its order", async () => {
      await open("?user=bursting");
      await row("First 0").waitFor();
      await send(...steps("Burst", "bursting", 1, 451));
      await row("Burst 450").waitFor();
      await page.getByText(/^451 events/).waitFor();
      const names = await rows().locator(".kind").allTextContents();
      expect(names).toEqual(names.map((_, i) => `Burst ${450 - i}`));
    });

    it("says that the server is gone, and goes on by itself when it is back", async () => {
      await open("?user=lasting");
      await row("Before").waitFor();
      await system.kill();
      await page.getByRole("button", { name: /Connection lost/ }).waitFor();
      await row("Before").waitFor();
      system = await system.again();
      await send({ event_name: "After", user_id: "lasting" });
      await row("After").waitFor({ timeout: 45_000 });
      await page.getByRole("button", { name: "Live", exact: true }).waitFor();
    });
  });

  describe("who and what", () => {
    it("marks what a device sent before the sign-in, and leaves out what others did on it", async () => {
      await open("?user=ann");
      await row("Signed In").waitFor();
      await page.locator("button.event", { hasText: "Looked Around" }).locator(".before").waitFor();
      expect(await rows().locator(".kind").allTextContents()).toEqual(["Signed In", "Looked Around"]);
      await page.getByRole("complementary").getByRole("link", { name: "shared tv" }).click();
      for (const user of ["ann", "bob"])
        await page.getByRole("complementary").getByRole("link", { name: user }).waitFor();
      expect(await rows().count()).toBe(4);
    });

    it("goes by keys alone: find, move, open, copy for the ticket", async () => {
      await open("");
      await page.getByText("Whom do you have").waitFor();
      await page.keyboard.press("Escape");
      await page.keyboard.press("/");
      await page.keyboard.type("keys");
      await page.keyboard.press("Enter");
      await row("Payment Failed").waitFor();
      await page.keyboard.press("Escape");
      // Down and up again is the first row, as soon as there are rows that take keys.
      const chosen = async () => {
        for (const key of "jk") await page.keyboard.press(key);
        return page.evaluate(() => document.activeElement?.textContent);
      };
      await expect.poll(chosen, { timeout: 10_000 }).toMatch(/Payment Failed/);
      await page.keyboard.press("Enter");
      await page.locator(".details", { hasText: "card" }).waitFor();
      await page.keyboard.press("c");
      await page.getByText("Copied").waitFor();
      const ticket = await page.evaluate(() => navigator.clipboard.readText());
      expect(ticket).toMatch(/^User keys\nPayment Failed at 20.* UTC\n {2}reason: card\n/);
      expect(ticket).toMatch(/Before it, in the same session:\n- {2}20.* UTC {2}page {2}\/pay\n/);
      // Faster than the page draws: each key is for the row after the one before.
      await Promise.all([..."kkkjjkjj"].map((key) => page.keyboard.press(key)));
      await row("Payment Failed").focus();
      await page.keyboard.press("n");
      await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toMatch(/Visited/);
      await page.keyboard.press("?");
      await page.getByRole("heading", { name: "Keys", exact: true }).waitFor();
      await expectAccessible(page);
      await page.keyboard.press("Escape");
      // The ticket's link leads to the event.
      await page.goto(ticket.split("\n").at(-1)!);
      await page.locator(".details", { hasText: "card" }).waitFor();
    });

    it("exports what a user did, with everything in it", async () => {
      await open("?user=export");
      await row("Kept").waitFor();
      const saved = async (format: string) => {
        await page.locator("summary", { hasText: "Export" }).click();
        const [download] = await Promise.all([
          page.waitForEvent("download"),
          page.getByRole("button", { name: format }).click(),
        ]);
        expect(download.suggestedFilename()).toMatch(/^eventpile-events-.*\.(csv|json)$/);
        return readFile(await download.path(), "utf8");
      };
      const { events } = JSON.parse(await saved("JSON")) as { events: Event[] };
      expect(events).toMatchObject([{ event_name: "Kept", properties: { note: '=1+1, "quoted"' } }]);
      const [head, line] = (await saved("CSV")).split("\r\n");
      expect(head!.split(",")).toContain("event_name");
      expect(line).toContain("Kept");
    });

    it("a token without the scope is told which one it lacks", async () => {
      const body = JSON.stringify({ title: "This token may not do that", status: 403, reason: "missing_scope" });
      await page.route("**/v1/lookup**", (route) => route.fulfill({ status: 403, body }));
      await open("?q=ada");
      await page.getByText("This token may not see this").waitFor();
      await page.getByText(/scope support/).waitFor();
      await expectAccessible(page);
    });

    it("keeps the newest lookup when two overlap", async () => {
      let release = () => {};
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      await page.route("**/v1/users/slow/**", async (route) => {
        await held;
        await route.continue().catch(() => {});
      });
      await open("?user=slow");
      await lookUp("quick");
      await row("Quick One").waitFor();
      release();
      await page.unrouteAll({ behavior: "wait" });
      expect(await page.getByText("Slow One").count()).toBe(0);
    });
  });

  describe("long timelines", () => {
    it("a year ago is found in the lake, by looking back and by a jump, with how far it has come", async () => {
      await open("?user=old%20friend");
      await row("Here Now").waitFor();
      await page.getByText(/1 earlier active day, first seen/).waitFor();
      let release = () => {};
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      await page.route("**/v1/users/*/events?from=1970*", async (route) => {
        await held;
        await route.continue();
      });
      await page.getByRole("button", { name: "Look further back" }).click();
      await page.getByText(/Looking through the lake, back to/).waitFor();
      await page.getByRole("progressbar").waitFor();
      await expectAccessible(page);
      release();
      await row("Bought Then").waitFor();
      await page.getByText("That is everything.").waitFor();
      await page.unrouteAll({ behavior: "wait" });

      const moment = ago(YEAR_S);
      await page.getByLabel("Jump to").fill(moment.slice(0, 19));
      await page.getByText(/1 event around/).waitFor();
      await row("Bought Then").waitFor();
      await page.getByRole("button", { name: "Back to now" }).click();
      await row("Here Now").waitFor();
    });

    it("a user of 100,000 events scrolls, jumps and is searched as one of ten", async () => {
      await open("?user=hot");
      await row(`n${HOT_EVENTS - 1}`).waitFor();
      // What is in the document is what is in sight, however much is loaded.
      for (let wheel = 0; wheel < 12; wheel++) {
        await page.mouse.wheel(0, 20_000);
        await page.getByText(/Loading…/).waitFor({ state: "hidden" });
      }
      await expect.poll(() => page.locator(".count").textContent()).toMatch(/[1-9],\d{3}\+ events/);
      expect(await rows().count()).toBeLessThan(150);
      const names = (await rows().locator(".hint").allTextContents()).map((name) => Number(name.slice(1)));
      expect(names).toEqual(names.map((_, i) => names[0]! - i));
      expect(names[0]).toBeLessThan(HOT_EVENTS - 1_000);

      const moment = new Date(HOT_START + 5_000_000);
      const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
      // On the way to the moment a page may fail.
      let refused = 0;
      await page.route("**/v1/users/hot/events?*cursor=*", (route) =>
        refused++ === 0 ? route.fulfill({ status: 503, body: "{}" }) : route.continue(),
      );
      await page.getByLabel("Jump to").fill(local);
      await page.locator(".moment-mark").waitFor();
      await row("n5000").waitFor();
      expect(refused).toBeGreaterThan(1);
    });
  });
});
