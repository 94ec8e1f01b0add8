import { readFile } from "node:fs/promises";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ORIGIN_HEADERS, type RunningSystem, startSystem } from "../system/harness.ts";
import { launchChromium } from "./chromium.ts";

let system: RunningSystem;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let errors: string[];

beforeAll(async () => {
  [system, browser] = await Promise.all([startSystem(), launchChromium()]);
  await send(
    { event_name: "For SQL", user_id: "sql-1", properties: { flavour: 'b, "c"' } },
    { event_name: "Order Completed", user_id: "sql-2", properties: { revenue: 19.5, currency: "EUR" } },
    ...Array.from({ length: 30 }, (_, i) => ({
      event_type: "page",
      user_id: `u${i}`,
      client_time: new Date(Date.now() - i * 60_000).toISOString(),
    })),
  );
  await system.settled();
});
afterAll(() => Promise.all([browser?.close(), system?.stop()]));

beforeEach(async () => {
  context = await browser.newContext({ acceptDownloads: true, permissions: ["clipboard-read", "clipboard-write"] });
  context.setDefaultTimeout(15_000);
  page = await context.newPage();
  errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
});
afterEach(async () => {
  await context.close();
  expect(errors).toEqual([]);
});

async function send(...events: Readonly<Record<string, unknown>>[]): Promise<void> {
  const body = JSON.stringify({ events, sent_at: new Date().toISOString() });
  const answer = await fetch(`${system.url}/v1/events`, { method: "POST", headers: ORIGIN_HEADERS.write, body });
  expect(answer.status, await answer.text()).toBe(200);
}

const open = (sql: string) => page.goto(`${system.url}/sql#${new URLSearchParams({ sql })}`);
const editor = () => page.locator(".cm-content");
const cell = (text: string | RegExp) => page.locator(".grid .cell", { hasText: text }).first();
const facts = () => page.locator(".facts-line");
const clipboard = () => page.evaluate(() => navigator.clipboard.readText());

async function run(sql: string): Promise<void> {
  await open(sql);
  await editor().click();
  await page.keyboard.press("Control+Enter");
}

/** The editor's text, which may show only the lines in sight. */
const text = () =>
  page
    .locator(".cm-line")
    .allTextContents()
    .then((lines) => lines.join("\n"));

describe("a statement", () => {
  it("is run with Ctrl + Enter, and shows rows, time, bytes and files", async () => {
    await run("SELECT event_name, user_id, properties FROM events WHERE event_name = 'For SQL'");
    await cell("sql-1").waitFor();
    expect(await facts().textContent()).toMatch(/^1 row · [\d.,]+ s · [\d.,]+ .?B read · \d+ of \d+ files?/);
  });

  it("is the one under the cursor, or what is selected of it", async () => {
    await run("SELECT 11 AS a;\nSELECT 22");
    await page.keyboard.press("Control+Home");
    await page.keyboard.press("Control+Enter");
    await cell("11").waitFor();
    await page.keyboard.press("Control+End");
    await page.keyboard.press("Control+Enter");
    await cell("22").waitFor();
    await page.keyboard.type(" + 3");
    for (let i = 0; i < 3; i++) await page.keyboard.press("Shift+ArrowLeft");
    await page.keyboard.press("Control+Enter");
    await page.locator(".failure").waitFor();
    await page.keyboard.press("Control+End");
    await page.keyboard.press("Control+Enter");
    await cell("25").waitFor();
  });

  it("is priced while it is written, and read by nobody before it is run", async () => {
    const runs: string[] = [];
    page.on("request", (request) => {
      const body = request.postData() ?? "";
      if (request.url().endsWith("/v1/sql") && !body.includes('"explain":true')) runs.push(body);
    });
    await open("SELECT user_id FROM events");
    const price = page.locator(".price");
    await price.getByText(/Reads up to [\d.]+ .?B · \d+ of \d+ files?/).waitFor();
    await editor().click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type(" WHERE event_time < TIMESTAMP '2001-01-01'");
    await price.getByText(/0 of \d+ files?/).waitFor();
    await page.keyboard.press("Control+Shift+Enter");
    await page.locator(".plan").getByText("to 2001-01-01 00:00:00 UTC").waitFor();
    expect(runs).toEqual([]);
  });

  it("is formatted with Ctrl + Shift + F, which one step undoes", async () => {
    const sql = "select a, properties['x'][1] from events where a = $name";
    await open(sql);
    await editor().click();
    await page.keyboard.press("Control+Shift+F");
    await page.locator(".cm-line", { hasText: /^FROM$/ }).waitFor();
    expect(await text()).toBe("SELECT\n  a,\n  properties['x'][1]\nFROM\n  events\nWHERE\n  a = $name");
    await page.keyboard.press("Control+z");
    expect(await text()).toBe(sql);
  });

  it("shows progress, is cancelled with Escape, and lets the engine go", async () => {
    const asked = page.waitForRequest((request) => request.postData()?.includes('"id":"') === true);
    const watched = page.waitForResponse((response) => /\/v1\/sql\/\w+$/.test(response.url()) && response.ok());
    await run("SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b WHERE a.range + b.range = -1");
    const { id } = JSON.parse((await asked).postData()!) as { id: string };
    await page.locator(".running progress").waitFor();
    expect(await (await watched).json()).toMatchObject({ id, state: expect.stringMatching(/queued|running/) });
    await page.keyboard.press("Escape");
    await page.getByText("The engine has been let go").waitFor();
    await expect
      .poll(async () => (await system.read<{ state: string }>(`/v1/sql/${id}`)).state, { timeout: 10_000 })
      .toBe("cancelled");
    await editor().click();
    await page.keyboard.press("Control+a");
    await page.keyboard.type("SELECT 7 AS seven");
    await page.keyboard.press("Control+Enter");
    await cell("7").waitFor();
  });

  it("has a field for each parameter, and Enter in it runs it", async () => {
    await open("SELECT user_id FROM events WHERE user_id = $user");
    await page.getByLabel("$user").fill("sql-2");
    await page.keyboard.press("Enter");
    await cell("sql-2").waitFor();
    expect(await facts().textContent()).toMatch(/^1 row/);
  });

  it.each([
    ["DuckDB's caret", "SELECT user_id,\n  nonsense -- not there\nFROM events", "nonsense", "line 2, column 3"],
    ["the parser's column", "SELECT user_id\nFORM events", "events", "line 2, column 6"],
  ])("that is wrong is marked where %s points", async (_, sql, word, place) => {
    await run(sql);
    await page.locator(".failure").waitFor();
    expect(await page.locator(".cm-wrong").textContent()).toBe(word);
    await page.getByRole("button", { name: `Go to ${place}` }).click();
    expect(await page.evaluate(() => getSelection()?.toString())).toBe(word);
    await page.keyboard.type("user_id");
    expect(await page.locator(".cm-wrong").count()).toBe(0);
  });

  it("that is not allowed gets the server's words", async () => {
    await run("DROP TABLE events");
    await page.getByRole("heading", { name: "Only a SELECT is answered" }).waitFor();
  });

  it("says where its answer comes from: the rollups, the cache, or the larger engine", async () => {
    await run("SELECT event_name, count(*) AS n FROM events GROUP BY event_name ORDER BY n DESC");
    await cell("page").waitFor();
    await facts().getByText("from the rollups").waitFor();
    // Ids are for the engine to count.
    const byEngine = "SELECT count(DISTINCT user_id) AS people FROM events";
    await run(byEngine);
    await cell("32").waitFor();
    expect(await facts().textContent()).not.toMatch(/from|larger/);
    await run(byEngine);
    await facts()
      .getByText(/from the cache, .+ old/)
      .waitFor();

    const stats = { elapsed_ms: 2_100, engine_ms: 1_900, rows: 1, route: "distributed", files: 0, table_files: 0 };
    const json = { columns: [{ name: "n", type: "BIGINT" }], rows: [[21_000_000_000]], stats };
    await page.route("**/v1/sql", (route) =>
      route.request().postData()?.includes('"explain":true') ? route.continue() : route.fulfill({ json }),
    );
    await run("SELECT count(*) AS n FROM events WHERE length(page_title) > 3");
    await cell(/21.?000.?000.?000/).waitFor();
    await facts().getByText("by the larger engine").waitFor();
  });

  it("that is too large gets the figures, and a narrower one with a click", async () => {
    const narrower = { condition: "event_time >= TIMESTAMP '2026-11-01'", sql: "SELECT 5 AS narrower" };
    const estimate = { files: 73_000, scan_bytes: 21e9 };
    const json = {
      title: "The statement reads too much",
      reason: "scan_too_large",
      estimate,
      narrower,
      limit: { bytes: 4e9 },
    };
    await page.route("**/v1/sql", (route) =>
      route.request().postData()?.includes("narrower") ? route.continue() : route.fulfill({ status: 422, json }),
    );
    await run("SELECT * FROM events");
    await page.getByText("21.0 GB of 4.0 GB at most").waitFor();
    await page.getByRole("button", { name: "Put it into the statement" }).click();
    await page.keyboard.press("Control+Enter");
    await cell("5").waitFor();
  });
});

describe("the editor", () => {
  const option = (label: string) => page.locator(".cm-tooltip-autocomplete li", { hasText: label }).first();

  it("completes columns, functions, names of events and of properties", async () => {
    await open("");
    await editor().click();
    for (const [begun, typed, offered] of [
      ["SELECT ", "event_na", "event_name"],
      ["SELECT ", "approx_cou", "approx_count_distinct"],
      ["SELECT 1 FROM events WHERE event_name = ", "'Order", "Order Completed"],
      ["SELECT ", "properties['flav", "flavour"],
    ] as const) {
      await page.keyboard.press("Control+a");
      await page.keyboard.insertText(begun);
      await page.keyboard.type(typed);
      await option(offered).click();
      expect(await text()).toContain(offered);
    }
  });

  it("puts a column into the statement from the side panel", async () => {
    await open("SELECT ");
    await editor().click();
    await page.keyboard.press("Control+End");
    await page.getByPlaceholder("Find a column or function").fill("campaign name");
    await page.getByRole("button", { name: "utm_campaign" }).click();
    expect(await text()).toBe("SELECT utm_campaign");
    await page.getByPlaceholder("Find a column or function").fill("property's text");
    await page.getByText("A property's text, null where").waitFor();
  });

  it("lists and completes the columns that were promoted in this lake", async () => {
    const body = JSON.stringify({ name: "plan_of_user", type: "string", property: "Plan", doc: "What is paid for." });
    const headers = ORIGIN_HEADERS.read;
    expect((await fetch(`${system.url}/v1/schema/columns`, { method: "POST", headers, body })).status).toBe(201);
    await open("SELECT ");
    await page.getByPlaceholder("Find a column or function").fill("plan_of");
    await page.getByText("What is paid for. From property Plan.").waitFor();
    await editor().click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type("events.plan_o");
    await option("plan_of_user").waitFor();
    await page.goto("about:blank");
    await run("SELECT plan_of_user FROM events LIMIT 0");
    await page.getByText("No rows").waitFor();
  });

  it("every sample statement runs", async () => {
    await page.goto(`${system.url}/sql`);
    const samples = page.getByLabel("Sample statements");
    const titles = (await samples.locator("option").allTextContents()).slice(1);
    expect(titles.length).toBeGreaterThan(4);
    for (const label of titles) {
      await samples.selectOption({ label });
      await page.getByRole("button", { name: /^Run/ }).click();
      await page.locator(".facts-line, .failure").waitFor();
      const failed = page.locator(".failure");
      expect((await failed.count()) > 0 ? await failed.textContent() : "ran", label).toBe("ran");
    }
  });
});

describe("statements that were run or saved", () => {
  it("come back with Alt + arrows and by searching, after the page was loaded anew, too", async () => {
    for (const sql of ["SELECT 101 AS first", "SELECT 102 AS second"]) {
      await run(sql);
      await cell(/^10[12]$/).waitFor();
    }
    await page.goto("about:blank");
    await open("SELECT 'a draft'");
    await editor().click();
    await page.keyboard.press("Alt+ArrowUp");
    expect(await text()).toBe("SELECT 102 AS second");
    await page.keyboard.press("Alt+ArrowUp");
    expect(await text()).toBe("SELECT 101 AS first");
    await page.keyboard.press("Alt+ArrowDown");
    await page.keyboard.press("Alt+ArrowDown");
    expect(await text()).toBe("SELECT 'a draft'");
    await page.getByRole("radio", { name: "History" }).check();
    await page.getByPlaceholder("Search the history").fill("FIRST select");
    await expect.poll(() => page.locator(".past li").count()).toBe(1);
    await page.locator(".past li button").first().click();
    expect(await text()).toBe("SELECT 101 AS first");
  });

  it("are saved under a name with Ctrl + S, and shared as a link that has the parameters, too", async () => {
    await open("SELECT $n AS shared");
    await page.getByLabel("$n").fill("31");
    await editor().click();
    await page.keyboard.press("Control+s");
    await page.getByPlaceholder("Name of the statement").pressSequentially("Mine");
    await page.keyboard.press("Enter");
    await page.locator(".past li", { hasText: "Mine" }).waitFor();
    await page.getByRole("button", { name: "Copy link" }).click();
    await page.getByText("The link is copied").waitFor();
    const link = await clipboard();
    expect(new URL(link).search).toBe("");
    const other = await browser.newPage();
    await other.goto(link);
    expect(await other.getByLabel("$n").inputValue()).toBe("31");
    await other.getByRole("button", { name: /^Run/ }).click();
    await other.locator(".grid .cell", { hasText: "31" }).waitFor();
    await other.close();
  });

  it("a draft outlives loading the page anew", async () => {
    await page.goto(`${system.url}/sql`);
    await editor().click();
    await page.keyboard.press("Control+a");
    await page.keyboard.type("SELECT 'half written");
    await page.reload();
    await editor().waitFor();
    expect(await text()).toContain("half written");
  });
});

describe("the rows", () => {
  const download = async (format: RegExp) => {
    const select = page.getByLabel("Download");
    const label = (await select.locator("option").allTextContents()).find((option) => format.test(option))!;
    const [file] = await Promise.all([page.waitForEvent("download"), select.selectOption({ label })]);
    return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
  };
  const ROWS = "SELECT range AS n, 100000 - range AS down, 'row ' || range AS label FROM range(100000)";

  it("of 100,000 only those in sight are in the document; keys and sorting reach them all", async () => {
    await run(ROWS);
    await cell("row 0").waitFor();
    expect(await facts().textContent()).toMatch(/^100[,.]?000 rows/);
    expect(await page.locator(".grid-row").count()).toBeLessThan(100);
    const grid = page.getByRole("grid");
    await grid.evaluate((box) => box.scrollTo(0, box.scrollHeight));
    await cell("row 99999").waitFor();
    await page.keyboard.press("F6");
    await page.keyboard.press("Control+Home");
    await cell(/^row 0$/).waitFor();
    await page.getByRole("columnheader", { name: "down" }).getByRole("button").click();
    await cell("row 99999").waitFor();
    expect(await page.getByRole("columnheader", { name: "down" }).getAttribute("aria-sort")).toBe("ascending");
    await page.getByRole("columnheader", { name: "down" }).getByRole("button").click();
    await cell(/^row 0$/).waitFor();
    expect(await grid.getAttribute("aria-rowcount")).toBe("100001");
  });

  it("beyond 100,000 are said to be cut, and a CSV file has them all", async () => {
    await run("SELECT range AS n FROM range(100001)");
    await page.getByText(/^the first 100[,.]?000 rows/).waitFor();
    const csv = await download(/^CSV/);
    expect(csv.bytes.toString().trim().split("\r\n")).toHaveLength(100_002);
  });

  it("of many columns only those in sight are in the document", async () => {
    const columns = Array.from({ length: 300 }, (_, i) => `${i} AS column_${i}`);
    await run(`SELECT ${columns.join(", ")}`);
    await cell(/^0$/).waitFor();
    expect(await page.locator(".grid .cell").count()).toBeLessThan(40);
    await page.keyboard.press("F6");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("End");
    await cell(/^299$/).waitFor();
  });

  it("are copied as a spreadsheet wants them: cells, rows, with their header", async () => {
    await run("SELECT 1 AS one, 'a, \"b\"' AS text, NULL AS nothing UNION ALL SELECT 2, 'c', 3 ORDER BY 1");
    await cell(/^1$/).click();
    await page.keyboard.press("Control+c");
    await page.getByText("Copied the cell").waitFor();
    expect(await clipboard()).toBe("1");
    await page.keyboard.press("Shift+ArrowDown");
    await page.keyboard.press("Shift+ArrowRight");
    await page.keyboard.press("Control+c");
    await page.getByText("Copied 2 rows of 2 columns").waitFor();
    expect(await clipboard()).toBe('1\t"a, ""b"""\n2\tc');
    await page.locator(".gutter", { hasText: "2" }).click();
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    await expect.poll(clipboard).toBe("one\ttext\tnothing\n2\tc\t3");
  });

  it("are saved as CSV from what is here, and as Parquet by the server", async () => {
    await run("SELECT 1 AS one, 'a, \"b\"' AS text, NULL AS nothing");
    await cell("a,").waitFor();
    const csv = await download(/^CSV/);
    expect(csv.name).toMatch(/^eventpile-.*\.csv$/);
    expect(csv.bytes.toString()).toBe('one,text,nothing\r\n1,"a, ""b""",\r\n');
    const parquet = await download(/^Parquet/);
    expect(parquet.name).toMatch(/\.parquet$/);
    expect(parquet.bytes.subarray(0, 4).toString()).toBe("PAR1");
  });

  it("become lines over time and bars of names, with columns to choose", async () => {
    await run(
      "SELECT date_trunc('minute', event_time) AS minute, count(*) AS events FROM events GROUP BY 1 ORDER BY 1",
    );
    await page.getByRole("radio", { name: "Chart" }).check();
    const drawn = page.getByRole("img", { name: /^Lines of events at \d+ places/ });
    await drawn.locator("canvas").waitFor();
    await page.getByRole("radio", { name: "Bars" }).check();
    await page.getByRole("img", { name: /^Bars of events/ }).waitFor();
    await editor().click();
    await page.keyboard.press("Control+a");
    await page.keyboard.type(
      "SELECT event_name, count(*) AS n, count(user_id) AS users FROM events GROUP BY 1 ORDER BY 2 DESC",
    );
    await page.keyboard.press("Control+Enter");
    const bars = page.locator(".bars li");
    await bars.filter({ hasText: "page" }).getByText("30").waitFor();
    await page.getByRole("checkbox", { name: "users" }).check();
    await expect.poll(() => bars.first().locator(".part").count()).toBe(2);
  });

  it("have a plan beside them that says what was read", async () => {
    await run("SELECT user_id FROM events WHERE event_name = 'page'");
    await cell("u1").waitFor();
    await page.getByRole("radio", { name: "Plan" }).check();
    const plan = page.getByLabel("Plan of events");
    await plan.getByText("event_name, user_id").waitFor();
    await plan.getByText("page", { exact: true }).waitFor();
    await page.getByText("What the run took").waitFor();
  });
});

describe("for keyboard and screen reader", () => {
  it("the keys are listed, and F6 goes from the statement to the rows and back", async () => {
    await run("SELECT 5 AS five");
    await cell("5").waitFor();
    await page.keyboard.press("F6");
    await page.keyboard.press("ArrowDown");
    const active = await page.getByRole("grid").getAttribute("aria-activedescendant");
    expect(await page.locator(`#${active}`).textContent()).toBe("5");
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog", { name: "Keys" }).waitFor({ state: "hidden" });
    await page.keyboard.press("F6");
    expect(await editor().evaluate((content) => content === document.activeElement)).toBe(true);
  });

  it("everything that can be pressed or filled in has a name", async () => {
    await run("SELECT 1 AS one, 'x' AS name UNION ALL SELECT 2, 'y'");
    await cell("x").waitFor();
    for (const panel of ["History", "Saved", "Columns"]) {
      await page.getByRole("radio", { name: panel }).check();
      for (const role of ["button", "textbox", "searchbox", "combobox", "radio", "checkbox"] as const) {
        const all = await page.getByRole(role).count();
        expect(await page.getByRole(role, { name: /\S/ }).count(), `${panel}: ${role}`).toBe(all);
      }
    }
  });
});
