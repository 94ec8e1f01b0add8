/**
 * `npm run bench:sql`: the query Worker in workerd over 2,000,000 events in files as the lake sink writes them, against
 * native DuckDB with one thread over the same files in the same run. Every answer is compared with native's first.
 *
 * Cold: the engine was thrown away and nothing is in memory. Warm: median of `RUNS`. Ours is the Worker's time, from the
 * request's coming to the result's last row: planning, the catalog and the budget are in it, the local HTTP proxy is not;
 * what a client sees stands beside it. Bytes needed are the footers and column chunks of the row groups that can matter.
 */

import { SQL } from "../r2-layout/limits.ts";
import { type Native, nativeDuckDb } from "../test/workers/query/native.ts";
import { lakeFile, type QueryRig, type SqlAnswer, startRig } from "../test/workers/query/rig.ts";
import { shopRows } from "../test/workers/query/shop-rows.ts";
import { quantile } from "./bench/figures.ts";

const ROWS = Number(process.env.BENCH_ROWS ?? 2_000_000);
const FILE_ROWS = 200_000;
const RUNS = 11;

const STATEMENTS: Record<string, string> = {
  "count all": "select count(*) from events",
  "by event name": "select event_name, count(*) n from events group by 1 order by 1",
  "distinct users": "select count(distinct user_id) from events",
  "country and hour":
    "select country, date_trunc('hour', event_time) h, count(*) n from events group by 1, 2 order by 1 nulls last, 2",
  "top pages":
    "select page_path, count(*) n from events where event_name = 'page' group by 1 order by n desc, 1 limit 10",
  "revenue by day":
    "select event_time::date d, count(*) n, round(sum(revenue), 2) r from events where event_name = 'Order Completed' group by 1 order by 1",
  "one day":
    "select device_type, count(*) n from events where event_time >= '2026-11-22' and event_time < '2026-11-23' group by 1 order by 1",
  "a property":
    "select properties['sku'][1] sku, count(*) n from events where event_name = 'Product Viewed' group by 1 order by 1 nulls last",
  "sessions with an order":
    "select count(*), round(avg(n), 3) from (select session_id, count(*) n, max(case when event_name = 'Order Completed' then 1 else 0 end) o from events group by 1) where o = 1",
  "a user's last events":
    "select event_time, event_name, page_path, revenue from events where user_id = 'user-77' order by event_time desc, event_id limit 20",
};

interface Measured {
  readonly name: string;
  readonly coldMs: number;
  readonly warmMs: number;
  readonly warmP95Ms: number;
  /** As a client sees it. */
  readonly clientMs: number;
  readonly nativeMs: number;
  /** Of the quickest runs: what noise of the machine leaves. */
  readonly bestRatio: number;
  readonly cold: SqlAnswer["stats"];
  readonly heldBytes: number;
}

async function main(): Promise<void> {
  const rig = await startRig();
  let native: Native | null = null;
  try {
    const paths = await fill(rig);
    native = await nativeDuckDb(paths);
    await rig.sql("select 1");
    const boots: number[] = [];
    const measured: Measured[] = [];
    for (const [name, sql] of Object.entries(STATEMENTS)) measured.push(await measure(rig, native, name, sql, boots));
    report(measured, boots);
  } finally {
    native?.close();
    await rig.stop();
  }
}

/** @returns the files' paths for native DuckDB. */
async function fill(rig: QueryRig): Promise<string[]> {
  const paths: string[] = [];
  const began = performance.now();
  let bytes = 0;
  for (let file = 0; file * FILE_ROWS < ROWS; file++) {
    const rows = Math.min(FILE_ROWS, ROWS - file * FILE_ROWS);
    const built = await lakeFile("events", [...shopRows({ seed: file, rows, firstDay: file, days: 1, users: 10_000 })]);
    bytes += built.bytes.length;
    paths.push(...(await rig.commit([built])).paths);
  }
  const seconds = ((performance.now() - began) / 1_000).toFixed(0);
  console.log(
    `${ROWS.toLocaleString("en")} events in ${paths.length} files, ${mib(bytes)} MiB, written in ${seconds} s\n`,
  );
  return paths;
}

async function measure(rig: QueryRig, native: Native, name: string, sql: string, boots: number[]): Promise<Measured> {
  const expected = await native.rows(sql);
  for (let engine = 0; engine < SQL.engines; engine++) await rig.engine(engine).reset();
  const cold = await rig.sql(sql);
  if (cold.status !== 200) throw new Error(`${name}: ${JSON.stringify(cold)}`);
  if (JSON.stringify(cold.rows) !== JSON.stringify(expected)) {
    throw new Error(`${name}: not what native DuckDB says\n${JSON.stringify(cold.rows)}\n${JSON.stringify(expected)}`);
  }
  boots.push(cold.stats.boot_ms);
  await rig.sql(sql);
  await native.rows(sql);
  const [ours, client, theirs]: [number[], number[], number[]] = [[], [], []];
  let heldBytes = cold.stats.heap_bytes + cold.stats.page_bytes;
  // In turns, so that a noisy moment of the machine meets both.
  for (let run = 0; run < RUNS; run++) {
    const [ms, answer] = await timed(() => rig.sql(sql));
    ours.push(answer.stats.elapsed_ms);
    client.push(ms);
    heldBytes = Math.max(heldBytes, answer.stats.heap_bytes + answer.stats.page_bytes);
    theirs.push((await timed(() => native.rows(sql)))[0]);
  }
  return {
    name,
    coldMs: cold.stats.elapsed_ms,
    warmMs: quantile(ours, 0.5),
    warmP95Ms: quantile(ours, 0.95),
    clientMs: quantile(client, 0.5),
    nativeMs: quantile(theirs, 0.5),
    bestRatio: Math.min(...ours) / Math.min(...theirs),
    cold: cold.stats,
    heldBytes,
  };
}

function report(measured: readonly Measured[], boots: readonly number[]): void {
  console.log(
    "statement                 cold ms  warm ms    p95  client  native  ratio  waves requests  read MiB  needed  read/needed  unforeseen",
  );
  for (const { name, coldMs, warmMs, warmP95Ms, clientMs, nativeMs, cold } of measured) {
    const cells = [
      name.padEnd(24),
      coldMs.toFixed(0).padStart(8),
      warmMs.toFixed(0).padStart(8),
      warmP95Ms.toFixed(0).padStart(6),
      clientMs.toFixed(0).padStart(7),
      nativeMs.toFixed(0).padStart(7),
      (warmMs / nativeMs).toFixed(2).padStart(6),
      String(cold.waves).padStart(6),
      String(cold.requests).padStart(8),
      mib(cold.bytes_read).padStart(9),
      mib(cold.bytes_needed).padStart(7),
      (cold.bytes_read / cold.bytes_needed).toFixed(2).padStart(12),
      String(cold.fallback_reads).padStart(11),
    ];
    console.log(cells.join(" "));
  }
  const mean = (ratioOf: (one: Measured) => number) =>
    Math.exp(measured.reduce((sum, one) => sum + Math.log(ratioOf(one)), 0) / measured.length);
  const sum = (of: (one: Measured) => number) => measured.reduce((total, one) => total + of(one), 0);
  const lines: [string, number, number, string][] = [
    ["warm, geometric mean of the ratios", mean((one) => one.warmMs / one.nativeMs), 2.5, "x native, one thread"],
    ["the same of the quickest runs", mean((one) => one.bestRatio), 2.5, "x native, one thread"],
    ["engine ready, median", quantile(boots, 0.5), 150, "ms"],
    ["sequential waves, most", Math.max(...measured.map(({ cold }) => cold.waves)), 3, ""],
    [
      "bytes read over needed, all",
      sum(({ cold }) => cold.bytes_read) / sum(({ cold }) => cold.bytes_needed),
      1.3,
      "x",
    ],
    ["DuckDB's heap and pages, most", Math.max(...measured.map(({ heldBytes }) => heldBytes)) / 1e6, 100, "MB"],
  ];
  console.log("");
  for (const [what, value, budget, unit] of lines) {
    const verdict = value <= budget ? "within" : "OVER";
    console.log(`${what.padEnd(36)} ${value.toFixed(2).padStart(8)} ${unit} (${verdict} the budget of ${budget})`);
  }
}

async function timed<T>(work: () => Promise<T>): Promise<[ms: number, result: T]> {
  const began = performance.now();
  const result = await work();
  return [performance.now() - began, result];
}

const mib = (bytes: number): string => (bytes / 1_024 / 1_024).toFixed(2);

await main();
