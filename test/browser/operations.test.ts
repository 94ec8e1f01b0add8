import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LOCAL_TOKEN } from "../../scripts/local/credentials.ts";
import { type RunningSystem, startSystem } from "../system/harness.ts";
import { expectAccessible } from "./accessible.ts";
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
  // A context of its own, because axe opens a second page beside it.
  page = await (await browser.newContext()).newPage();
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
    await page.locator(".totals .card", { hasText: "Events a second" }).getByText("40 today").waitFor();
    await page.locator(".totals .card", { hasText: "Duplicates" }).getByText("10", { exact: true }).waitFor();
    expect(await page.locator("#ledger").getByText("✓ adds up").count()).toBe(3);
    const source = page.locator("#sources tbody tr");
    expect(await source.allInnerTexts()).toEqual([expect.stringMatching(/^dev\s+40\s+10\s+25%\s+0\s+0$/)]);
    await shows("Nothing is in quarantine.");
    await shows("The lake holds 30 events; 0 have expired.");
    await shows("No day has been frozen yet.");
  });

  it("shows each sink against its objective, the queues, the objects and what the day cost", async () => {
    expect(await page.locator(".sinks li").count()).toBe(3);
    for (const objective of ["of 1 min", "of 30 s", "of 15 s"])
      await page.locator(".sinks").getByText(objective).waitFor();
    const shard = page.locator("#pressure tbody tr");
    expect(await shard.count()).toBe(1);
    const cells = await shard.locator("td").allInnerTexts();
    expect(cells.slice(0, 5)).toEqual(["0", "0", "–", "40", "40.0"]);
    expect(cells[5]).toMatch(/^ ?<?\d+% of 16\.8 MB$/);
    expect(await page.locator("#cost .cost-parts li").count()).toBeGreaterThan(5);
    await page.locator("#cost").getByText("40 events in 1 message,").waitFor();
    await page.locator(".cost-sum", { hasText: /\$[\d.]+ a million events/ }).waitFor();
  });

  it("leads from each figure to what explains it", async () => {
    for (const link of await page.locator(".totals a[href^='#']").all()) {
      const target = (await link.getAttribute("href"))!;
      expect([target, await page.locator(target).count()]).toEqual([target, 1]);
    }
    const other = await page.context().newPage();
    for (const name of ["Events a second", "Quarantined", "Late"]) {
      const href = (await page.locator(".totals .card", { hasText: name }).locator("a").getAttribute("href"))!;
      await other.goto(`${system.url}${href}`);
      await other.getByRole("button", { name: /^Run/ }).click();
      await other.locator(".grid, .empty-answer, .state").first().waitFor();
      expect([name, await other.locator(".failed").count()]).toEqual([name, 0]);
      await other.goto("about:blank");
    }
    await other.close();
  });

  it("says what is the matter while a queue holds its messages back, and that all is well again", async () => {
    await system.chaos({ hold: true }, "events-0");
    await system.sendBatch([{ type: "track", event: "Held", messageId: "held", userId: "u1" }]);
    await page.locator("#pressure tbody td:nth-child(2)", { hasText: /^1, \d+ B$/ }).waitFor();
    await page.locator(".totals .card", { hasText: "On the queues" }).getByText("1", { exact: true }).waitFor();
    await system.chaos({}, "events-0");
    await page.locator(".totals .card", { hasText: "Accepted" }).getByText("41", { exact: true }).waitFor();
    await page.locator(".totals .card", { hasText: "On the queues" }).getByText("no message waits").waitFor();
  });

  it("keeps its figures and says from when they are while the server is gone, and goes on by itself", async () => {
    await system.kill();
    await page.locator(".notice", { hasText: "The figures cannot be read at the moment" }).waitFor();
    expect(await page.locator(".glance.is-stale").count()).toBe(1);
    await expectAccessible(page, "without its server");
    system = await system.again();
    await page.locator(".glance:not(.is-stale)").waitFor();
    await page.locator(".verdict.well").waitFor();
  });

  it("has nothing in it that keeps anybody out", async () => {
    await expectAccessible(page);
  });

  it("promise 4: starts a fill, which finds nothing to apply, and shows it to its end", async () => {
    await page.getByText("Start a replay").click();
    await page.getByRole("button", { name: "Start", exact: true }).click();
    const job = page.locator(".entries li", { hasText: "fill rollups" });
    await job.locator(".pill", { hasText: "done" }).waitFor();
  });

  it("promise 4: rebuilds a sink beside the live one, and lets the old go when told", async () => {
    page.once("dialog", (dialog) => void dialog.accept());
    await page.getByRole("checkbox", { name: "Timelines" }).check();
    await page.getByRole("checkbox", { name: "Rollups (live)" }).uncheck();
    await page.getByLabel("Mode").selectOption("rebuild");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    const job = page.locator(".entries li", { hasText: "rebuild sessions" });
    await job.getByText("the same as before").waitFor();
    await job.getByRole("button", { name: "Confirm" }).click();
    await job.locator(".pill", { hasText: "done" }).waitFor();
    expect((await system.userEvents("u1", { minutes: 60 })).events.length).toBe(7);
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
