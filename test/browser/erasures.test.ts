/** The erasures page, through a request's life: asked, looked at, confirmed, carried out, and its receipt. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifyReceipt } from "../../r2-layout/signed-receipt.ts";
import type { ErasureJson } from "../../workers/erasure-json.ts";
import { type RunningSystem, startSystem } from "../system/harness.ts";
import { expectAccessible } from "./accessible.ts";
import { launchChromium } from "./chromium.ts";

const FOLDER = join(import.meta.dirname, "../../screenshots");
const LOOKS = [
  { name: "wide-light", width: 1360, height: 900, colorScheme: "light" },
  { name: "wide-dark", width: 1360, height: 900, colorScheme: "dark" },
  { name: "phone-light", width: 390, height: 844, colorScheme: "light" },
  { name: "phone-dark", width: 390, height: 844, colorScheme: "dark" },
] as const;

let system: RunningSystem;
let browser: Browser;
let page: Page;
const errors: string[] = [];
/** Every address that the page asked for: nobody's name is in one. */
const addresses: string[] = [];

beforeAll(async () => {
  mkdirSync(FOLDER, { recursive: true });
  [system, browser] = await Promise.all([startSystem({ waitFactor: 0.1 }), launchChromium()]);
  page = await (await browser.newContext()).newPage();
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => addresses.push(request.url()));
  const event = (user: string, device: string) => ({
    ...{ type: "track", event: "Looked", userId: user, anonymousId: device },
    messageId: `${user}-${device}`,
  });
  const identify = { type: "identify", userId: "ann", anonymousId: "anns-phone", messageId: "identify" };
  await system.sendBatch([
    { ...identify, traits: { email: "ann@example.com" } },
    event("ann", "anns-laptop"),
    event("ann", "kitchen-tablet"),
    event("bob", "kitchen-tablet"),
    event("bob", "bobs-phone"),
  ]);
  await system.settled();
});
afterAll(() => Promise.all([browser?.close(), system?.stop()]));

async function photographed(name: string): Promise<void> {
  for (const look of LOOKS) {
    await page.emulateMedia({ colorScheme: look.colorScheme });
    await page.setViewportSize(look);
    const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect([look.name, tooWide <= 0]).toEqual([look.name, true]);
    await page.screenshot({ path: join(FOLDER, `erasures-${name}-${look.name}.png`), fullPage: true });
    if (look.name.startsWith("wide")) await expectAccessible(page, `${name} ${look.name}`);
  }
  await page.setViewportSize({ width: 1360, height: 900 });
}

const field = (name: string) => page.getByLabel(name, { exact: true });
const show = () => page.getByRole("button", { name: "Show whom it is about" });

describe("the erasures page", () => {
  it("refuses by its line what is no identifier, before anything is sent", async () => {
    await page.goto(`${system.url}/erasures`);
    await page.getByRole("heading", { name: "New request" }).waitFor();
    expect(await show().isDisabled()).toBe(true);
    await field("User ids").fill("ann\nann\n");
    await page.getByRole("status").getByText("1 identifier, 1 line said twice").waitFor();
    const buffer = Buffer.from("somebody@example.com\nnobody\n");
    const file = { name: "addresses.txt", mimeType: "text/plain", buffer };
    await field("E-mail addresses from a file").setInputFiles(file);
    await page.getByRole("alert").getByText("Line 2 of E-mail addresses: that is no e-mail address.").waitFor();
    expect(await show().isDisabled()).toBe(true);
    await field("E-mail addresses").fill("");
    await photographed("request");
  });

  it("shows who else is the same person, marks what others use, and takes that only where it is asked to", async () => {
    await show().click();
    await page.getByRole("heading", { name: "Whom it is about" }).waitFor();
    const goes = (id: string) => page.getByRole("checkbox", { name: ` ${id} goes` });
    for (const id of ["anns-phone", "anns-laptop", "ann@example.com"]) expect(await goes(id).isChecked()).toBe(true);
    expect(await goes("kitchen-tablet").isChecked()).toBe(false);
    expect(await goes("bob").isChecked()).toBe(false);
    const row = (kind: string) =>
      page.locator(".preview tr.shared").filter({ has: page.getByText(kind, { exact: true }) });
    await row("device").getByText("others use it").waitFor();
    await row("user").getByText("somebody else").waitFor();
    await page.locator(".confirm", { hasText: "1 user, 2 devices, 1 e-mail address will be erased" }).waitFor();
    await goes("kitchen-tablet").check();
    await goes("anns-laptop").uncheck();
    await page.locator(".confirm", { hasText: "1 user, 2 devices, 1 e-mail address" }).waitFor();
    await photographed("preview");
  });

  it("confirms only by the typed word, and the request is open until every store has confirmed", async () => {
    const button = page.getByRole("button", { name: "Erase them" });
    await page.getByLabel(/to confirm/).fill("yes");
    expect(await button.isDisabled()).toBe(true);
    await page.getByLabel(/to confirm/).fill("erase");
    await button.click();
    await page.locator("h2", { hasText: /under way|done/ }).waitFor();
    const { erasures } = await system.read<{ erasures: ErasureJson[] }>("/v1/erasures");
    expect(erasures).toMatchObject([{ mode: "erase", identifiers: 1 }]);
    await page.locator("h2", { hasText: ": done" }).waitFor({ timeout: 60_000 });
    await page.locator("h2", { hasText: "10 of 10 stores have confirmed" }).waitFor();
    expect(await page.locator(".stores td.good").count()).toBe(10);
  });

  it("shows the receipt, checks it, and hands it over as it was signed", async () => {
    await page
      .getByRole("status")
      .getByText("It holds: this is what was signed, by one of this system's keys")
      .waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download" }).click(),
    ]);
    expect(download.suggestedFilename()).toMatch(/^erasure-\w+\.json$/);
    const receipt = JSON.parse(readFileSync((await download.path())!, "utf8"));
    expect(await verifyReceipt(receipt)).toMatchObject({
      ok: true,
      value: { receipt: { subjects: { users: 1, devices: 2, emails: 1 } } },
    });
    await photographed("receipt");

    // Somebody has changed it on the way.
    await page.route("**/receipt", (route) => {
      const changed = structuredClone(receipt);
      changed.receipt.stores[0].removed++;
      return route.fulfill({ json: changed });
    });
    await page.reload();
    await page.getByRole("status").getByText("It does not hold").waitFor();
    await page.unroute("**/receipt");
  });

  it("says of an open request which store keeps it open, and since when it is overdue", async () => {
    const { erasures } = await system.read<{ erasures: ErasureJson[] }>("/v1/erasures");
    const done = erasures[0]!;
    const open = {
      ...{ ...done, state: "running", stage: "stores", receipt: null, ended_at: null, outcome: null, overdue: true },
      ...{ asked: { user_ids: [], anonymous_ids: [], emails: [] }, closure: null },
      due_at: new Date(Date.now() - 3_600_000).toISOString(),
      why: "timelines: The object is overloaded.",
      stores: done.stores.map((store) =>
        store.store === "timelines"
          ? {
              ...store,
              state: "erasing",
              error: "The object is overloaded.",
              attempts: 7,
              retry_at: new Date().toISOString(),
            }
          : store,
      ),
    };
    await page.route(`**/v1/erasures/${done.id}`, (route) => route.fulfill({ json: open }));
    await page.reload();
    await page.locator("h2", { hasText: "under way, overdue" }).waitFor();
    await page.locator(".facts", { hasText: "1 h ago" }).waitFor();
    await page.locator(".stores tr", { hasText: "The object is overloaded. (7 attempts" }).waitFor();
    await photographed("overdue");
    await page.unroute(`**/v1/erasures/${done.id}`);
  });

  it("withdraws a request that nobody has confirmed", async () => {
    await page.getByRole("link", { name: "New request" }).click();
    await page.getByText("Keep out", { exact: true }).click();
    await field("Device ids (anonymous_id)").fill("bobs-phone");
    await show().click();
    await page.getByRole("button", { name: "Keep them out" }).waitFor();
    await page.getByRole("button", { name: "Withdraw the request" }).click();
    await page.locator("h2", { hasText: "withdrawn" }).waitFor();
    for (const name of ["ann", "bob", "kitchen"]) {
      expect(addresses.filter((address) => new URL(address).href.includes(name))).toEqual([]);
    }
    expect(errors).toEqual([]);
  });
});
