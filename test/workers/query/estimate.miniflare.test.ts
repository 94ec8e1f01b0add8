/** What is foretold against what is read: real files, the real catalog, the real runtime. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { SQL } from "../../../r2-layout/limits.ts";
import { lakeFile, type QueryRig, startRig } from "./rig.ts";
import { shopRows } from "./shop-rows.ts";

const RUNS = Number(process.env.ESTIMATE_RUNS ?? 12);
/** Bundling, starting and filling, on a machine that is busy with other things. */
const SETUP_MS = 180_000;
let rig: QueryRig;
let untoldBytes = 0;

beforeAll(async () => {
  rig = await startRig();
  // Small files that are fetched whole, large ones of one row group, one of many small row groups, one of several days.
  const shapes = [
    { rows: 300, firstDay: 0, days: 1 },
    { rows: 500, firstDay: 1, days: 1 },
    { rows: 30_000, firstDay: 0, days: 1 },
    { rows: 12_000, firstDay: 1, days: 1 },
    { rows: 9_000, firstDay: 0, days: 9 },
    { rows: 60_000, firstDay: 2, days: 3 },
  ];
  for (const [seed, shape] of shapes.entries()) {
    const built = await lakeFile("events", [...shopRows({ seed, users: 4_000, ...shape })]);
    // A file of before there was an estimate.
    const { chunks: _, ...older } = built.facts;
    if (seed === 1) untoldBytes = built.bytes.length;
    await rig.commit([seed === 1 ? { ...built, facts: older } : built]);
  }
}, SETUP_MS);

afterAll(() => rig?.stop());

const COLUMNS = Object.keys(EVENT_COLUMNS).filter((name) => !["flags", "properties"].includes(name));
const WHERES = [
  "",
  "where event_time >= timestamp '2026-11-21'",
  "where event_time < '2026-11-21 06:00'",
  "where event_name = 'page'",
  "where user_id = 'user-77'",
  "where country = 'DE' and log_seq = 3",
  "where anonymous_id in ('device-1', 'device-2') and event_time >= '2026-11-22'",
];
const statementArbitrary = fc
  .record({
    columns: fc.subarray(COLUMNS, { minLength: 1, maxLength: 6 }),
    where: fc.constantFrom(...WHERES),
    shape: fc.constantFrom("one", "one", "one", "twice", "cte", "count", "star"),
  })
  .map(({ columns, where, shape }) => {
    const sums = (of: string) => columns.map((name) => `count(${of}${name})`).join(", ");
    const from = `(select ${columns.join(", ")} from events ${where})`;
    if (shape === "count") return `select count(*) from events ${where}`;
    if (shape === "star") return `select count(x) from (select * from events ${where}) x`;
    if (shape === "twice") return `select ${sums("")} from ${from} union all select ${sums("")} from ${from}`;
    if (shape === "cte") return `with c as ${from} select (select count(*) from c), ${sums("c.")} from c`;
    return `select ${sums("")} from events ${where}`;
  });

const cold = async () => {
  for (let engine = 0; engine < SQL.engines; engine++) await rig.engine(engine).reset();
};

it("foretells never less than a cold statement reads, and within a tenth where no row group is left out", async () => {
  let exact = 0;
  await fc.assert(
    fc.asyncProperty(statementArbitrary, async (sql) => {
      const explained = (await (await rig.post({ sql, explain: true })).json()) as {
        estimate: { bytes: number; requests: number; scan_bytes: number };
        bytes: number;
        requests: number;
        pruned: { by_filter: number };
      };
      await cold();
      const { stats, detail } = await rig.sql(sql);
      expect(detail).toBeUndefined();
      expect(stats.fallback_reads).toBe(0);
      expect(explained.estimate.bytes).toBeGreaterThanOrEqual(stats.bytes_read);
      expect(explained.estimate.requests).toBeGreaterThanOrEqual(stats.requests);
      expect(explained.estimate.bytes).toBeGreaterThanOrEqual(explained.bytes);
      if (sql.includes("where") || !sql.startsWith("select count(") || sql.includes("union")) return;
      // The file that told nothing counts whole, also where its footer is all that is read.
      if (sql.startsWith("select count(*) ")) {
        expect(explained.estimate.bytes).toBeLessThanOrEqual(explained.bytes + untoldBytes);
        return;
      }
      // The footers are in the Cache API by now: what is read is short of them.
      exact++;
      expect(explained.estimate.bytes).toBeLessThanOrEqual(explained.bytes * 1.1);
    }),
    {
      numRuns: RUNS,
      examples: [["select count(*) from events "], ["select count(country), count(revenue) from events "]],
    },
  );
  expect(exact).toBeGreaterThan(0);
});

it("prices a statement before it runs, and says what was left out and why", async () => {
  const sql = "select count(user_id) from events where event_time < '2026-11-20 12:00' and event_name = 'page'";
  const explained = await (await rig.post({ sql, explain: true })).json();
  expect(explained).toMatchObject({
    route: "engine",
    files: 3,
    pruned: { table_files: 6, by_time: 3, by_name: 0, by_bounds: 0, by_filter: 8 },
  });
  const { dollars, requests } = explained as { dollars: number; requests: number };
  expect(dollars).toBeGreaterThan(requests * 0.36e-6);
  const { stats } = await rig.sql(sql);
  expect(stats.dollars).toBeGreaterThan(0);
  expect(stats.dollars).toBeLessThan(0.001);
});
