import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseDataFileKey } from "../../../r2-layout/keys.ts";
import { SQL } from "../../../r2-layout/limits.ts";
import { lakeFile, type QueryRig, startRig } from "./rig.ts";
import { shopRows } from "./shop-rows.ts";

const TIMEOUT_MS = 1_500;
/** Runs for minutes, if it is let. */
const ENDLESS = "select count(*) from range(100000000) a, range(100000) b where a.range + b.range = 7";
const GROUPS = "select event_name, count(*) n from events group by 1 order by 1";

let rig: QueryRig;
let keys: string[] = [];

beforeAll(async () => {
  rig = await startRig({ timeoutMs: TIMEOUT_MS });
  const file = (seed: number, rows: number) =>
    lakeFile("events", [...shopRows({ seed, rows, firstDay: seed, days: 1 })]);
  // The second is too large to be fetched whole.
  const { paths } = await rig.commit([await file(1, 3_000), await file(2, 20_000)]);
  keys = paths.map((path) =>
    path
      .slice(path.indexOf("lake_"))
      .replace(/^lake_(\w+)_fresh_/, "lake/$1/fresh/")
      .replace("mixed_", "mixed/"),
  );
  expect(keys.every((key) => parseDataFileKey(key) !== null)).toBe(true);
});

afterAll(async () => {
  await rig?.stop();
});

describe("a statement that does not end", () => {
  it("promise 9: is ended at its timeout with a problem that says so, and the next one is answered", async () => {
    const answer = await rig.sql(ENDLESS);
    expect(answer).toMatchObject({ status: 408, reason: "statement_timeout", limit_ms: TIMEOUT_MS });
    expect((await rig.sql(GROUPS)).rows).toHaveLength(5);
  });

  it("is ended when it is cancelled, and says so", async () => {
    const engine = rig.engine(0);
    const id = "cancelled-in-time";
    const running = engine.run({
      id,
      token: "",
      sql: ENDLESS,
      format: "json",
      explain: false,
      startedAt: Date.now(),
      timeoutMs: 60_000,
      snapshot: 0,
      tables: [],
    });
    await expect.poll(async () => (await engine.status()).statements, { timeout: 10_000 }).toBe(1);
    await engine.cancel(id);
    expect(await (await running).json()).toMatchObject({ reason: "statement_cancelled" });
    expect((await rig.sql("select 42")).rows).toEqual([[42]]);
  });
});

it("a statement can be interrupted after each chunk of rows or so, not only between its tasks", async () => {
  const { ticks } = await rig.engine(0).status();
  const answer = await rig.sql("select sum(range) from range(1024000)");
  expect(answer.rows).toEqual([[(1_024_000 * 1_023_999) / 2]]);
  // 500 chunks are ten tasks; three operators look at the clock twice for each chunk, and one look in 32 is a tick.
  expect((await rig.engine(0).status()).ticks - ticks).toBeGreaterThan(60);
});

describe("how far a statement has come", () => {
  const LIMITS = { token: "", format: "json", explain: false, timeoutMs: 60_000, snapshot: 0, tables: [] } as const;

  it("is told while it waits and while it runs, and nothing once it is over", async () => {
    const engine = rig.engine(0);
    const ids = ["ahead", "behind"] as const;
    const running = ids.map((id) => engine.run({ id, sql: ENDLESS, startedAt: Date.now(), ...LIMITS }));
    const states = async () => (await Promise.all(ids.map((id) => engine.progress(id)))).map((one) => one?.state);
    await expect.poll(states, { timeout: 10_000 }).toEqual(["running", "queued"]);
    await engine.cancel("behind");
    await running[1];
    expect(await engine.progress("behind")).toBeNull();
    await engine.cancel("ahead");
    await running[0];
    expect(await engine.progress("ahead")).toBeNull();
  });
});

describe("the second wall: what an engine does with a statement that no planner has seen", () => {
  const straight = async (sql: string) => {
    const response = await rig.engine(0).run({
      id: crypto.randomUUID(),
      token: "",
      sql,
      format: "json",
      explain: false,
      startedAt: Date.now(),
      timeoutMs: TIMEOUT_MS,
      snapshot: 0,
      tables: [],
    });
    return { status: response.status, body: (await response.json()) as { reason?: string; detail?: string } };
  };

  it.each([
    ["copy (select 1) to 'x.csv'", "table_not_allowed"],
    ["copy (select 1) to 'x.parquet' (format parquet)", "table_not_allowed"],
    ["attach 'x.db'", "table_not_allowed"],
    ["export database 'x'", "table_not_allowed"],
    ["select * from read_csv_auto('/etc/passwd')", "sql_error"],
    ["select * from 'https://example.com/x.parquet'", "table_not_allowed"],
    ["select * from 'x.parquet'", "table_not_allowed"],
    ["select * from events", "table_not_allowed"],
    ["install httpfs", "sql_error"],
    ["load httpfs", "sql_error"],
    ["set memory_limit = '1GB'", "sql_error"],
    ["set threads = 4", "sql_error"],
    ["select 1; select 2", "sql_error"],
  ])("%s: %s", async (sql, reason) => {
    const { status, body } = await straight(sql);
    expect(status).toBe(400);
    expect(body.reason).toBe(reason);
    expect((await rig.sql("select 42")).rows).toEqual([[42]]);
  });

  it("a data file that the plan does not name is not there, though the lake has it", async () => {
    const { body } = await straight(`select count(*) from read_parquet('${keys[0]}')`);
    expect(body.reason).toBe("sql_error");
    expect(body.detail).toContain("No files found");
    expect(body.detail).not.toContain("lake/");
  });
});

describe("several at once", () => {
  it("each gets its own answer", async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => rig.sql(`select ${i}, count(*) from events where client_seq % 12 = ${i}`)),
    );
    expect(answers.map(({ rows }) => rows[0]![0])).toEqual(Array.from({ length: 12 }, (_, i) => i));
    expect(answers.reduce((sum, { rows }) => sum + (rows[0]![1] as number), 0)).toBe(23_000);
  });

  it("one waits behind another and still gets its whole time", async () => {
    const [slow, quick] = await Promise.all([rig.sql(ENDLESS), rig.sql(GROUPS)]);
    expect(slow.reason).toBe("statement_timeout");
    expect(quick.status).toBe(200);
  });

  it("promise 9: beyond a bound of waiting ones the answer is to come back later", async () => {
    const responses = await Promise.all(
      Array.from({ length: SQL.waiting + 8 }, () =>
        rig.post({ sql: "select count(*) from range(20000000) t(x) where x % 7 = 3" }),
      ),
    );
    const refused = responses.filter(({ status }) => status === 503);
    expect(refused.length).toBeGreaterThan(0);
    expect(responses.filter(({ status }) => status === 200).length).toBeGreaterThan(0);
    for (const response of refused) {
      expect(response.headers.get("retry-after")).not.toBeNull();
      expect(await response.json()).toMatchObject({ reason: "engine_busy" });
    }
  });
});

describe("an engine that broke", () => {
  it("is replaced: after running out of memory", async () => {
    const answer = await rig.sql("select list(repeat('abcdefgh', 100) || i) from range(10000000) t(i)");
    expect(answer).toMatchObject({ status: 422, reason: "memory_exceeded" });
    const next = await rig.sql(GROUPS);
    expect(next.rows).toHaveLength(5);
    expect(next.stats.boot_ms).toBeGreaterThan(0);
  });

  it("is replaced: after a data file was gone in the middle of a scan, and the reason says so", async () => {
    // Columns that nothing has read so far: their pages are not in memory.
    await rig.lose(keys[1]!);
    const answer = await rig.sql("select max(session_id), max(received_at) from events");
    expect(answer).toMatchObject({ status: 503, reason: "store_unavailable" });
    const next = await rig.sql("select count(*) from events where event_time < '2026-11-22'");
    expect(next.rows).toEqual([[3_000]]);
  });

  it("promise 10: stays within its memory over many statements, broken ones among them", async () => {
    let heap = 0;
    for (let i = 0; i < 12; i++) {
      if (i % 4 === 3) await rig.sql("select list(repeat('abcdefgh', 100) || i) from range(10000000) t(i)");
      const { stats } = await rig.sql(`select count(distinct x % ${1_000 + i}) from range(300000) t(x)`);
      heap = Math.max(heap, stats.heap_bytes + stats.page_bytes);
    }
    expect(heap).toBeLessThan(100_000_000);
  });
});

describe("a token's budget", () => {
  it("promise 9: is counted per token and refuses with the time to come back", async () => {
    const send = (token: string) => rig.post({ sql: "attach 'x'" }, { headers: { "x-eventpile-token": token } });
    const [busy, idle] = ["ab".repeat(32), "cd".repeat(32)];
    let refused: Response | null = null;
    for (let sent = 0; sent < SQL.statementsPerMinute + 100 && !refused; sent += 50) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => send(busy)));
      refused = answers.find(({ status }) => status === 429) ?? null;
    }
    expect(refused).not.toBeNull();
    const wait = Number(refused!.headers.get("retry-after"));
    expect(wait).toBeGreaterThanOrEqual(1);
    expect(wait).toBeLessThanOrEqual(60);
    expect(await refused!.json()).toMatchObject({ reason: "budget_exceeded", retry_after_s: wait });
    expect((await send(idle)).status).toBe(400);
  });
});
