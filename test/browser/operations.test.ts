import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LOCAL_TOKEN } from "../../scripts/local/credentials.ts";
import { type RunningSystem, startSystem } from "../system/harness.ts";
import { launchChromium } from "./chromium.ts";

let system: RunningSystem;
let browser: Browser;
let page: Page;
const errors: string[] = [];

beforeAll(async () => {
  [system, browser] = await Promise.all([startSystem(), launchChromium()]);
  const batch = Array.from({ length: 40 }, (_, i) => ({
    type: "track",
    event: "Clicked",
    messageId: `m${i % 30}`,
    userId: `u${i % 5}`,
  }));
  const answer = await system.sendBatch(batch);
  expect(answer.status).toBe(200);
  await system.settled();
  page = await browser.newPage();
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${system.url}/operations`);
});
afterAll(() => Promise.all([browser?.close(), system?.stop()]));

const headers = { authorization: `Bearer ${LOCAL_TOKEN}` };
const shows = (text: string | RegExp) => page.getByText(text).first().waitFor();

describe("the operations page", () => {
  it("promise 3: says at the top whether every event is accounted for, and shows each term of the sum", async () => {
    await page.locator(".verdict.well", { hasText: "Every accepted event is accounted for" }).waitFor();
    await page.locator(".totals .card", { hasText: "Accepted" }).getByText("40", { exact: true }).waitFor();
    await page.locator(".totals .card", { hasText: "Duplicates" }).getByText("10", { exact: true }).waitFor();
    expect(await page.locator(".ledger").first().getByText("✓ adds up").count()).toBe(3);
    const source = page.locator("section", { hasText: "Sources" }).locator("tbody tr");
    expect(await source.allInnerTexts()).toEqual([expect.stringMatching(/^dev\s+40\s+10\s+25%\s+0\s+0$/)]);
    await shows("Nothing is in quarantine.");
    await shows("The lake holds 30 events; 0 have expired.");
    await shows("No day has been frozen yet.");
  });

  it("promise 4: starts a fill, which finds nothing to apply, and shows it to its end", async () => {
    await page.getByText("Start a replay").click();
    await page.getByRole("button", { name: "Start", exact: true }).click();
    const job = page.locator(".entries li", { hasText: "fill rollups" });
    await job.locator(".pill", { hasText: "done" }).waitFor();
  });

  it("promise 4: rebuilds a sink beside the live one, and lets the old go when told", async () => {
    page.once("dialog", (dialog) => void dialog.accept());
    await page.getByLabel("Timelines").check();
    await page.getByLabel("Rollups (live)").uncheck();
    await page.getByLabel("Mode").selectOption("rebuild");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    const job = page.locator(".entries li", { hasText: "rebuild sessions" });
    await job.getByText("the same as before").waitFor();
    await job.getByRole("button", { name: "Confirm" }).click();
    await job.locator(".pill", { hasText: "done" }).waitFor();
    expect((await system.userEvents("u1", { minutes: 60 })).events.length).toBe(6);
    expect(errors).toEqual([]);
  });

  it("offers what a job would accept, asks before what cannot be taken back, and says how it ended", async () => {
    const [known] = (await (await page.request.get(`${system.url}/v1/replays`, { headers })).json())
      .replays as object[];
    const failed = { ...known, state: "failed", error: "no way back", actions: ["resume", "abandon"], ended_at: null };
    const ended = {
      ...failed,
      state: "abandoned",
      actions: [],
      outcome: "abandoned while reverting",
      ended_at: "2026-11-22",
    };
    let shown: object = failed;
    await page.route("**/v1/replays?*", (route) => route.fulfill({ json: { replays: [shown], next: null } }));
    await page.route("**/v1/replays/*/abandon", (route) => {
      shown = ended;
      return route.fulfill({ status: 202, json: ended });
    });
    const job = page.locator(".entries li", { hasText: "rebuild sessions" });
    await job.getByRole("button", { name: "Resume" }).waitFor();
    const asked = new Promise<string>((resolve) => {
      page.once("dialog", (dialog) => void dialog.accept().then(() => resolve(dialog.message())));
    });
    await job.getByRole("button", { name: "Abandon" }).click();
    expect(await asked).toContain("so that others can go on");
    await job.getByText("abandoned while reverting").waitFor();
    expect(await job.getByRole("button").count()).toBe(0);
    await page.unrouteAll();
    expect(errors).toEqual([]);
  });
});
