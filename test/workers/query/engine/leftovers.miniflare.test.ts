import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EngineStatement } from "../../../../workers/query/engine/statement.ts";
import { lakeFile, type QueryRig, startRig } from "../rig.ts";
import { shopRows } from "../shop-rows.ts";

const TIMEOUT_MS = 1_500;
const ENDLESS = "select count(*) from range(100000000) a, range(100000) b where a.range + b.range = 7";
const LARGE = "select list(repeat('abcdefgh', 100) || i) from range(10000000) t(i)";
const GROUPS = "select event_name, count(*) n from events group by 1 order by 1";
/** What a statement could leave: settings, tables, views, files written because memory was short. */
const STATE = `select current_setting('temp_directory'), current_setting('memory_limit'), current_setting('threads'),
  (select count(*) from duckdb_tables()), (select count(*) from duckdb_temporary_files())`;

let rig: QueryRig;

beforeAll(async () => {
  rig = await startRig({ timeoutMs: TIMEOUT_MS });
  await rig.commit([await lakeFile("events", [...shopRows({ seed: 1, rows: 3_000, firstDay: 0, days: 1 })])]);
});

afterAll(async () => {
  await rig?.stop();
});

/** Past the planner, which would refuse it. */
async function straight(sql: string): Promise<unknown> {
  const statement: EngineStatement = {
    id: crypto.randomUUID(),
    token: "test",
    sql,
    format: "json",
    explain: false,
    startedAt: Date.now(),
    timeoutMs: TIMEOUT_MS,
    snapshot: 0,
    tables: [],
  };
  const { rows, reason } = (await (await rig.engine(0).run(statement)).json()) as { rows?: unknown; reason?: string };
  return rows ?? reason;
}

describe("what a statement leaves behind", () => {
  it.each([
    ["that ran out of memory", () => rig.sql(LARGE), "memory_exceeded"],
    [
      "that sorted more than fits",
      () => rig.sql("select * from range(6000000) t(i) order by hash(i) desc limit 5000000"),
      "memory_exceeded",
    ],
    ["that ran out of time", () => rig.sql(ENDLESS), "statement_timeout"],
    ["that failed on a row", () => rig.sql("select cast('x' || range as int) from range(100000)"), "sql_error"],
    [
      "that failed in a function of ours",
      () => rig.sql("select to_timezone(event_time, event_name) from events"),
      "sql_error",
    ],
  ])("one %s leaves nothing, and the next does not notice", async (_what, run, reason) => {
    const before = await straight(STATE);
    expect(before).toEqual([["", expect.any(String), 1, 0, 0]]);
    const groups = (await rig.sql(GROUPS)).rows;
    expect(groups).toHaveLength(5);
    expect((await run()).reason).toBe(reason);
    expect(await straight(STATE)).toEqual(before);
    expect((await rig.sql(GROUPS)).rows).toEqual(groups);
  });

  it("one that ran out of memory is told how much there is, and what to do", async () => {
    const { status, detail } = await rig.sql(LARGE);
    expect(status).toBe(422);
    expect(detail).toMatch(/50 MiB.*narrow the time range/);
  });

  it("a replaced engine knows our functions again", async () => {
    const asked = () => rig.sql(`select '{"a": 1}' ->> '$.a', to_timezone(timestamp '2026-07-01', 'Europe/Berlin')`);
    const before = (await asked()).rows;
    await rig.sql(LARGE);
    const after = await asked();
    expect(after.rows).toEqual(before);
    expect(after.rows).toEqual([["1", "2026-07-01T02:00:00.000000Z"]]);
  });
});
