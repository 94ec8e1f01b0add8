/**
 * `npm run bench:compaction`: 90 days of history in small files of 1,000 events, 20,000 of them, and one day of a quarter as
 * many events again, whose files pass 64 MB; one user makes a fifth of the traffic. Compacted in workerd, in one isolate, to
 * what the policy wants. `-- --events 1000000` for less.
 *
 * Checked: the rows that were written are there afterwards, each once, as DuckDB counts them by name and for the hot user;
 * five statements answer the same before and after. Now and then a merge stands still in the middle, and the isolate's live
 * heap is asked for over the inspector, after a collection; that time does not count.
 */
import "./local/runtime-flags.ts";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import type { CatalogStatus, NewDataFile, Plan } from "../durable-objects/lake-catalog/api.ts";
import { MINUTE_MS, MiB } from "../r2-layout/limits.ts";
import { ParquetWriter } from "../r2-layout/parquet-writer.ts";
import { DAY_US, dayOf } from "../r2-layout/time.ts";
import { parquetModule } from "../test/r2-layout/parquet-module.ts";
import { FreshFiles, HOT_USER_ID, SERIAL_SQL, SQUARES_MODULO, type Tally } from "./bench/compaction-files.ts";
import type { Counted } from "./bench/compaction-worker.ts";
import { count } from "./bench/figures.ts";
import { bundleWorker } from "./local/bundle.ts";
import { v4Modules } from "./local/v4-worker.ts";
import { ROOT, readWorkerSources } from "./local/wrangler-config.ts";

const { events: asked } = parseArgs({ options: { events: { type: "string", default: "20000000" } } }).values;
const EVENTS = Number(asked);
const DAYS = 90;
const FILE_EVENTS = 1_000;
/** The large day's files are those of a busier hour. */
const BIG_FILE_EVENTS = 5_000;
const BIG_DAY_EVENTS = EVENTS / 4;
const FILES_PER_COMMIT = 20;
const MEMORY_BUDGET = 100 * MiB;
const FIRST_DAY_US = Date.UTC(2026, 6, 1) * 1_000;
const BIG_DAY_US = FIRST_DAY_US + DAYS * DAY_US;

const day = (number: number) => `timestamp '${dayOf(FIRST_DAY_US + number * DAY_US)} 00:00:00'`;
const between = (from: number, to: number) => `event_time >= ${day(from)} and event_time < ${day(to)}`;
const STATEMENTS: Readonly<Record<string, string>> = {
  "a day, by name": `select event_name, count(*) from events where ${between(10, 11)} group by 1 order by 1`,
  "a week's orders": `select count(*), round(sum(revenue), 2) from events where event_name = 'Order Completed' and ${between(20, 27)}`,
  "users of three days": `select count(distinct anonymous_id) from events where ${between(40, 43)}`,
  "one user's week": `select count(*), max(event_time) from events where user_id = '${HOT_USER_ID}' and ${between(50, 57)}`,
  "the large day, by country": `select country, count(*) from events where ${between(DAYS, DAYS + 1)} group by 1 order by 1`,
};

interface Bench {
  readonly miniflare: Miniflare;
  ask<T>(path: string, body?: unknown): Promise<T>;
  sql(sql: string): Promise<{ rows: unknown[][]; ms: number }>;
}

async function startBench(stateDir: string): Promise<Bench> {
  const [query, compaction] = await Promise.all([
    bundleWorker({
      entry: `export * from "./index.ts"; export { default } from "./index.ts";`,
      folder: join(ROOT, "workers/query"),
      name: "query",
    }),
    bundleWorker({
      entry: `export * from "./compaction-worker.ts"; export { default } from "./compaction-worker.ts";`,
      folder: join(ROOT, "scripts/bench"),
      name: "compaction",
    }),
  ]);
  const { config } = readWorkerSources().find((source) => source.config.name === "eventpile-query")!;
  const common = {
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: [...(config.compatibility_flags ?? [])],
    r2Buckets: { BUCKET: "eventpile" },
  };
  const elsewhere = { scriptName: "compaction" };
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      inspectorPort: 0,
      cf: {},
      workers: [
        {
          name: "query",
          ...v4Modules(query),
          ...common,
          durableObjects: {
            LAKE_CATALOG: { className: "LakeCatalog", ...elsewhere },
            QUERY_BUDGET: { className: "QueryBudget", ...elsewhere },
            QUERY_ENGINE: { className: "QueryEngine", useSQLite: true },
          },
        },
        {
          name: "compaction",
          ...v4Modules(compaction),
          ...common,
          durableObjects: {
            LAKE_CATALOG: { className: "LakeCatalog", useSQLite: true },
            QUERY_BUDGET: { className: "QueryBudget", useSQLite: true },
          },
        },
      ],
    }),
    resourcePersistencePath: stateDir,
  });
  const url = await miniflare.ready;
  const worker = await miniflare.getWorker("compaction");
  return {
    miniflare,
    async ask(path, body) {
      const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
      const response = await worker.fetch(`http://compaction${path}`, init);
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as never;
    },
    async sql(sql) {
      const began = performance.now();
      const response = await fetch(new URL("/v1/sql", url), { method: "POST", body: JSON.stringify({ sql }) });
      const answer = (await response.json()) as { rows: unknown[][] };
      if (!response.ok) throw new Error(`${sql}: ${JSON.stringify(answer)}`);
      return { rows: answer.rows, ms: performance.now() - began };
    },
  };
}

/** @returns what was written, by event name. */
async function fill(bench: Bench): Promise<Map<string, Tally>> {
  const began = performance.now();
  void new ParquetWriter(parquetModule);
  const bucket = await bench.miniflare.getR2Bucket("BUCKET", "compaction");
  let bytes = 0;
  let files = 0;
  const tallies = new Map<string, Tally>();
  const store = async (fresh: FreshFiles, total: number, placeOf: (i: number) => [fromUs: number, spanUs: number]) => {
    let pending: NewDataFile[] = [];
    let puts: Promise<unknown>[] = [];
    for (let i = 0; i < total; i++) {
      const made = await fresh.next(...placeOf(i));
      puts.push(bucket.put(made.file.key, made.bytes));
      pending.push(made.file);
      bytes += made.bytes.length;
      files++;
      if (pending.length < FILES_PER_COMMIT && i < total - 1) continue;
      await Promise.all(puts);
      const answer = await bench.ask<{ kind: string }>("/append", pending);
      if (answer.kind !== "committed") throw new Error(`append answered ${answer.kind}`);
      [pending, puts] = [[], []];
    }
    for (const [name, tally] of fresh.tallies) {
      const sum = tallies.get(name) ?? { rows: 0, serials: 0, squares: 0, hot: 0 };
      for (const key of Object.keys(sum) as (keyof Tally)[]) sum[key] += tally[key];
      tallies.set(name, sum);
    }
  };
  const small = new FreshFiles(FILE_EVENTS, 1, 50);
  const perDay = Math.ceil(EVENTS / FILE_EVENTS / DAYS);
  await store(small, EVENTS / FILE_EVENTS, (i) => {
    const span = Math.floor(DAY_US / perDay);
    return [FIRST_DAY_US + Math.floor(i / perDay) * DAY_US + (i % perDay) * span, span];
  });
  const big = new FreshFiles(BIG_FILE_EVENTS, 2, 20, small.serial);
  const bigFiles = BIG_DAY_EVENTS / BIG_FILE_EVENTS;
  await store(big, bigFiles, (i) => {
    const span = Math.floor(DAY_US / bigFiles);
    return [BIG_DAY_US + i * span, span];
  });
  const events = EVENTS + BIG_DAY_EVENTS;
  const seconds = ((performance.now() - began) / 1_000).toFixed(0);
  console.log(
    `${count(events)} events in ${count(files)} files, ${(bytes / MiB).toFixed(0)} MiB, ${(bytes / events).toFixed(1)} bytes an event, ` +
      `made, stored and committed in ${seconds} s`,
  );
  const { rows } = await bench.ask<CatalogStatus>("/status");
  if (rows.events !== events) throw new Error(`the catalog has ${rows.events} of ${events} events`);
  return tallies;
}

/** The isolate's live heap and its buffers, largest seen: read while a merge stands still. */
class LiveMemory {
  #socket: WebSocket | null = null;
  #id = 0;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  readonly #bench: Bench;
  #running = true;
  /** Spent standing still. */
  heldMs = 0;
  samples = 0;
  peak = { heap: 0, buffers: 0 };

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  async start(): Promise<void> {
    const inspector = await this.#bench.miniflare.getInspectorURL();
    const list = await fetch(new URL("/json", `http://${inspector.host}`));
    const targets = (await list.json()) as { id: string; title: string; webSocketDebuggerUrl: string }[];
    const target = targets.find(({ id }) => id.endsWith(":compaction"));
    if (!target) throw new Error(`no such isolate: ${JSON.stringify(targets)}`);
    const socket = new WebSocket(target.webSocketDebuggerUrl);
    this.#socket = socket;
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", reject);
    });
    socket.addEventListener("message", ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown };
      if (id !== undefined) this.#waiting.get(id)?.(result);
    });
    void this.#sample();
  }

  async #sample(): Promise<void> {
    while (this.#running) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (!(await this.#bench.ask<boolean>("/held"))) continue;
      const began = performance.now();
      await this.#call("HeapProfiler.collectGarbage");
      const { usedSize, backingStorageSize } = (await this.#call("Runtime.getHeapUsage")) as {
        usedSize: number;
        backingStorageSize: number;
      };
      this.samples++;
      if (usedSize + backingStorageSize > this.peak.heap + this.peak.buffers) {
        this.peak = { heap: usedSize, buffers: backingStorageSize };
      }
      await this.#bench.ask("/release");
      this.heldMs += performance.now() - began;
    }
  }

  #call(method: string): Promise<unknown> {
    const id = ++this.#id;
    this.#socket!.send(JSON.stringify({ id, method }));
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  stop(): void {
    this.#running = false;
    this.#socket?.close();
  }
}

/** Seconds that the runtime's threads have had a processor, R2's part included; null where the system does not tell. */
function processorSeconds(): number | null {
  try {
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ");
    const ticks = children.map((pid) => {
      const [, ...fields] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ");
      const [user, system] = fields.join(") ").split(" ").slice(11, 13).map(Number);
      return user! + system!;
    });
    return ticks.reduce((sum, some) => sum + some, 0) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}

const TICKS_PER_SECOND = 100;

async function compact(bench: Bench): Promise<void> {
  const before = await bench.ask<CatalogStatus>("/status");
  const memory = new LiveMemory(bench);
  await memory.start();
  const began = performance.now();
  const busyBefore = processorSeconds();
  for (;;) {
    const { state, counted, wasm } = await bench.ask<{ state: string; counted: Counted; wasm: number }>(
      `/compact?ms=${MINUTE_MS}&hold`,
    );
    const seconds = (performance.now() - began - memory.heldMs) / 1_000;
    if (state === "more") {
      console.log(`  ${seconds.toFixed(0)} s: ${count(counted.rows)} rows written in ${counted.passes} passes`);
      continue;
    }
    memory.stop();
    const busy = busyBefore === null ? null : processorSeconds()! - busyBefore;
    const after = await bench.ask<CatalogStatus>("/status");
    const events = after.rows.events;
    const mib = (bytes: number) => `${count(bytes / MiB)} MiB`;
    // The inspector's sum of buffers leaves out wasm memories.
    const live = memory.peak.heap + memory.peak.buffers + wasm;
    console.log(`compacted in ${seconds.toFixed(0)} s: ${count(events / seconds)} events/s`);
    if (busy !== null) {
      const perSecond = `${count(events / busy)} events, ${count(counted.rows / busy)} rows`;
      console.log(`  by processor time of the whole runtime ${busy.toFixed(0)} s: ${perSecond} a second of one core`);
    }
    console.log(
      `  files: ${count(before.files)} before, ${count(after.files)} after; ${mib(before.bytes)} before, ${mib(after.bytes)} after`,
    );
    console.log(
      `  ${counted.passes} passes of ${(counted.inputs / counted.passes).toFixed(1)} inputs, ${count(counted.rows)} rows written: ` +
        `each ${(counted.rows / events).toFixed(2)} times, ${count(counted.rows / seconds)} rows/s`,
    );
    console.log(
      `  read ${mib(counted.bytesRead)} in ${count(counted.reads)} requests, written ${mib(counted.bytesWritten)} in ${count(counted.writes)}`,
    );
    console.log(
      `  memory at its peak: live heap ${mib(memory.peak.heap)}, buffers ${mib(memory.peak.buffers)}, the encoder's wasm ${mib(wasm)}, ` +
        `${count(memory.samples)} samples; budget ${mib(MEMORY_BUDGET)}: ${live <= MEMORY_BUDGET ? "met" : "MISSED"}`,
    );
    if (memory.samples === 0) throw new Error("nobody looked at the memory");
    if (live > MEMORY_BUDGET) throw new Error("more memory than promise 10 allows");
    if (after.rows.events !== before.rows.events) throw new Error("rows were lost or invented");
    return;
  }
}

/** DuckDB reads what the catalog names, a file at a time. */
async function check(bench: Bench, wanted: ReadonlyMap<string, Tally>, folder: string): Promise<void> {
  const { files } = await bench.ask<Plan>("/plan");
  const bucket = await bench.miniflare.getR2Bucket("BUCKET", "compaction");
  const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
  const found = new Map<string, Tally>();
  const path = join(folder, "file.parquet");
  let largest = 0;
  for (const { key, bytes } of files) {
    writeFileSync(path, new Uint8Array(await (await bucket.get(key))!.arrayBuffer()));
    largest = Math.max(largest, bytes);
    const rows = (
      await duckdb.runAndReadAll(
        `select event_name, count(*), sum(s), sum((s * s) % ${SQUARES_MODULO}), count(*) filter (user_id = '${HOT_USER_ID}')
         from (select event_name, user_id, ${SERIAL_SQL} as s from read_parquet('${path}')) group by 1`,
      )
    ).getRows();
    for (const [name, ...sums] of rows) {
      const tally = found.get(String(name)) ?? { rows: 0, serials: 0, squares: 0, hot: 0 };
      for (const [i, key] of (["rows", "serials", "squares", "hot"] as const).entries()) tally[key] += Number(sums[i]);
      found.set(String(name), tally);
    }
  }
  duckdb.closeSync();
  const text = (tallies: ReadonlyMap<string, Tally>) => JSON.stringify([...tallies].sort());
  if (text(found) !== text(wanted)) throw new Error(`other rows than were written:\n${text(found)}\n${text(wanted)}`);
  console.log(
    `checked by DuckDB: every row once, by name and for the hot user; largest file ${count(largest / MiB)} MiB`,
  );
}

async function timeStatements(bench: Bench): Promise<Map<string, { rows: string; ms: number }>> {
  const times = new Map<string, { rows: string; ms: number }>();
  for (const [name, sql] of Object.entries(STATEMENTS)) {
    const { rows, ms } = await bench.sql(sql);
    times.set(name, { rows: JSON.stringify(rows), ms });
  }
  return times;
}

async function main(): Promise<void> {
  const stateDir = mkdtempSync(join(tmpdir(), "compaction-bench-"));
  const folder = mkdtempSync(join(tmpdir(), "compaction-files-"));
  const bench = await startBench(stateDir);
  try {
    const tallies = await fill(bench);
    const before = await timeStatements(bench);
    await compact(bench);
    const after = await timeStatements(bench);
    console.log("statement                    before ms   after ms");
    for (const [name, { rows, ms }] of before) {
      const then = after.get(name)!;
      console.log(`${name.padEnd(28)} ${ms.toFixed(0).padStart(9)} ${then.ms.toFixed(0).padStart(10)}`);
      if (then.rows !== rows) throw new Error(`${name}: another answer after compaction: ${rows}, ${then.rows}`);
    }
    await check(bench, tallies, folder);
  } finally {
    await bench.miniflare.dispose();
    for (const each of [stateDir, folder]) rmSync(each, { recursive: true, force: true });
  }
}

await main();
