/**
 * `npm run bench:counts`: counts over two years, asked by SQL of the rollups and, the same statements, of an engine over the files.
 * Every answer of the one is checked against the other's. `--quick` asks each fewer times.
 *
 * A quarter as many as are timed warm up. What an engine took is printed for scale: both run on one machine, over files on
 * its disk.
 */
import type { EventRow } from "../r2-layout/event-columns.ts";
import { DAY_MS, HOUR_MS } from "../r2-layout/limits.ts";
import { lakeFile, type SqlAnswer, startRig } from "../test/workers/query/rig.ts";
import { FIRST_DAY_US, shopRows } from "../test/workers/query/shop-rows.ts";
import { quantile } from "./bench/figures.ts";

const DAYS = 730;
const FILES = 10;
const EVENTS = 12_000;
const ASKED = process.argv.includes("--quick") ? 10 : 50;
const START = Math.floor(Date.now() / DAY_MS) * DAY_MS - DAYS * DAY_MS;

const day = (n: number) => `timestamp '${new Date(START + n * DAY_MS).toISOString().slice(0, 19).replace("T", " ")}'`;
const STATEMENTS: Record<string, string> = {
  "all of two years": "select count(*) as n from events",
  "two years by day": "select event_time::date as d, count(*) as n from events group by 1 order by 1",
  "two years by month and name":
    "select date_trunc('month', event_time) as m, event_name, count(*) as n from events group by 1, 2 order by 1, 2",
  "a month by hour, one country": `select date_trunc('hour', event_time) as h, count(*) as n from events
    where event_time >= ${day(600)} and event_time < ${day(630)} and country = 'DE' group by 1 order by 1`,
  "a week by page, the top": `select page_path, count(*) as n from events
    where event_time >= ${day(700)} and event_time < ${day(707)} and page_path is not null group by 1 order by 2 desc, 1 limit 10`,
};

const rig = await startRig({ rollups: true });
try {
  for (let file = 0; file < FILES; file++) {
    const rows = [...eventsOf(file)];
    await rig.roll(rows);
    await rig.commit([await lakeFile("events", rows)]);
  }
  console.log(`${(FILES * EVENTS).toLocaleString("en")} events over ${DAYS} days, each statement ${ASKED} times\n`);
  console.log("statement                       rows   rollups p50    p95   engine p50    p95");
  let worst = 0;
  for (const [name, sql] of Object.entries(STATEMENTS)) {
    const counted = await timed(sql, {}, "rollups");
    const run = await timed(sql, { route: "engine" }, "engine");
    if (JSON.stringify(counted.answer.rows) !== JSON.stringify(run.answer.rows))
      throw new Error(`${name}: not the same`);
    worst = Math.max(worst, quantile(counted.ms, 0.95));
    const figures = [counted.ms, run.ms].map((ms) => `${ms1(quantile(ms, 0.5))} ${ms1(quantile(ms, 0.95))}`);
    console.log(`${name.padEnd(30)} ${String(counted.answer.rows.length).padStart(5)}     ${figures.join("     ")}`);
  }
  console.log(`\nslowest p95: ${worst.toFixed(1)} ms`);
} finally {
  await rig.stop();
}

function* eventsOf(file: number): Generator<EventRow> {
  for (const row of shopRows({ seed: file, rows: EVENTS, firstDay: 0, days: DAYS })) {
    // On whole half hours: so many minutes as there are hours, twice.
    const ms = START + Math.floor((row.event_time - FIRST_DAY_US) / 1_000 / (HOUR_MS / 2)) * (HOUR_MS / 2);
    yield { ...row, event_time: ms * 1_000 };
  }
}

/** Milliseconds from the request to the end of the answer. @throws Error where another answered */
async function timed(sql: string, more: object, route: string): Promise<{ ms: number[]; answer: SqlAnswer }> {
  let answer = await rig.sql(sql, { ...more });
  const ms: number[] = [];
  for (let i = 0; i < ASKED * 1.25; i++) {
    const began = performance.now();
    answer = await rig.sql(sql, { ...more });
    if (i >= ASKED / 4) ms.push(performance.now() - began);
    if (answer.stats?.route !== route) throw new Error(`${sql}: ${JSON.stringify(answer)}`);
  }
  return { ms, answer };
}

function ms1(value: number): string {
  return value.toFixed(1).padStart(8);
}
