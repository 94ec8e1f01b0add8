/**
 * `npm run bench:fan-out`: the fan-out stage in workerd, with the real EventLog object in SQLite on disk: queue messages of
 * 20 events in, segments and commits out.
 *
 * Baseline, in the same run and isolate: gzip of the same lines alone, the least that writing a segment can cost. The stage is
 * timed with objects kept in memory, which leaves its own work on one core, and with Miniflare's R2, whose work is in other
 * processes. Where /proc tells it, events per second of workerd's processor time stand beside events per second of the clock:
 * they do not suffer from what else the machine does. "erased" is the stage where rules keep people out of the log. What was written is read back and summed. At last the dedup window: rows, memory and disk for a million ids.
 */

import "./local/runtime-flags.ts";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { idHash } from "../r2-layout/event-id.ts";
import { encodeMessage, packIds } from "../r2-layout/event-message.ts";
import { DERIVATION_VERSION, formatLogLine, propertiesOf } from "../r2-layout/log-line.ts";
import { packPrefixes, prefixOf, subjectHasher } from "../r2-layout/subjects.ts";
import type { BenchMode, Checked, DedupFigures } from "./bench/fan-out-worker.ts";
import { count, quantile } from "./bench/figures.ts";
import { Random } from "./demo/random.ts";
import { bundleWorker } from "./local/bundle.ts";
import { v4Modules } from "./local/v4-worker.ts";

const PORT = Number(process.env.BENCH_PORT ?? 8819);
const BUDGET = 100_000;
const EVENTS_PER_MESSAGE = 20;
const MESSAGES_PER_BATCH = 100;
/** Batches of one timed request: its own cost is spread over them. */
const BATCHES_PER_RUN = 5;
const RUN_EVENTS = EVENTS_PER_MESSAGE * MESSAGES_PER_BATCH * BATCHES_PER_RUN;
const WARM_UP = 3;
const RUNS = 10;
const IDS = Number(process.env.BENCH_IDS ?? 1_000_000);
const MODES: readonly BenchMode[] = ["gzip", "stage", "erased", "stage+r2"];
/** As the worker has them, which cannot be imported here. */
const BENCH_KEY = "bench";
const ERASED_SHARD = 1;
/** People that rules keep out, in rules of at most 20,000: few of them still send. */
const ERASED_RULES = 5;
const ERASED_PEOPLE = 100_000;
const ERASED_VISITORS = 50;
const VISITORS = 50_000;
/** Linux counts processor time in hundredths of a second. */
const MS_PER_TICK = 10;
const NOW_US = Date.now() * 1_000;

type Times = Record<BenchMode, number[]>;

const truth = { events: 0, sum: 0, suppressed: 0 };
const sent = { events: 0, rawBytes: 0, lineBytes: 0 };

/** A track call of about 320 bytes of JSON, and its line of the log. */
function logLine(id: string, number: number, visitor: string, random: Random): string {
  const product = random.int(1, 600);
  const raw = {
    type: "track",
    event: "Product Viewed",
    messageId: id,
    anonymousId: visitor,
    timestamp: "2026-11-22T05:02:51.123Z",
    context: { page: { path: `/products/${product}`, url: `https://shop.example/products/${product}` } },
    properties: { number, product_id: `sku-${product}`, price: 12.5 + (product % 40), list: "search" },
  };
  sent.rawBytes += JSON.stringify(raw).length;
  const row = {
    event_id: id,
    event_name: raw.event,
    event_type: raw.type,
    source: "shop",
    anonymous_id: visitor,
    event_time: NOW_US,
    received_at: NOW_US,
    sent_at: NOW_US,
    page_path: raw.context.page.path,
    page_url: raw.context.page.url,
    page_host: "shop.example",
    browser: "Chrome",
    os: "Windows",
    device_type: "desktop",
    country: "DE",
    properties: propertiesOf(raw),
  };
  const line = formatLogLine({ raw, row, d: DERIVATION_VERSION });
  sent.lineBytes += line.length;
  return line;
}

const visitorOf = (n: number) => `4f1d${String(n).padStart(8, "0")}-9c1e`;
const hash = subjectHasher(BENCH_KEY);
/** By shard. */
const numbers = [0, 0];
const before = [0, 0];

function message(random: Random, shard: number): string {
  const events = Array.from({ length: EVENTS_PER_MESSAGE }, () => {
    const number = random.int(1, 1_000);
    const id = `${random.int(1e8, 9e8)}-${sent.events++}`;
    const n = random.int(1, VISITORS);
    if (shard === ERASED_SHARD && n <= ERASED_VISITORS) truth.suppressed++;
    else {
      truth.events++;
      truth.sum += number;
    }
    const visitor = visitorOf(n);
    const prefix = prefixOf(hash({ kind: "device", id: visitor }));
    return { id, line: logLine(id, number, visitor, random), prefix };
  });
  const sentBefore = before[shard]!;
  before[shard]! += events.length;
  return encodeMessage({
    header: {
      v: 1,
      edge: "bench",
      n: ++numbers[shard]!,
      shard,
      epoch: 0,
      source: "shop",
      received_at: NOW_US,
      events: events.length,
      before: sentBefore,
      who: packPrefixes(events.map(({ prefix }) => prefix)),
      ids: packIds(events.map(({ id }) => idHash("event", "shop", id))),
    },
    lines: events.map(({ line }) => line),
  });
}

async function call<T>(path: string, body?: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${PORT}${path}`, body === undefined ? {} : { method: "POST", body });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

async function measureStage(): Promise<void> {
  const random = new Random(20261122);
  const times: Times = { gzip: [], stage: [], erased: [], "stage+r2": [] };
  const cpu: Times = { gzip: [], stage: [], erased: [], "stage+r2": [] };
  const erased = Array.from({ length: ERASED_PEOPLE }, (_, i) =>
    i < ERASED_VISITORS ? visitorOf(i + 1) : `gone-${i}`,
  );
  const each = ERASED_PEOPLE / ERASED_RULES;
  const lists = Array.from({ length: ERASED_RULES }, (_, i) => erased.slice(i * each, (i + 1) * each));
  await call("/erase", JSON.stringify(lists));
  for (let run = 0; run < WARM_UP + RUNS; run++) {
    // In turn, so that a slow moment of the machine meets all modes alike.
    for (const mode of MODES) {
      const batches = Array.from({ length: BATCHES_PER_RUN }, () =>
        Array.from({ length: MESSAGES_PER_BATCH }, () => message(random, mode === "erased" ? ERASED_SHARD : 0)),
      );
      await call("/load", JSON.stringify(batches));
      const cpuBefore = workerdCpuMs();
      const started = performance.now();
      const { acked, bytes } = await call<{ acked: number; bytes: number }>(`/run?mode=${encodeURIComponent(mode)}`);
      if (run >= WARM_UP) {
        times[mode].push(performance.now() - started);
        cpu[mode].push(workerdCpuMs() - cpuBefore);
      }
      if (mode === "gzip") {
        // Never sent: the log must not expect it.
        truth.events -= RUN_EVENTS;
        numbers[0]! -= MESSAGES_PER_BATCH * BATCHES_PER_RUN;
        before[0]! -= RUN_EVENTS;
        for (const body of batches.flat()) {
          for (const line of body.split("\n").slice(1)) truth.sum -= JSON.parse(line).raw.properties.number;
        }
        if (bytes === 0) throw new Error("the baseline wrote nothing");
      } else if (acked !== MESSAGES_PER_BATCH * BATCHES_PER_RUN) {
        throw new Error(`${mode}: ${acked} messages acked`);
      }
    }
  }
  report(times, cpu);
  const read = await call<Checked>("/check");
  const { events, sum, committed, suppressed } = read;
  if (events !== truth.events || sum !== truth.sum || committed !== events || suppressed !== truth.suppressed) {
    throw new Error(`the log has ${JSON.stringify(read)}, sent were ${JSON.stringify(truth)}`);
  }
  console.log(
    `checked: ${count(events)} events in ${read.segments} segments, each once, their sum right; ${count(suppressed)} of people who were erased nowhere`,
  );
}

function report(times: Times, cpu: Times): void {
  const perEvent = (bytes: number) => count(bytes / sent.events);
  console.log(
    `${count(RUN_EVENTS)} events a run: JSON of ${perEvent(sent.rawBytes)} bytes, log lines of ${perEvent(sent.lineBytes)}, ` +
      `${EVENTS_PER_MESSAGE} a message, ${MESSAGES_PER_BATCH} messages a batch`,
  );
  const rateOf = (ms: number) => (RUN_EVENTS / ms) * 1_000;
  const cpuRate = (mode: BenchMode) => rateOf(sumOf(cpu[mode]) / RUNS);
  for (const mode of MODES) {
    const [median, p95, best] = [quantile(times[mode], 0.5), quantile(times[mode], 0.95), Math.min(...times[mode])];
    console.log(
      `  ${mode.padEnd(8)} median ${median.toFixed(0)} ms, p95 ${p95.toFixed(0)} ms, ${count(rateOf(median))} events/s ` +
        `(best ${count(rateOf(best))}); ${count(cpuRate(mode))} events/s of processor time`,
    );
  }
  const ratio = rateOf(quantile(times.stage, 0.5)) / rateOf(quantile(times.gzip, 0.5));
  console.log(`stage to gzip alone: ${ratio.toFixed(2)} of its events/s`);
  const beside = quantile(times.stage, 0.5) / quantile(times.erased, 0.5);
  console.log(
    `with ${count(ERASED_PEOPLE)} people kept out, one event in ${count(VISITORS / ERASED_VISITORS)} about them: ${beside.toFixed(2)} of the stage without`,
  );
  const known = sumOf(cpu.stage) > 0;
  const rate = known ? cpuRate("stage") : rateOf(quantile(times.stage, 0.5));
  console.log(
    `budget ${count(BUDGET)} events/s a core${known ? "" : " (by the clock)"}: ` +
      `${((100 * rate) / BUDGET).toFixed(0)} % ${rate >= BUDGET ? "met" : "MISSED"}`,
  );
}

async function measureDedup(): Promise<void> {
  const started = performance.now();
  const figures = await call<DedupFigures>(`/dedup?ids=${IDS}`);
  const ms = performance.now() - started;
  const rows = figures.commitRows + figures.upkeepRows;
  console.log(
    `dedup window, ${count(figures.ids)} ids in ${count(figures.commits)} commits on a clock of 500 events/s:`,
  );
  console.log(
    `  ${(figures.commitRows / figures.commits).toFixed(1)} rows a commit; ${count(figures.upkeepRows)} rows of flushes, merges, deletes; ` +
      `together ${count((rows * 1e6) / figures.ids)} rows a million ids, $${(rows / figures.ids).toFixed(4)}`,
  );
  console.log(
    `  ${(figures.memoryBytes / figures.ids).toFixed(1)} bytes of memory an id (${(figures.memoryBytes / 2 ** 20).toFixed(1)} MiB), ` +
      `${(figures.databaseBytes / figures.ids).toFixed(1)} bytes of disk, ${((1_000 * ms) / figures.ids).toFixed(2)} µs an id, all upkeep counted`,
  );
}

/** User and system time of this process's children, in ms: workerd's threads, disk and network included. 0 where /proc is not. */
function workerdCpuMs(): number {
  if (!existsSync("/proc/self/stat")) return 0;
  let ticks = 0;
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      // After the name, which may hold blanks: state, parent, ... and 11 fields later user and system time.
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
      if (Number(fields[1]) === process.pid) ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // The process has ended meanwhile.
    }
  }
  return ticks * MS_PER_TICK;
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

const folder = mkdtempSync(join(tmpdir(), "eventpile-bench-fan-out-"));
const modules = await bundleWorker({
  entry:
    'export * from "./scripts/bench/fan-out-worker.ts"; export { default } from "./scripts/bench/fan-out-worker.ts";',
  folder: process.cwd(),
  name: "fan-out-worker",
});
const object = (className: string) => ({ className, useSQLite: true });
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: PORT,
    cf: {},
    name: "fan-out",
    ...v4Modules(modules),
    compatibilityDate: "2026-08-15",
    compatibilityFlags: ["nodejs_compat"],
    r2Buckets: { BUCKET: "eventpile" },
    durableObjects: { EVENT_LOG: object("EventLog"), DEDUP: object("Dedup") },
    queueProducers: { WAKE_LAKE: "lake", WAKE_SESSIONS: "sessions", WAKE_ROLLUPS: "rollups" },
  }),
  resourcePersistencePath: folder,
});
try {
  await miniflare.ready;
  await measureStage();
  await measureDedup();
} finally {
  await miniflare.dispose();
  rmSync(folder, { recursive: true, force: true });
}
