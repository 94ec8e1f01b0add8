/** Pruning never changes an answer: drawn statements with it, without it, and by native DuckDB over the same files. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { mergeFiles } from "../../../r2-layout/parquet-merge.ts";
import { parquetModule } from "../../r2-layout/parquet-module.ts";
import { reaching } from "../../reaching.ts";
import { statement } from "./equivalence-statements.ts";
import { type Native, nativeDuckDb } from "./native.ts";
import { type LakeFile, lakeFile, type QueryRig, type SqlAnswer, startRig } from "./rig.ts";
import { shopRows } from "./shop-rows.ts";

/** More by EQUIVALENCE_RUNS: thousands take minutes. */
const RUNS = Number(process.env.EQUIVALENCE_RUNS ?? 60);
const SEED = process.env.EQUIVALENCE_SEED;

/** Bundling and starting, on a machine that is busy with other things. */
const SETUP_MS = 180_000;

let rig: QueryRig;
let native: Native;

beforeAll(async () => {
  rig = await startRig({ unpruned: true });
  const file = (seed: number, rows: number, firstDay: number, days: number) =>
    lakeFile("events", [...shopRows({ seed, rows, firstDay, days, users: 90 })]);
  const files = [
    await file(1, 700, 0, 1),
    await file(2, 400, 2, 1),
    // Of many days: a row group for each.
    await file(3, 1_500, 0, 8),
    // With Bloom filters.
    await compacted([await file(4, 1_500, 1, 1), await file(5, 1_200, 1, 1)]),
    await compacted([await file(6, 2_500, 3, 1)]),
  ];
  const { paths } = await rig.commit(files);
  native = await nativeDuckDb(paths);
}, SETUP_MS);

afterAll(async () => {
  native?.close();
  await rig?.stop();
});

async function compacted(files: readonly LakeFile[]): Promise<LakeFile> {
  const inputs = files.map(({ bytes, facts }) => ({
    bytes: bytes.length,
    minTime: facts.minTime,
    maxTime: facts.maxTime,
    read: async (start: number, end: number) => bytes.slice(start, end),
  }));
  const request = { table: "events", columns: EVENT_COLUMNS, inputs, own: () => new Set<string>() } as const;
  const { files: made } = await mergeFiles<LakeFile>(parquetModule, request, async () => {
    const pieces: Uint8Array[] = [];
    return {
      append: async (bytes) => void pieces.push(bytes.slice()),
      close: async (facts) => ({ bytes: new Uint8Array(Buffer.concat(pieces)), facts }),
      abort: async () => {},
    };
  });
  return made[0]!;
}

const sorted = (rows: readonly unknown[][]): string[] => rows.map((row) => JSON.stringify(row)).sort();

it("answers a drawn statement the same with pruning, without it, and as native DuckDB does", async () => {
  await reaching(
    async () => {
      let pruned = 0;
      let refused = 0;
      await fc.assert(
        fc.asyncProperty(statement, async (sql) => {
          const [ours, theirs] = await Promise.all([
            rig.sql(sql),
            native.rows(sql).catch((error: Error) => ({ error: error.message })),
          ]);
          if ("error" in theirs) {
            // What newer DuckDB does not bind: nothing to compare with.
            refused++;
            return;
          }
          const response = await rig.post({ sql }, { headers: { "x-unpruned": "1" } });
          const whole = (await response.json()) as SqlAnswer;
          if (ours.detail !== undefined && ours.detail === whole.detail) {
            refused++;
            return;
          }
          expect({ detail: ours.detail }).toEqual({ detail: whole.detail });
          expect(sorted(ours.rows)).toEqual(sorted(whole.rows));
          expect(sorted(ours.rows)).toEqual(sorted(theirs));
          expect(ours.stats.bytes_needed).toBeLessThanOrEqual(whole.stats.bytes_needed);
          if (ours.stats.bytes_needed < whole.stats.bytes_needed) pruned++;
        }),
        { numRuns: RUNS, ...(SEED !== undefined && { seed: Number(SEED) }) },
      );
      console.log(`${RUNS} statements: ${pruned} read less, ${refused} were refused by either engine`);
      return {
        "a statement that reads less": pruned > 0,
        "statements of which both engines answer three in four": refused < RUNS / 4,
      };
    },
    SEED === undefined ? 5 : 1,
  );
});

it("leaves out what cannot matter through subqueries, WITH entries and joins", async () => {
  const day = "event_time >= '2026-11-23' and event_time < '2026-11-24'";
  const { stats: plain } = await rig.sql(`select count(country) from events where ${day}`);
  expect(plain.files).toBe(2);
  for (const sql of [
    `select count(country) from (select * from events) where ${day}`,
    `with c as (select event_time, country from events) select count(country) from c where ${day}`,
    `with c as (select event_time as t, country from events), d as (select t as event_time, country from c) select count(country) from d where ${day}`,
    `select count(a.country) from events a join events b using (event_id) where a.${day.replace("and ", "and a.")} and b.${day.replace("and ", "and b.")}`,
  ]) {
    const { stats, detail } = await rig.sql(sql);
    expect([sql, detail, stats.files]).toEqual([sql, undefined, plain.files]);
  }
});

it("reads no column of who is in none of the Bloom filters, and DuckDB asks for none", async () => {
  const sql = "select count(*), max(revenue) from events where user_id = 'user-none' and event_time >= '2026-11-23'";
  const explained = await (await rig.post({ sql, explain: true })).json();
  expect(explained).toMatchObject({ files: 2 });
  const { rows, stats } = await rig.sql(sql);
  expect(rows).toEqual([[0, null]]);
  expect(stats.fallback_reads).toBe(0);
});
