/**
 * `npm run bench:lake`: the lake sink in workerd, with R2 and SQLite on disk: segments in R2, decoded, to Arrow, to Parquet,
 * to R2, committed in the catalog.
 *
 * Baseline, in the same run and isolate: the spike that the budget comes from, 25,000 flat events of 320 bytes from JSON to
 * zstd Parquet in one go. The sink's path is also timed cut off after decoding and after building, to tell where time goes.
 * The rows are checked with DuckDB, which reads the files that the catalog names.
 */

import "./local/runtime-flags.ts";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import type { Plan } from "../durable-objects/lake-catalog/api.ts";
import { segmentKey } from "../r2-layout/keys.ts";
import { MiB } from "../r2-layout/limits.ts";
import { DERIVATION_VERSION, formatLogLine, propertiesOf } from "../r2-layout/log-line.ts";
import { encodeSegment, type SegmentRef } from "../r2-layout/segment.ts";
import { count, median, quantile } from "./bench/figures.ts";
import type { BenchStep } from "./bench/lake-worker.ts";
import { Random } from "./demo/random.ts";
import { bundleWorker } from "./local/bundle.ts";
import { v4Modules } from "./local/v4-worker.ts";

const PORT = Number(process.env.BENCH_PORT ?? 8839);
const BUDGET = 100_000;
const SEGMENT_EVENTS = 5_000;
const SEGMENTS_PER_STEP = 4;
const STEP_EVENTS = SEGMENT_EVENTS * SEGMENTS_PER_STEP;
const BASELINE_EVENTS = 25_000;
const WARM_UP = 3;
const STEPS = 12;
const NOW = Date.now();

const NAMES = ["page", "page", "page", "Product Viewed", "Product Added", "Checkout Started", "Order Completed"];
const COUNTRIES = ["DE", "US", "FR", "GB", "NL", "ES", "IT", "PL", "SE", "JP"];
const AGENTS = [
  { browser: "Chrome", browser_version: "142.0.0", os: "Windows", os_version: "11", device_type: "desktop" },
  { browser: "Safari", browser_version: "26.1", os: "iOS", os_version: "26.1", device_type: "mobile" },
  { browser: "Firefox", browser_version: "145.0", os: "Linux", os_version: null, device_type: "desktop" },
];

interface Truth {
  events: number;
  cents: number;
  readonly byName: Map<string, number>;
}

/** Log lines of a shop's browser events, about 1,000 bytes each: what an analytics library sends and the edge derives. */
function logLines(events: number, random: Random, truth: Truth): string[] {
  return Array.from({ length: events }, () => {
    const name = NAMES[random.int(0, NAMES.length - 1)]!;
    const visitor = random.int(1, 50_000);
    const product = random.int(1, 600);
    const ms = NOW - random.int(0, 60_000);
    const path = `/products/${product}`;
    const url = `https://shop.example${path}`;
    const cents = name === "Order Completed" ? random.int(100, 20_000) : null;
    const id = `ajs-next-${ms}-${random.int(1e8, 9e8)}-${random.int(1e8, 9e8)}`;
    const user = visitor % 3 === 0 ? `customer-${visitor}` : null;
    const anonymous = `4f1d${String(visitor).padStart(8, "0")}-9c1e-4b0a-8f00`;
    const page = { path, url, title: `Product ${product} – Shop`, referrer: "https://search.example/" };
    const raw = {
      type: name === "page" ? "page" : "track",
      event: name === "page" ? undefined : name,
      messageId: id,
      userId: user,
      anonymousId: anonymous,
      timestamp: new Date(ms).toISOString(),
      context: { library: { name: "analytics.js", version: "npm:next-1.84.3" }, locale: "de-DE", page },
      properties: { product_id: `sku-${product}`, price: 12.5 + (product % 40), currency: "EUR", list: "search" },
    };
    truth.events++;
    truth.cents += cents ?? 0;
    truth.byName.set(name, (truth.byName.get(name) ?? 0) + 1);
    return formatLogLine({
      raw,
      row: {
        event_id: id,
        event_name: name,
        event_type: raw.type,
        source: "shop",
        user_id: user,
        anonymous_id: anonymous,
        event_time: ms * 1_000,
        received_at: NOW * 1_000,
        sent_at: ms * 1_000 + 500,
        client_time: ms * 1_000,
        sdk: "analytics.js/npm:next-1.84.3",
        page_url: url,
        page_path: path,
        page_host: "shop.example",
        page_title: page.title,
        referrer: page.referrer,
        utm_source: visitor % 5 === 0 ? "newsletter" : null,
        locale: "de-DE",
        ...AGENTS[visitor % AGENTS.length]!,
        country: COUNTRIES[visitor % COUNTRIES.length]!,
        region: "Bavaria",
        city: visitor % 2 === 0 ? "München" : "Augsburg",
        revenue: cents === null ? null : cents / 100,
        currency: cents === null ? null : "EUR",
        properties: propertiesOf(raw),
      },
      d: DERIVATION_VERSION,
    });
  });
}

/** One JSON array of flat events of about 320 bytes. */
function flatEvents(events: number, random: Random): string {
  return JSON.stringify(
    Array.from({ length: events }, (_, i) => ({
      event_id: `${random.int(1e8, 9e8)}-${random.int(1e8, 9e8)}-${i}`,
      event_name: NAMES[random.int(0, NAMES.length - 1)],
      user_id: `customer-${random.int(1, 50_000)}`,
      anonymous_id: `4f1d${random.int(1e8, 9e8)}`,
      event_time: NOW * 1_000 + i,
      received_at: NOW * 1_000,
      page_url: `https://shop.example/products/${random.int(1, 600)}`,
      page_path: `/products/${random.int(1, 600)}`,
      country: COUNTRIES[random.int(0, 9)],
      browser: "Chrome",
      revenue: random.int(1, 100) / 4,
    })),
  );
}

async function post(path: string, body: string, events: number): Promise<number> {
  const started = performance.now();
  const response = await fetch(`http://127.0.0.1:${PORT}${path}`, { method: "POST", body });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  const answer = (await response.json()) as { events: number };
  const ms = performance.now() - started;
  if (answer.events !== events) throw new Error(`${path} saw ${answer.events} of ${events} events`);
  return ms;
}

const PATHS = ["baseline", "decode", "build", "lake"] as const;

/** Bytes. Outside the heap are ArrayBuffers and wasm memories. */
interface Heap {
  readonly usedSize: number;
  readonly backingStorageSize: number;
}

/**
 * The isolate's live memory while a step of the sink stands still with its rows and its first file in memory, read over the
 * inspector. Garbage is collected first: this machine would let it pile up to what it has, the platform to 128 MB, and
 * neither is what the work needs.
 */
async function heldHeap(inspector: URL, body: string): Promise<Heap> {
  const list = new URL("/json", `http://${inspector.host}`);
  const [target] = (await (await fetch(list)).json()) as { webSocketDebuggerUrl: string }[];
  const socket = new WebSocket(target!.webSocketDebuggerUrl);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
  });
  const call = (id: number, method: string) =>
    new Promise<unknown>((resolve) => {
      socket.addEventListener("message", ({ data }) => {
        const answer = JSON.parse(String(data)) as { id?: number; result?: unknown };
        if (answer.id === id) resolve(answer.result);
      });
      socket.send(JSON.stringify({ id, method }));
    });
  const step = post("/hold", body, STEP_EVENTS);
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${PORT}${path}`)).text();
  while ((await ask("/held")) !== "true") await new Promise((resolve) => setTimeout(resolve, 50));
  await call(1, "HeapProfiler.collectGarbage");
  const heap = (await call(2, "Runtime.getHeapUsage")) as Heap;
  // A step may have several files, each of them held.
  const release = setInterval(() => void ask("/release"), 50);
  await step.finally(() => clearInterval(release));
  socket.close();
  return heap;
}

async function run(miniflare: Miniflare, truth: Truth): Promise<void> {
  const random = new Random(20261122);
  const times: Record<(typeof PATHS)[number], number[]> = { baseline: [], decode: [], build: [], lake: [] };
  const flat = flatEvents(BASELINE_EVENTS, random);
  let lineBytes = 0;
  for (let step = 0; step < WARM_UP + STEPS; step++) {
    const { body, lineBytes: bytes } = await storedStep(miniflare, step, random, truth);
    lineBytes = bytes;
    // In turn, so that a slow moment of the machine meets all paths alike.
    for (const path of PATHS) {
      const baseline = path === "baseline";
      const ms = await post(`/${path}`, baseline ? flat : body, baseline ? BASELINE_EVENTS : STEP_EVENTS);
      if (step >= WARM_UP) times[path].push(ms);
    }
  }
  report(times, flat.length / BASELINE_EVENTS, lineBytes);

  const { body } = await storedStep(miniflare, WARM_UP + STEPS, random, truth);
  const heap = await heldHeap(await miniflare.getInspectorURL(), body);
  const { wasm } = (await (await fetch(`http://127.0.0.1:${PORT}/memory`)).json()) as { wasm: number };
  const mib = (bytes: number) => `${(bytes / MiB).toFixed(1)} MiB`;
  console.log(
    `memory: encoder ${mib(wasm)} at its peak, the baseline's one go included; with a step held, live heap ` +
      `${mib(heap.usedSize)}, buffers and wasm ${mib(heap.backingStorageSize)}`,
  );
}

/** One step's segments in R2, and the request that names them. */
async function storedStep(miniflare: Miniflare, step: number, random: Random, truth: Truth) {
  const bucket = await miniflare.getR2Bucket("BUCKET");
  const segments: SegmentRef[] = [];
  let lineBytes = 0;
  for (let i = 1; i <= SEGMENTS_PER_STEP; i++) {
    const lines = logLines(SEGMENT_EVENTS, random, truth);
    lineBytes = lines.reduce((sum, line) => sum + line.length, 0) / lines.length;
    const body = encodeSegment(lines);
    const seq = step * SEGMENTS_PER_STEP + i;
    const key = segmentKey({ receivedAtUs: NOW * 1_000, shard: 0, ulid: String(seq).padStart(26, "0") });
    await bucket.put(key, body);
    segments.push({
      seq,
      key,
      bytes: body.length,
      events: SEGMENT_EVENTS,
      quarantined: 0,
      minReceivedAt: NOW * 1_000,
      maxReceivedAt: NOW * 1_000,
      committedAt: NOW,
    });
  }
  return { body: JSON.stringify({ segments } satisfies BenchStep), lineBytes };
}

function report(times: Record<(typeof PATHS)[number], number[]>, flatBytes: number, lineBytes: number): void {
  const rate: Partial<Record<string, number>> = {};
  console.log(`baseline: ${count(BASELINE_EVENTS)} flat events of ${count(flatBytes)} bytes a request`);
  console.log(
    `others: ${count(STEP_EVENTS)} events, log lines of ${count(lineBytes)} bytes, ${SEGMENTS_PER_STEP} segments`,
  );
  for (const path of PATHS) {
    const events = path === "baseline" ? BASELINE_EVENTS : STEP_EVENTS;
    rate[path] = (events / median(times[path])) * 1_000;
    const best = (events / Math.min(...times[path])) * 1_000;
    console.log(
      `  ${path.padEnd(8)} median ${median(times[path]).toFixed(0)} ms, p95 ${quantile(times[path], 0.95).toFixed(0)} ms, ` +
        `${count(rate[path]!)} events/s (best ${count(best)})`,
    );
  }
  const reached = rate.lake! / BUDGET;
  const perByte = (rate.lake! * lineBytes) / (rate.baseline! * flatBytes);
  console.log(
    `lake to baseline: ${(rate.lake! / rate.baseline!).toFixed(2)} of its events/s, ${perByte.toFixed(2)} of its bytes of JSON/s`,
  );
  console.log(`budget ${count(BUDGET)} events/s: ${(100 * reached).toFixed(0)} % ${reached >= 1 ? "met" : "MISSED"}`);
}

/** DuckDB reads what the catalog names. */
async function check(miniflare: Miniflare, truth: Truth, folder: string): Promise<void> {
  const plan = (await (await fetch(`http://127.0.0.1:${PORT}/plan`)).json()) as Plan;
  const bucket = await miniflare.getR2Bucket("BUCKET");
  let bytes = 0;
  for (const [i, file] of plan.files.entries()) {
    const body = await (await bucket.get(file.key))!.arrayBuffer();
    bytes += body.byteLength;
    writeFileSync(join(folder, `${i}.parquet`), new Uint8Array(body));
  }
  const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
  const files = `read_parquet('${folder}/*.parquet')`;
  const [total] = (
    await duckdb.runAndReadAll(
      `select count(*), count(distinct event_id), round(sum(revenue) * 100), count(properties['product_id']) from ${files}`,
    )
  ).getRows();
  const names = (
    await duckdb.runAndReadAll(`select event_name, count(*) from ${files} group by all order by all`)
  ).getRows();
  duckdb.closeSync();
  expectEqual("rows, distinct ids, cents, rows with a product", total!.map(Number), [
    truth.events,
    truth.events,
    truth.cents,
    truth.events,
  ]);
  expectEqual(
    "events by name",
    names.map(([name, events]) => [name, Number(events)]),
    [...truth.byName].sort(),
  );
  console.log(`${plan.files.length} files, ${(bytes / truth.events).toFixed(1)} bytes an event`);
}

function expectEqual(what: string, found: unknown, wanted: unknown): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (one !== other) throw new Error(`${what}: ${one}, expected ${other}`);
  console.log(`checked by DuckDB: ${what}`);
}

const stateDir = mkdtempSync(join(tmpdir(), "lake-bench-"));
const parquetDir = mkdtempSync(join(tmpdir(), "lake-bench-files-"));
const modules = await bundleWorker({
  entry: `export * from "./lake-worker.ts"; export { default } from "./lake-worker.ts";`,
  folder: new URL("bench", import.meta.url).pathname,
  name: "bench-lake",
});
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: PORT,
    inspectorPort: 0,
    cf: {},
    workers: [
      {
        name: "bench-lake",
        ...v4Modules(modules),
        compatibilityDate: "2026-08-15",
        compatibilityFlags: ["nodejs_compat"],
        r2Buckets: { BUCKET: "eventpile" },
        durableObjects: { LAKE_CATALOG: { className: "LakeCatalog", useSQLite: true } },
      },
    ],
  }),
  resourcePersistencePath: stateDir,
});
try {
  await miniflare.ready;
  const truth: Truth = { events: 0, cents: 0, byName: new Map() };
  await run(miniflare, truth);
  await check(miniflare, truth, parquetDir);
} finally {
  await miniflare.dispose();
  for (const folder of [stateDir, parquetDir]) rmSync(folder, { recursive: true, force: true });
}
