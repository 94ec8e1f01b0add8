/** What the operations page shows of undeclared personal data. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RunningSystem, startSystem } from "../system/harness.ts";
import { expectAccessible } from "./accessible.ts";
import { launchChromium } from "./chromium.ts";

let system: RunningSystem;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  [system, browser] = await Promise.all([startSystem({ waitFactor: 0.1 }), launchChromium()]);
  const batch = Array.from({ length: 8 }, (_, i) => ({
    type: "track",
    event: "Invited",
    messageId: `m${i}`,
    userId: "u1",
    properties: i < 6 ? { to: [{ address: "ada@example.com" }] } : {},
    context: { page: { url: "https://shop.example/reset?access_token=abcdef123" } },
  }));
  expect((await system.sendBatch(batch)).status).toBe(200);
  await system.settled();
  await system.maintain();
  page = await (await browser.newContext()).newPage();
});
afterAll(() => Promise.all([browser?.close(), system?.stop()]));

it("names source, event and field of each finding, and how many events have it, and shows no value", async () => {
  await page.goto(`${system.url}/operations`);
  const rows = page.locator("#pii tbody tr");
  await rows.first().waitFor();
  expect((await rows.allInnerTexts()).map((text) => text.replace(/\s+/g, " "))).toEqual([
    expect.stringMatching(/^dev Invited context\.page\.url token in a URL 100% 20\d\d-/),
    expect.stringMatching(/^dev Invited properties\.to\[\]\.address e-mail address 75% 20\d\d-/),
  ]);
  await page.locator("#pii").getByText("8 events of the last days were looked at").waitFor();
  expect(await page.content()).not.toContain("ada@example.com");
  await expectAccessible(page);
});
