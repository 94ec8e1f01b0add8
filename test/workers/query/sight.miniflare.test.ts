import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Sight, withSight } from "../../../workers/sight.ts";
import { lakeFile, type QueryRig, type SqlAnswer, startRig } from "./rig.ts";
import { shopRows } from "./shop-rows.ts";

let rig: QueryRig;

const MINE = { sources: ["mine"], masked: [], pseudonymKey: "k" } satisfies Sight;
const MASKED = { sources: null, masked: ["user_id", "city", "properties"], pseudonymKey: "it's" } satisfies Sight;
const pseudonym = (id: string) => `masked:${createHash("sha256").update(`it's${id}`).digest("hex").slice(0, 32)}`;

async function ask(sight: Sight | null, sql: string, more: object = {}): Promise<SqlAnswer> {
  const response = await rig.post({ sql, ...more }, { headers: withSight(new Headers(), sight) });
  return { status: response.status, ...((await response.json()) as Omit<SqlAnswer, "status">) };
}

/** A third of them mine. */
const sharedRows = (rows: number) =>
  [...shopRows({ seed: 1, rows, firstDay: 0, days: 1 })].map((row, i) =>
    i % 3 === 0
      ? { ...row, source: "mine", user_id: String(i), city: "Bern", properties: { coupon: "secret-coupon" } }
      : { ...row, source: "theirs", user_id: `secret-${i}` },
  );

beforeAll(async () => {
  rig = await startRig({ cache: true, rollups: true });
  const rows = sharedRows(600);
  const column = { name: "coupon", type: "string", property: "coupon", doc: "" } as const;
  const added = await rig.addColumn(column);
  if (added.kind !== "added") throw new Error("no column was added");
  await rig.commit([
    await lakeFile("events", rows.slice(0, 300), [added.column]),
    await lakeFile("events", rows.slice(300), [added.column]),
  ]);
});

afterAll(async () => {
  await rig?.stop();
});

beforeEach(async () => {
  await Promise.all([rig.engine(0).reset(), rig.engine(1).reset()]);
});

describe("who sees the rows of some sources", () => {
  it.each([
    "select count(*) n from events",
    "select count(*) n from events where event_time >= '2026-11-20' and event_name is not null",
    "with e as (select * from events) select count(*) n from e",
    "select count(*) n from events a join events b using (event_id)",
    "select count(*) n from (select event_id from events union select event_id from events)",
    "select count(distinct event_id) n from events where source <> 'nobody'",
  ])("finds no other: %s", async (sql) => {
    expect((await ask(MINE, sql)).rows).toEqual([[200]]);
    expect((await ask(null, sql)).rows).toEqual([[600]]);
  });

  it("is told nothing of others by how many files are read", async () => {
    const filesOf = async (user: string) =>
      (await ask(MINE, "select count(*) n from events where user_id = $user", { params: { user } })).stats.files;
    const known = await filesOf("secret-1");
    expect(known).toBe(await filesOf("was-never-there"));
    expect(known).toBe(2);
  });

  it("gets neither the kept answer of who sees all, nor gives its own", async () => {
    const sql = "select count(*) n from events";
    const stale = { max_staleness_s: 60 };
    for (const more of [{}, stale]) {
      expect((await ask(null, sql, { route: "engine", ...more })).rows).toEqual([[600]]);
      expect((await ask(MINE, sql, { route: "engine", ...more })).rows).toEqual([[200]]);
      expect((await ask(MINE, sql, { route: "engine", ...more })).stats.route).toBe("cache");
      expect((await ask({ ...MINE, sources: ["theirs"] }, sql, { route: "engine", ...more })).rows).toEqual([[400]]);
    }
    const both = await Promise.all([ask(null, `${sql} where 1 = 1`), ask(MINE, `${sql} where 1 = 1`)]);
    expect(both.map(({ rows }) => rows)).toEqual([[[600]], [[200]]]);
  });

  it("keeps to it in Trino's protocol", async () => {
    const headers = withSight(new Headers({ "x-trino-user": "ann" }), MINE);
    let answer = (await (
      await rig.fetch("/v1/statement", { method: "POST", headers, body: "select count(*) from events" })
    ).json()) as { nextUri?: string; data?: unknown[][]; error?: unknown };
    const data: unknown[][] = [];
    for (let polls = 0; answer.nextUri && polls < 100; polls++) {
      answer = (await (await rig.fetch(new URL(answer.nextUri).pathname, { headers })).json()) as typeof answer;
      data.push(...(answer.data ?? []));
    }
    expect(answer.error).toBeUndefined();
    expect(data).toEqual([[200]]);
  });
});

describe("who does not see some columns", () => {
  it("sees pseudonyms of ids, which group and join as the ids do, and no other value", async () => {
    const sql = `select user_id, city, properties, coupon, count(*) n from events
      where source = 'mine' group by all order by n desc, user_id limit 3`;
    const { rows } = await ask(MASKED, sql);
    expect(rows).toHaveLength(3);
    for (const row of rows) expect(row.slice(0, 4)).toEqual([expect.stringMatching(/^masked:/), null, null, null]);
    const people = "select count(distinct user_id) n from events";
    expect((await ask(MASKED, people)).rows).toEqual((await ask(null, people)).rows);
    const joined = "select count(*) n from events a join events b on a.user_id = b.user_id";
    expect((await ask(MASKED, joined)).rows).toEqual((await ask(null, joined)).rows);
  });

  it("finds rows by pseudonym and not by value, whatever the files' filters say", async () => {
    const count = async (user: string) =>
      (await ask(MASKED, "select count(*) n from events where user_id = $user", { params: { user } })).rows;
    expect(await count(pseudonym("0"))).toEqual([[1]]);
    expect(await count("0")).toEqual([[0]]);
    expect((await ask(MASKED, "select count(*) n from events where city = 'Bern'")).rows).toEqual([[0]]);
  });

  it("has no way round by a macro, a star, a struct of the row, or its text", async () => {
    for (const sql of [
      "select * from events limit 50",
      "select e from events e limit 50",
      "select events::text t from events limit 50",
      "select columns('city|user_id') from events limit 50",
      "select prop(properties, 'coupon') c, user_id from events limit 50",
      "select array_agg(user_id) a, max(city) c from events",
    ]) {
      const answer = await ask(MASKED, sql);
      expect(JSON.stringify(answer.rows ?? answer.detail), sql).not.toMatch(/secret-|Bern/);
    }
  });

  it("is not told a value by an error", async () => {
    const { detail } = await ask(MASKED, "select sum(user_id::int) s from events");
    expect(detail).toContain("masked:");
    expect(detail).not.toContain("secret-");
  });
});

describe("a lake of many rows", () => {
  const MANY = 60_000;

  beforeAll(async () => {
    await rig.commit([await lakeFile("events", sharedRows(MANY))]);
  });

  it("tells nothing of others' rows by an error that only they could raise, in whatever order DuckDB tries conditions", async () => {
    // It learns the order from row to row, and tries others now and then.
    const sql = (condition: string) => `select count(*) n from events where ${condition}`;
    expect((await ask(null, sql("user_id::int >= 0"))).detail).toContain("secret-");
    for (const condition of ["user_id::int >= 0", "user_id in ('1', '2') or user_id::int > -1"]) {
      expect(await ask(MINE, sql(condition)), condition).toMatchObject({ status: 200, rows: [[(MANY + 600) / 3]] });
    }
  });
});
