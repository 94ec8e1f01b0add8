import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { localSqlTokens } from "../../scripts/local/credentials.ts";
import { PAGES } from "../../workers/console/shell/pages.ts";
import { type RunningSystem, startSystem } from "../system/harness.ts";
import { expectAccessible } from "./accessible.ts";
import { launchChromium } from "./chromium.ts";

/** A token that may ask SQL and nothing else. */
process.env.EVENTPILE_SQL_TOKENS = "1";
const [SQL_TOKEN = ""] = localSqlTokens();

let system: RunningSystem;
let browser: Browser;
let context: BrowserContext;
let page: Page;
const errors: string[] = [];

beforeAll(async () => {
  [system, browser] = await Promise.all([startSystem(), launchChromium()]);
});
afterAll(() => Promise.all([browser?.close(), system?.stop()]));

beforeEach(async () => {
  context = await browser.newContext();
  page = await context.newPage();
  errors.length = 0;
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${system.url}/operations`);
  await page.getByRole("button", { name: "Sign out" }).click();
});
afterEach(async () => {
  await context.close();
  expect(errors).toEqual([]);
});

const signIn = async (token: string) => {
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
};
const isSignedIn = () => page.getByRole("button", { name: "Sign out" }).waitFor();

describe("signing in", () => {
  it("lets nobody in before the server has said that it knows the token, and says why it does not", async () => {
    await signIn("wrong");
    await page.getByRole("alert").filter({ hasText: "The token was not accepted" }).waitFor();
    await expectAccessible(page);
    await page.route("**/v1/token", (route) => route.abort());
    await signIn(system.token);
    await page.getByRole("alert").filter({ hasText: "The server cannot be reached" }).waitFor();
    await page.unroute("**/v1/token");
    await signIn(system.token);
    await isSignedIn();
  });

  it("is remembered by the browser, in another tab too, until signing out", async () => {
    await signIn(system.token);
    await isSignedIn();
    const other = await context.newPage();
    await other.goto(`${system.url}/operations`);
    await other.locator(".verdict").waitFor();
    await other.getByRole("button", { name: "Sign out" }).click();
    await page.reload();
    await page.getByLabel("Access token").waitFor();
  });

  it("is remembered by this tab alone where that is wanted", async () => {
    await page.getByLabel("Stay signed in on this browser").uncheck();
    await signIn(system.token);
    await isSignedIn();
    await page.reload();
    await isSignedIn();
    const other = await context.newPage();
    await other.goto(`${system.url}/operations`);
    await other.getByLabel("Access token").waitFor();
  });

  it("is done by Cloudflare Access where that stands in front of the edge, and undone there", async () => {
    const front = "https://events.example";
    let isGranted = true;
    await page.route(`${front}/**`, async (route) => {
      const url = new URL(route.request().url());
      if (url.pathname.startsWith("/cdn-cgi/access/")) return route.fulfill({ body: "signed out of Access" });
      // In place of the assertion, which this edge takes from nobody: what would be granted by it.
      expect(route.request().headers().authorization ?? "Bearer").toBe("Bearer");
      const authorization = isGranted ? `Bearer ${system.token}` : "";
      const response = await route.fetch({
        url: `${system.url}${url.pathname}${url.search}`,
        headers: { ...route.request().headers(), authorization },
      });
      return route.fulfill({ response });
    });
    await page.goto(`${front}/operations`);
    await page.locator(".verdict").waitFor();
    expect(await page.locator("nav .closed").count()).toBe(0);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("signed out of Access").waitFor();

    isGranted = false;
    await page.goto(`${front}/operations`);
    await page.getByLabel("Access token").waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
  });

  it("shows which pages the token opens, and on the others what is missing and where to go instead", async () => {
    await signIn(SQL_TOKEN);
    await page.getByText("This token may not see this").waitFor();
    const state = page.locator(".state.failed");
    await state.getByText("It needs the scope admin").waitFor();
    expect(await state.getByRole("link").allInnerTexts()).toEqual(["SQL"]);
    const closed = page.getByRole("navigation").getByRole("link", { name: "not with this token" });
    expect(await closed.allInnerTexts()).toEqual(
      ["Live", "Support", "Operations", "Quarantine", "Erasures"].map((label) => expect.stringContaining(label)),
    );
    await expectAccessible(page);
    for (const [label, scope] of [
      ["Live", "live"],
      ["Support", "support"],
    ] as const) {
      await closed.filter({ hasText: label }).click();
      await page.waitForURL(`**/${label.toLowerCase()}**`);
      if (label === "Support") {
        await page.getByRole("searchbox").fill("ada");
        await page.keyboard.press("Enter");
      }
      await page.getByText("This token may not see this").waitFor();
      await state.getByText(`It needs the scope ${scope}`).waitFor();
      expect(await page.locator(".figure").count()).toBe(0);
    }
    await state.getByRole("button", { name: "Use another token" }).click();
    await page.getByLabel("Access token").waitFor();
  });

  it("signs out where the server no longer knows the token", async () => {
    await signIn(system.token);
    await isSignedIn();
    const body = JSON.stringify({ title: "Unknown token", status: 401, reason: "unknown_token" });
    await page.route("**/v1/operations", (route) => route.fulfill({ status: 401, body }));
    await page.getByRole("alert").filter({ hasText: "It may have been mistyped or withdrawn" }).waitFor();
  });
});

describe("the frame of every page", () => {
  it.each([
    ["live", "What is happening right now"],
    ["support", "What one person or one device did"],
    ["sql", "Any question about every event"],
    ["operations", "Whether the pipeline is well"],
    ["quarantine", "What broke its contract"],
    ["erasures", "Who has asked to be forgotten"],
  ])("says on /%s what it is for: %s", async (name, purpose) => {
    await page.goto(`${system.url}/${name}`);
    await page.locator(".purpose", { hasText: purpose }).waitFor();
    expect(await page.locator("nav [aria-current]").count()).toBe(1);
  });

  it("tells who is new what there is, by the keyboard alone", async () => {
    const about = page.getByRole("button", { name: "About" });
    await about.focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Every tap and click" });
    await dialog.waitFor();
    expect(await dialog.locator("dt").allInnerTexts()).toEqual(PAGES.map(({ label }) => label));
    await dialog.getByText(`curl ${system.url}/v1/track`).waitFor();
    await expectAccessible(page);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    expect(await about.evaluate((button) => button === document.activeElement)).toBe(true);
  });

  it("lets the keyboard skip to the page", async () => {
    await page.reload();
    await page.getByLabel("Access token").waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
  });
});
