/**
 * `npm run bench:dedup`: what the dedup window takes for a million ids, 7 and 30 days long, in workerd with SQLite on disk
 * and all upkeep of the time: bytes of disk and memory, rows, processor time, and money by list price.
 *
 * Baseline, in the same run: a row for each id with an index by day, the least code that is exact. At the end ids of the whole
 * window are looked up, and as many that were never there: a wrong answer ends the benchmark. The days are small (BENCH_IDS,
 * 40,000 ids each) so that 30 of them pass in seconds; figures for an id do not depend on it, memory stops at its bound.
 */
import "./local/runtime-flags.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { LOG } from "../r2-layout/limits.ts";
import type { DedupFigures, DedupRun } from "./bench/dedup-worker.ts";
import { count } from "./bench/figures.ts";
import { bundleWorker } from "./local/bundle.ts";
import { v4Modules } from "./local/v4-worker.ts";

const PORT = Number(process.env.BENCH_PORT ?? 8818);
const IDS_PER_DAY = Number(process.env.BENCH_IDS ?? 40_000);
const IDS_PER_COMMIT = 1_000;
/** List prices: a million rows written, and a gigabyte for a month. */
const ROWS_PRICE = 1;
const GIGABYTE_MONTH_PRICE = 0.2;
const MILLION = 1e6;

async function measure(path: "/window" | "/rows", days: number): Promise<DedupFigures> {
  const run: DedupRun = { days, idsPerDay: IDS_PER_DAY, idsPerCommit: IDS_PER_COMMIT };
  // Not over a connection that is kept: after the seconds of a run its other end may be gone.
  const response = await miniflare.dispatchFetch(`http://127.0.0.1:${PORT}${path}`, {
    method: "POST",
    body: JSON.stringify(run),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  const figures = (await response.json()) as DedupFigures;
  if (figures.wrong > 0) throw new Error(`${path}, ${days} days: ${figures.wrong} wrong answers`);
  const least = days * IDS_PER_DAY;
  if (figures.owned < least || figures.owned > least + 2 * IDS_PER_DAY) {
    throw new Error(`${path}, ${days} days: ${figures.owned} ids are owned, not ${least} or a day more`);
  }
  return figures;
}

/** What a million ids take, and cost for as long as they are owned. */
function perMillion(
  { inserted, owned, rowsWritten, databaseBytes, memoryBytes, insertMs }: DedupFigures,
  days: number,
) {
  const diskBytes = (databaseBytes / owned) * MILLION;
  const rows = (rowsWritten / inserted) * MILLION;
  // A day more than the window: runs are dropped whole.
  const dollars = (rows / MILLION) * ROWS_PRICE + (diskBytes / 1e9) * GIGABYTE_MONTH_PRICE * ((days + 1) / 30);
  const memory = Math.min((memoryBytes / owned) * MILLION, LOG.idMemoryBytes);
  return { diskBytes, memory, rows, dollars, seconds: (insertMs / 1_000 / inserted) * MILLION };
}

function report(name: string, figures: DedupFigures, days: number): ReturnType<typeof perMillion> {
  const each = perMillion(figures, days);
  console.log(
    `  ${name.padEnd(14)} disk ${(each.diskBytes / MILLION).toFixed(1)} bytes an id, memory ${(each.memory / MILLION).toFixed(1)}; ` +
      `a million: ${count(each.rows)} rows, ${each.seconds.toFixed(1)} s, $${each.dollars.toFixed(4)}; ` +
      `a look-up ${((1_000 * figures.lookUpMs) / figures.lookUps).toFixed(1)} µs`,
  );
  return each;
}

const folder = mkdtempSync(join(tmpdir(), "eventpile-bench-dedup-"));
const modules = await bundleWorker({
  entry: 'export * from "./scripts/bench/dedup-worker.ts"; export { default } from "./scripts/bench/dedup-worker.ts";',
  folder: process.cwd(),
  name: "dedup-worker",
});
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: PORT,
    cf: {},
    name: "dedup",
    ...v4Modules(modules),
    compatibilityDate: "2026-08-15",
    compatibilityFlags: ["nodejs_compat"],
    durableObjects: { DEDUP: { className: "Dedup", useSQLite: true } },
  }),
  resourcePersistencePath: folder,
});
try {
  await miniflare.ready;
  for (const days of [LOG.dedupWindowDaysMin, LOG.dedupWindowDaysMax]) {
    const window = await measure("/window", days);
    console.log(`${days} days, ${count(window.owned)} ids owned of ${count(window.inserted)}:`);
    const own = report("window", window, days);
    // Of 7 days only: 30 would take a minute, and a row is a row.
    if (days === LOG.dedupWindowDaysMin) {
      const rows = report("a row an id", await measure("/rows", days), days);
      console.log(
        `  to a row an id: ${(own.diskBytes / rows.diskBytes).toFixed(2)} of the disk, ${(own.dollars / rows.dollars).toFixed(4)} of the money`,
      );
    }
    const idsASecond = 10e9 / (own.diskBytes / MILLION) / ((days + 1) * 86_400);
    console.log(
      `  10 GB of an object hold ${count(idsASecond)} ids a second for good, memory at most ${LOG.idMemoryBytes / 2 ** 20} MiB`,
    );
  }
  console.log("checked: each id of the window is owned, no other is");
} finally {
  await miniflare.dispose();
  rmSync(folder, { recursive: true, force: true });
}
