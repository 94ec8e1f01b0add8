import { tableFromIPC } from "apache-arrow";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { lakeFile, type QueryRig, startRig } from "../rig.ts";
import { shopRows } from "../shop-rows.ts";

let rig: QueryRig;
let seed = 0;

const addDay = async (day: number, rows = 500) =>
  rig.commit([await lakeFile("events", [...shopRows({ seed: ++seed, rows, firstDay: day, days: 1 })])]);

beforeAll(async () => {
  rig = await startRig({ cache: true });
  await addDay(0);
});

afterAll(async () => {
  await rig?.stop();
});

beforeEach(async () => {
  await Promise.all([rig.engine(0).reset(), rig.engine(1).reset()]);
});

const COUNT = "select event_name, count(*) n from events group by 1 order by 1";
/** Some hundred milliseconds of work, longer than it takes two requests to come. */
const SLOW = "select count(*) from range(4000) a(i), range(4000) b(j) where (i * j) % 7 = 3";

describe("an answer that was given", () => {
  it("is given again without an engine while the files that it reads are the same", async () => {
    const first = await rig.sql(COUNT);
    const again = await rig.sql(`  ${COUNT} -- the same`);
    expect(first.stats).toMatchObject({ route: "engine" });
    expect(again.stats).toMatchObject({ route: "cache", bytes_read: 0, requests: 0, rows: first.rows.length });
    expect(again.stats.age_ms).toBeGreaterThanOrEqual(0);
    expect(again.stats.dollars).toBeLessThan(first.stats.dollars);
    expect(again.rows).toEqual(first.rows);
    expect(again.columns).toEqual(first.columns);
  });

  it.each(["ndjson", "csv", "arrow", "parquet"])("is the same bytes in %s", async (format) => {
    const [first, again] = [await rig.post({ sql: COUNT, format }), await rig.post({ sql: COUNT, format })];
    const [one, other] = await Promise.all([first.arrayBuffer(), again.arrayBuffer()]);
    expect(JSON.parse(again.headers.get("x-eventpile-stats")!)).toMatchObject({ route: "cache" });
    expect(new Uint8Array(other)).toEqual(new Uint8Array(one));
    if (format === "arrow") expect(tableFromIPC(new Uint8Array(other)).numRows).toBe(5);
  });

  it("is another one for other values, another limit, another snapshot", async () => {
    const before = (await rig.sql("select count(*) from events")).stats.snapshot;
    const ask = (more: object) =>
      rig.sql("select event_id from events where client_seq > $n order by 1", more as Record<string, unknown>);
    await ask({ params: { n: 1 } });
    expect((await ask({ params: { n: 2 } })).stats.route).toBe("engine");
    expect((await ask({ params: { n: 1 }, limit: 3 })).stats.route).toBe("engine");
    await addDay(9);
    expect((await ask({ params: { n: 1 } })).stats.route).toBe("engine");
    expect((await ask({ params: { n: 1 }, as_of: before })).stats.route).toBe("cache");
  });

  it("promise 5: is never an old one: a commit that its files are not among changes nothing, one that adds to them does", async () => {
    const day = "select count(*) n from events where event_time >= '2026-11-20' and event_time < '2026-11-21'";
    const first = await rig.sql(day);
    await addDay(3);
    const beside = await rig.sql(day);
    expect(beside.stats.route).toBe("cache");
    expect(beside.stats.snapshot).toBeGreaterThan(first.stats.snapshot);
    const { rows } = await rig.sql("select min(event_time)::date d from events");
    expect(rows).toEqual([["2026-11-20"]]);
    await addDay(0, 7);
    const after = await rig.sql(day);
    expect(after.stats.route).toBe("engine");
    expect(after.rows[0]![0]).toBe((first.rows[0]![0] as number) + 7);
  });

  it.each(["select random() r", "select gen_random_uuid() u", "select current_time t"])(
    "is not kept where it is another one each time: %s",
    async (sql) => {
      await rig.sql(sql);
      const { stats, detail } = await rig.sql(sql);
      if (detail === undefined) expect(stats.route).toBe("engine");
    },
  );

  it("is not kept where it is an error", async () => {
    for (let i = 0; i < 2; i++) expect((await rig.sql("select 'x'::integer")).reason).toBe("sql_error");
  });
});

describe("an answer that may be out of date", () => {
  it("is that of a moment ago, also where the question says now(), and only as long as it may be", async () => {
    const sql = "select count(*) n from events where event_time < now()";
    const first = await rig.sql(sql);
    await addDay(1, 5);
    const recent = await rig.sql(sql, { max_staleness_s: 60 });
    expect(recent.stats.route).toBe("cache");
    expect(recent.rows).toEqual(first.rows);
    expect(recent.stats.snapshot).toBe(first.stats.snapshot);
    const now = await rig.sql(sql, { max_staleness_s: 0 });
    expect(now.stats.route).toBe("engine");
    expect(now.rows[0]![0]).toBe((first.rows[0]![0] as number) + 5);
    expect((await rig.sql(sql, { max_staleness_s: 60 })).rows).toEqual(now.rows);
  });

  it("is made where there is none", async () => {
    expect((await rig.sql(COUNT, { max_staleness_s: 60 })).stats.route).toBe("engine");
  });
});

describe("the same question, several times at once", () => {
  it("is run once", async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => rig.sql(SLOW)));
    expect(new Set(answers.map(({ rows }) => String(rows))).size).toBe(1);
    const made = answers.filter(({ stats }) => stats.route === "engine" && !stats.shared);
    expect(made).toHaveLength(1);
  });

  it("is answered to others when the one who asked first has gone", async () => {
    const sql = `${SLOW} and i > 0`;
    const leader = new AbortController();
    const first = rig.post({ sql }, { signal: leader.signal });
    const statements = async () =>
      (await Promise.all([rig.engine(0).status(), rig.engine(1).status()])).reduce(
        (sum, one) => sum + one.statements,
        0,
      );
    const second = rig.sql(sql);
    await expect.poll(statements, { timeout: 10_000, interval: 5 }).toBe(2);
    leader.abort();
    await expect(first).rejects.toThrow();
    expect((await second).rows).toHaveLength(1);
  });

  it("fails for each in its own words", async () => {
    const sql = `${SLOW} and ('x' || i)::integer > 0`;
    const answers = await Promise.all([rig.sql(sql), rig.sql(sql)]);
    for (const { reason, status } of answers) expect([reason, status]).toEqual(["sql_error", 400]);
  });
});

describe("of a question that says how much it wants", () => {
  it.each(["json", "ndjson", "csv"])("%s has so many rows, and the stats say that there are more", async (format) => {
    const ask = async (limit: number) => {
      const response = await rig.post({ sql: "select i from range(5000) r(i)", format, limit });
      await response.text();
      return JSON.parse(response.headers.get("x-eventpile-stats")!) as unknown;
    };
    expect(await ask(10)).toMatchObject({ rows: 10, truncated: true });
    expect(await ask(4_999)).toMatchObject({ rows: 4_999, truncated: true });
    expect(await ask(5_000)).not.toHaveProperty("truncated");
    expect(await ask(0)).toMatchObject({ rows: 0, truncated: true });
  });

  it("a download has a name", async () => {
    const response = await rig.post({ sql: "select 1", format: "parquet", download: "my orders" });
    expect(response.headers.get("content-disposition")).toBe('attachment; filename="my orders.parquet"');
    await response.arrayBuffer();
  });
});
