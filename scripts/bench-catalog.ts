/**
 * `npm run bench:catalog`: what a plan and a commit take while the catalog holds 100,000 files (BENCH_FILES): two years,
 * each day compacted into files of one event name and files that many names share, today in fresh ones. In workerd with
 * SQLite on disk; the times are those of a Worker's caller, with one HTTP request around each.
 *
 * And a statement that reads three columns of all of them (73,000 where BENCH_FILES=73000): what it would read, added up
 * inside the catalog, and from which day on it would fit; compared with the same sums over the list.
 *
 * Baseline, in the same run: the same plan by a catalog that holds the asked days' files and no others, and a commit to
 * an empty one. Every plan is compared with the list of files that was made for it.
 */
import "./local/runtime-flags.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import type { PlanRequest, ScanTotals } from "../durable-objects/lake-catalog/api.ts";
import type { EventRow } from "../r2-layout/event-columns.ts";
import { EVENT_COLUMNS } from "../r2-layout/event-columns.ts";
import { SQL } from "../r2-layout/limits.ts";
import { approachOf, columnRuns } from "../r2-layout/scan-policy.ts";
import { isBounded } from "../r2-layout/statistics.ts";
import { DAY_US } from "../r2-layout/time.ts";
import type { FileSketch, Fill } from "./bench/catalog-worker.ts";
import { count, expectEqual, quantile } from "./bench/figures.ts";
import { bundleWorker } from "./local/bundle.ts";
import { v4Modules } from "./local/v4-worker.ts";

const PORT = Number(process.env.BENCH_PORT ?? 8819);
const FILES = Number(process.env.BENCH_FILES ?? 100_000);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 30);
const DAYS = 730;
const NAMES = Array.from({ length: 40 }, (_, i) => `Event Number ${String(i).padStart(2, "0")}`);
const FIRST_DAY_US = Date.UTC(2024, 10, 23) * 1_000;
const FILES_PER_COMMIT = 50;
/** One file in so many is shared by all rare names. */
const SHARED_EVERY = 10;
const FRESH_FILES = 300;
const COMMITS = 200;

/** Bounds as long as a true file has them. */
const COLUMNS: Fill["columns"] = Object.fromEntries(
  Object.entries(EVENT_COLUMNS)
    .filter(([name, column]) => isBounded(name, column))
    .map(([name, { type }]) => [
      name,
      type === "utf8"
        ? { nulls: 10, min: `${name} aaaaaaaaaaaaaaaa`, max: `${name} zzzzzzzzzzzzzzzz` }
        : { nulls: 10, min: 1_000_000, max: 9_000_000_000_000 },
    ]),
) satisfies Partial<Record<keyof EventRow, unknown>>;

function sketches(): FileSketch[] {
  const perDay = Math.floor((FILES - FRESH_FILES) / (DAYS - 1));
  const files: FileSketch[] = [];
  for (let day = 0; day < DAYS; day++) {
    const isToday = day === DAYS - 1;
    const many = isToday ? FILES - files.length : perDay;
    for (let i = 0; i < many; i++) {
      const minTime = FIRST_DAY_US + day * DAY_US + (isToday ? Math.floor((i * DAY_US) / many / 2) : i);
      files.push({
        minTime,
        maxTime: isToday ? minTime + 5_000_000 : FIRST_DAY_US + (day + 1) * DAY_US - 1 - i,
        bytes: 1_000_000 + i,
        rows: 10_000 + i,
        name: isToday || i % SHARED_EVERY === 0 ? null : NAMES[i % NAMES.length]!,
        isFresh: isToday,
        chunks: chunksOf(1_000_000 + i, i),
      });
    }
  }
  return files;
}

/** A file's bytes shared out among its columns, unevenly. */
function chunksOf(bytes: number, seed: number): NonNullable<FileSketch["chunks"]> {
  const names = Object.keys(EVENT_COLUMNS);
  const data = bytes - 4_500;
  const columns = Object.fromEntries(
    names.map((name, i) => [name, Math.floor((data / 1_100) * ((i * 7 + seed) % 43))]),
  );
  return { footer: 4_500, rowGroups: 1 + (seed % 3), columns };
}

/** What a cold scan of the columns reads of a file. */
function readBytes({ bytes, chunks }: FileSketch, wanted: ReadonlySet<string>): number {
  const { footer, rowGroups, columns } = chunks!;
  if (approachOf(bytes, chunks!) !== "columns") return bytes;
  const sizes = Object.values(columns);
  const runs = columnRuns(
    Object.keys(columns).map((name) => wanted.has(name)),
    sizes,
    rowGroups,
  );
  return footer + runs.flatMap(([first, last]) => sizes.slice(first, last + 1)).reduce((sum, size) => sum + size, 0);
}

const folder = mkdtempSync(join(tmpdir(), "eventpile-bench-catalog-"));
const modules = await bundleWorker({
  entry:
    'export * from "./scripts/bench/catalog-worker.ts"; export { default } from "./scripts/bench/catalog-worker.ts";',
  folder: process.cwd(),
  name: "catalog-worker",
});
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: PORT,
    cf: {},
    name: "catalog",
    ...v4Modules(modules),
    compatibilityDate: "2026-08-15",
    compatibilityFlags: ["nodejs_compat"],
    durableObjects: { CATALOG: { className: "BenchCatalog", useSQLite: true } },
  }),
  resourcePersistencePath: folder,
});

interface Digest {
  readonly scan?: ScanTotals & { readonly fitsFrom?: number };
  readonly files: number;
  readonly rows: number;
  readonly matched: { readonly files: number; readonly rows: number };
}

async function post<T>(path: string, object: string, body: unknown): Promise<T> {
  const url = `http://127.0.0.1:${PORT}${path}?object=${object}`;
  const response = await miniflare.dispatchFetch(url, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

/** @returns milliseconds of each commit. */
async function fill(object: string, files: readonly FileSketch[], perCommit: number): Promise<number[]> {
  const times: number[] = [];
  for (let at = 0; at < files.length; at += perCommit) {
    const body: Fill = { files: files.slice(at, at + perCommit), names: NAMES.slice(0, 20), columns: COLUMNS };
    const start = performance.now();
    await post("/fill", object, body);
    times.push(performance.now() - start);
  }
  return times;
}

interface Question {
  readonly name: string;
  readonly request: PlanRequest;
  readonly wanted: (file: FileSketch) => boolean;
}

const dayRange = (day: number, days = 1) => ({
  from: FIRST_DAY_US + day * DAY_US,
  to: FIRST_DAY_US + (day + days) * DAY_US,
});
const within =
  ({ from, to }: { from: number; to: number }) =>
  (file: FileSketch) =>
    file.maxTime >= from && file.minTime < to;

const YEAR = dayRange(300, 365);
const ONE_DAY = dayRange(400);
/** All 730 days, three columns: too much for one isolate. */
const SCANNED = ["event_name", "country", "revenue"];
const EVERYTHING: PlanRequest = {
  table: "events",
  filesMax: SQL.filesPerStatement,
  scan: {
    columns: SCANNED,
    atMost: { chunkBytes: SQL.scanBytes, files: SQL.filesPerStatement, requests: SQL.readsPerStatement },
  },
};
/** Of DESIGN.md and of the issue. */
const TOO_LARGE_BUDGET_MS = 300;

const QUESTIONS: Question[] = [
  { name: "one day", request: { table: "events", ...ONE_DAY }, wanted: within(ONE_DAY) },
  { name: "today", request: { table: "events", ...dayRange(DAYS - 1) }, wanted: within(dayRange(DAYS - 1)) },
  {
    name: "one day, a column",
    request: { table: "events", ...ONE_DAY, equals: { country: ["country bbb"] } },
    wanted: within(ONE_DAY),
  },
  { name: "a year", request: { table: "events", ...YEAR, filesMax: SQL.filesPerStatement }, wanted: within(YEAR) },
  {
    name: "a year, one event name",
    request: { table: "events", ...YEAR, eventNames: [NAMES[25]!], filesMax: SQL.filesPerStatement },
    wanted: (file) => within(YEAR)(file) && file.name === NAMES[25],
  },
];

try {
  await miniflare.ready;
  const files = sketches();
  const fillMs = await fill("lake", files, FILES_PER_COMMIT);
  console.log(
    `${count(files.length)} files in ${count(fillMs.length)} commits of ${FILES_PER_COMMIT}: ` +
      `${quantile(fillMs, 0.5).toFixed(1)} ms each (median), the last tenth ${quantile(fillMs.slice(-fillMs.length / 10), 0.5).toFixed(1)} ms`,
  );
  for (const [index, { name, request, wanted }] of QUESTIONS.entries()) {
    const asked = files.filter(wanted);
    const small = `small-${index}`;
    await fill(small, asked, FILES_PER_COMMIT);
    const large = await timed("lake", request);
    const alone = await timed(small, request);
    const rows = asked.reduce((sum, file) => sum + file.rows, 0);
    expectEqual(
      `${name}: files, rows`,
      `${large.digest.matched.files}, ${large.digest.matched.rows}`,
      `${asked.length}, ${rows}`,
    );
    expectEqual(`${name}: files told`, large.digest.files, asked.length > SQL.filesPerStatement ? 0 : asked.length);
    console.log(
      `plan of ${name}: ${count(asked.length)} files, ${shown(large.ms)}; of a catalog that holds no others ${shown(alone.ms)}, ` +
        `${(quantile(large.ms, 0.5) / quantile(alone.ms, 0.5)).toFixed(2)} of it`,
    );
  }
  const everything = await timed("lake", EVERYTHING);
  const wanted = new Set(SCANNED);
  const scan = everything.digest.scan!;
  expectEqual(
    "everything: files, bytes that are read",
    `${scan.files}, ${scan.readBytes}`,
    `${files.length}, ${files.reduce((sum, file) => sum + readBytes(file, wanted), 0)}`,
  );
  const tooLargeMs = quantile(everything.ms, 0.95);
  console.log(
    `plan of everything, too large: ${count(scan.files)} files, ${(scan.readBytes / 1e9).toFixed(2)} GB in ${count(scan.requests)} reads, ` +
      `${shown(everything.ms)} (${tooLargeMs <= TOO_LARGE_BUDGET_MS ? "within" : "OVER"} the budget of ${TOO_LARGE_BUDGET_MS} ms); ` +
      `fits from ${scan.fitsFrom === undefined ? "no day" : new Date(scan.fitsFrom / 1_000).toISOString().slice(0, 10)} on`,
  );
  const fresh = Array.from({ length: COMMITS }, (_, i) => ({ ...files.at(-1)!, minTime: files.at(-1)!.minTime + i }));
  const empty = await fill("empty", fresh, 1);
  const full = await fill("lake", fresh, 1);
  console.log(
    `commit of a file: ${shown(full)}; to an empty catalog ${shown(empty)}, ` +
      `${(quantile(full, 0.5) / quantile(empty, 0.5)).toFixed(2)} of it`,
  );
} finally {
  await miniflare.dispose();
  rmSync(folder, { recursive: true, force: true });
}

async function timed(object: string, request: PlanRequest): Promise<{ ms: number[]; digest: Digest }> {
  const ms: number[] = [];
  let digest!: Digest;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    digest = await post<Digest>("/plan", object, request);
    ms.push(performance.now() - start);
  }
  return { ms, digest };
}

function shown(ms: readonly number[]): string {
  return `${quantile(ms, 0.5).toFixed(1)} ms (p95 ${quantile(ms, 0.95).toFixed(1)})`;
}
