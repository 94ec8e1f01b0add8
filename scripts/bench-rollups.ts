/**
 * `npm run bench:rollups`: what the rollups sink adds to a step of the log, in workerd with SQLite on disk.
 *
 * Baseline, in the same run and isolate: decoding the same segments (gunzip, JSON.parse of every line), which every sink pays
 * before it does anything. Then the same request with the deltas built TIMES times, then with each of them applied as a batch of its
 * own. Sums, money and values are checked against a plain count; the error of the user sketch is printed.
 */

import "./local/runtime-flags.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { HOUR_MS, MINUTE_MS } from "../r2-layout/limits.ts";
import { DERIVATION_VERSION, formatLogLine, propertiesOf } from "../r2-layout/log-line.ts";
import { encodeSegment } from "../r2-layout/segment.ts";
import { expectEqual, median, quantile } from "./bench/figures.ts";
import { bundleWorker } from "./local/bundle.ts";
import { v4Modules } from "./local/v4-worker.ts";

const STEP_EVENTS = 25_000;
const STEPS = 6;
const LIVE_EVENTS = 500;
const LIVE_CALLS = 30;
const WARM_UP = 2;
/** Repetitions within a request: decoding would otherwise drown what is measured. */
const TIMES = 8;
const USERS = 100_000;
/** The last full hour: its minutes are kept, and everything falls into one hour. */
const START = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - HOUR_MS;

/** mulberry32: the same events in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const NAMES = [
  "page",
  "page",
  "page",
  "page",
  "Product Viewed",
  "Product Added",
  "Checkout Started",
  "Order Completed",
];
const COUNTRIES = ["DE", "US", "FR", "GB", "NL", "ES", "IT", "PL", "SE", "JP"];

interface Truth {
  events: number;
  readonly byName: Map<string, number>;
  readonly users: Set<string>;
  /** Cents, so that doubles are exact. */
  cents: number;
}

const emptyTruth = (): Truth => ({ events: 0, byName: new Map(), users: new Set(), cents: 0 });

/** A segment of a shop's events within a few minutes, about 600 bytes a line, counted into `truth`. */
function segment(events: number, rng: () => number, truth: Truth): Uint8Array {
  const lines: string[] = [];
  const minute = Math.floor(rng() * 55);
  for (let i = 0; i < events; i++) {
    const name = NAMES[Math.floor(rng() * NAMES.length)]!;
    const user = `user-${Math.floor(rng() * USERS)}`;
    const time = (START + minute * MINUTE_MS + Math.floor(rng() * 2 * MINUTE_MS)) * 1_000;
    const path = `/products/${Math.floor(rng() ** 3 * 600)}`;
    const cents = name === "Order Completed" ? 100 + Math.floor(rng() * 10_000) : null;
    const raw = {
      type: name === "page" ? "page" : "track",
      messageId: `${i}-${user}-${time}`,
      userId: user,
      timestamp: new Date(time / 1_000).toISOString(),
      context: {
        library: { name: "beacon", version: "1" },
        page: { path, url: `https://shop.example${path}`, title: "A product" },
      },
      properties: { path, price: 12.5, list: "search" },
    };
    const row = {
      event_id: raw.messageId,
      event_name: name,
      event_type: raw.type,
      source: "bench",
      user_id: user,
      anonymous_id: `device-${user}`,
      event_time: time,
      received_at: time,
      page_path: path,
      page_url: raw.context.page.url,
      country: COUNTRIES[Math.floor(rng() ** 2 * COUNTRIES.length)]!,
      device_type: rng() < 0.6 ? "mobile" : "desktop",
      revenue: cents === null ? null : cents / 100,
      currency: cents === null ? null : "EUR",
      properties: propertiesOf(raw),
    };
    lines.push(formatLogLine({ raw, row, d: DERIVATION_VERSION }));
    truth.events++;
    truth.byName.set(name, (truth.byName.get(name) ?? 0) + 1);
    truth.users.add(user);
    truth.cents += cents ?? 0;
  }
  return encodeSegment(lines);
}

async function post(path: string, body: Uint8Array): Promise<{ ms: number; events: number }> {
  const started = performance.now();
  const response = await fetch(origin + path, { method: "POST", body });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  const { events } = (await response.json()) as { events: number };
  return { ms: performance.now() - started, events };
}

const PATHS = ["decode", "deltas", "apply"] as const;
type Times = Record<(typeof PATHS)[number], number[]>;
const TITLES = {
  decode: "decoding (baseline)",
  deltas: "deltas             ",
  apply: "deltas and apply   ",
} as const satisfies Record<keyof Times, string>;

/**
 * Each segment through all three paths in turn, so that a slow moment of the machine meets them alike.
 * @returns milliseconds by path and segment: of one decoding, and of one repetition beyond it
 */
async function measure(object: string, segments: readonly Uint8Array[], size: number, more = ""): Promise<Times> {
  const times: Times = { decode: [], deltas: [], apply: [] };
  for (const [i, body] of segments.entries()) {
    const ask = async (path: string) => {
      const { ms, events } = await post(`/${path}?seq=${i * TIMES + 1}&times=${TIMES}&object=${object}${more}`, body);
      if (events !== size) throw new Error(`${path} saw ${events} events`);
      return ms;
    };
    const decode = await ask("decode");
    const deltas = (await ask("deltas")) - decode;
    const apply = (await ask("apply")) - decode;
    if (i < WARM_UP) continue;
    times.decode.push(decode);
    times.deltas.push(deltas / TIMES);
    times.apply.push(apply / TIMES);
  }
  return times;
}

function report(title: string, events: number, times: Times): void {
  console.log(`\n${title}`);
  for (const path of PATHS) {
    const [middle, high] = [median(times[path]), quantile(times[path], 0.95)];
    const rate = Math.round((events / middle) * 1_000).toLocaleString("en");
    const ratio = (middle / median(times.decode)).toFixed(2);
    console.log(
      `  ${TITLES[path]} median ${middle.toFixed(1)} ms, p95 ${high.toFixed(1)} ms, ${rate} events/s, ${ratio} of decoding`,
    );
  }
}

async function run(): Promise<void> {
  const truth = emptyTruth();
  const rng = random(20261122);
  const steps = Array.from({ length: STEPS + WARM_UP }, () => segment(STEP_EVENTS, rng, truth));
  const other = emptyTruth();
  const live = Array.from({ length: LIVE_CALLS + WARM_UP }, () => segment(LIVE_EVENTS, rng, other));
  report(`catching up: steps of ${STEP_EVENTS} events`, STEP_EVENTS, await measure("core:000", steps, STEP_EVENTS));
  report(`live: steps of ${LIVE_EVENTS} events`, LIVE_EVENTS, await measure("live-traffic", live, LIVE_EVENTS));
  report(
    `late: steps of ${LIVE_EVENTS} events, all after their minute was final`,
    LIVE_EVENTS,
    await measure("late-traffic", live, LIVE_EVENTS, "&late=1"),
  );
  await check(truth);
}

async function read(query: string): Promise<{ key: Record<string, string>; value: number }[]> {
  const response = await fetch(`${origin}/rollups?${query}&from=${START}&to=${START + HOUR_MS}`);
  const answer = (await response.json()) as {
    ok: boolean;
    value: { points: { key: Record<string, string>; value: number }[] };
  };
  if (!answer.ok) throw new Error(`${query}: ${JSON.stringify(answer)}`);
  return answer.value.points;
}

async function check(truth: Truth): Promise<void> {
  console.log("");
  const sum = (points: readonly { value: number }[]) => points.reduce((total, { value }) => total + value, 0);
  for (const grain of ["minute", "hour"])
    expectEqual(`events by ${grain}`, sum(await read(`grain=${grain}`)), TIMES * truth.events);
  const names = await read("grain=hour&by=event_name");
  for (const [name, events] of truth.byName) {
    expectEqual(name, names.find(({ key }) => key.event_name === name)?.value, TIMES * events);
  }
  expectEqual("revenue in cents", Math.round(sum(await read("metric=revenue&grain=hour")) * 100), TIMES * truth.cents);
  const [users] = await read("metric=users&grain=hour");
  const error = users!.value / truth.users.size - 1;
  console.log(`users: ${users!.value} estimated, ${truth.users.size} in truth, off by ${(error * 100).toFixed(2)} %`);
  if (Math.abs(error) > 0.05) throw new Error("the user sketch is off by more than 5 %");
}

const stateDir = mkdtempSync(join(tmpdir(), "rollups-bench-"));
const modules = await bundleWorker({
  entry: `export * from "./rollups-worker.ts"; export { default } from "./rollups-worker.ts";`,
  folder: new URL("bench", import.meta.url).pathname,
  name: "bench-rollups",
});
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: 0,
    cf: {},
    workers: [
      {
        name: "bench-rollups",
        ...v4Modules(modules),
        compatibilityDate: "2026-08-15",
        compatibilityFlags: ["nodejs_compat"],
        bindings: { SHARDS: "1" },
        durableObjects: {
          MINUTE_ROLLUP: { className: "MinuteRollup", useSQLite: true },
          LIVE_HUB: { className: "LiveHub", useSQLite: true },
        },
      },
    ],
  }),
  resourcePersistencePath: stateDir,
});
let origin = "";
try {
  origin = (await miniflare.ready).origin;
  await run();
} finally {
  await miniflare.dispose();
  rmSync(stateDir, { recursive: true, force: true });
}
