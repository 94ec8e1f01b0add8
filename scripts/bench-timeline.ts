/**
 * `npm run bench:timeline`: what a user's timeline costs, in workerd with SQLite on disk.
 *
 * Baseline, in the same run: a bare object that writes each flush as one row of JSON and can answer nothing. Appends to many users
 * (first and later flushes) and to one hot user; rows written per event; an import of 10,000 events by 1,862 devices
 * through the sink; pages, sessions and profile of a user with 100,000 events. What is read back is checked.
 */

import "./local/runtime-flags.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import type { EventsPage, Profile, SessionSummary } from "../durable-objects/user-timeline/api.ts";
import type { EventRow } from "../r2-layout/event-columns.ts";
import { SESSIONS } from "../r2-layout/limits.ts";
import { expectEqual, quantile } from "./bench/figures.ts";
import { bundleWorker } from "./local/bundle.ts";
import { v4Modules } from "./local/v4-worker.ts";

const USERS = 200;
const EVENTS_PER_FLUSH = 20;
const FLUSHES = 6;
const HOT_EVENTS = 1_000;
const HOT_FLUSHES = 30;
const LARGE_EVENTS = 100_000;
const IMPORT_EVENTS = 10_000;
const IMPORT_DEVICES = 1_862;
const READS = 60;
const WARM_UP = 2;
const PATHS = ["bare", "timeline"] as const;
const SECOND_US = 1_000_000;
const START = Date.UTC(2026, 10, 1) * 1_000;

/** One page view or purchase; a second after the one before, with a night's silence each 5,000. */
function eventOf(n: number, seq: number, user: string | null, device: string): EventRow {
  const product = (n * 7_919) % 500;
  const at = START + n * SECOND_US + Math.floor(n / 5_000) * 8 * 3_600 * SECOND_US;
  const isOrder = n % 50 === 49;
  return {
    event_id: `ajs-next-${(n * 2_654_435_761) % 4_294_967_296}-${n.toString(36)}`,
    event_name: isOrder ? "Order Completed" : "page",
    event_type: isOrder ? "track" : "page",
    source: "shop",
    user_id: user,
    anonymous_id: device,
    session_id: `s-${Math.floor(n / 200).toString(36)}`,
    event_time: at,
    received_at: at + 345_678,
    sent_at: at + 222_222,
    client_seq: n,
    app_name: "shop",
    app_version: "4.2.1",
    sdk: "analytics.js/2.11.1",
    page_url: `https://shop.example.com/products/${product}?ref=home`,
    page_path: `/products/${product}`,
    page_host: "shop.example.com",
    page_title: `Product ${product}`,
    referrer: "https://search.example.com/",
    locale: "de-DE",
    os: "Mac OS",
    browser: "Chrome",
    device_type: "desktop",
    country: "DE",
    city: "Munich",
    ...(isOrder && { revenue: 19.99, currency: "EUR" }),
    properties: { category: "shoes", sku: `SKU-${product}`, price: "59.9" },
    log_shard: 0,
    log_seq: seq,
  };
}

const stateDir = mkdtempSync(join(tmpdir(), "timeline-bench-"));
const modules = await bundleWorker({
  entry: `export * from "./timeline-worker.ts"; export { default } from "./timeline-worker.ts";`,
  folder: new URL("bench", import.meta.url).pathname,
  name: "bench-timeline",
});
const object = (className: string) => ({ className, useSQLite: true });
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: 0,
    cf: {},
    workers: [
      {
        name: "bench-timeline",
        ...v4Modules(modules),
        compatibilityDate: "2026-08-15",
        compatibilityFlags: ["nodejs_compat"],
        durableObjects: {
          USER_TIMELINE: object("UserTimeline"),
          BARE: object("BareTimeline"),
          COUNTED: object("CountedTimeline"),
          SINK_CURSOR: object("SinkCursor"),
        },
      },
    ],
  }),
  resourcePersistencePath: stateDir,
});
let origin = "";
try {
  origin = (await miniflare.ready).origin;
  await manyUsers();
  await hotUser();
  await rows();
  await importThroughSink();
  await reads();
} finally {
  await miniflare.dispose();
  rmSync(stateDir, { recursive: true, force: true });
}

async function manyUsers(): Promise<void> {
  const flush = (round: number) =>
    Array.from({ length: USERS * EVENTS_PER_FLUSH }, (_, i) =>
      eventOf(
        round * EVENTS_PER_FLUSH + (i % EVENTS_PER_FLUSH),
        round,
        `user-${Math.floor(i / EVENTS_PER_FLUSH)}`,
        "d",
      ),
    );
  for (const [title, rounds] of [
    ["first flush of new users", [1]],
    ["later flushes", Array.from({ length: FLUSHES }, (_, i) => i + 2)],
  ] as const) {
    console.log(`\n${title}: ${USERS} users, ${EVENTS_PER_FLUSH} events each, ${SESSIONS.callsAtOnce} at once`);
    const answers = { bare: [] as Appended[], timeline: [] as Appended[] };
    // In turns, so that a noisy machine disturbs both.
    for (const round of rounds) {
      for (const path of PATHS) answers[path].push(await post<Appended>(`/${path}`, flush(round)));
    }
    const msPerFlush = { bare: 0, timeline: 0 };
    for (const path of PATHS) {
      const times = answers[path].flatMap((answer) => answer.times);
      const ms = answers[path].reduce((sum, answer) => sum + answer.ms, 0);
      msPerFlush[path] = ms / times.length;
      const events = perSecond(times.length * EVENTS_PER_FLUSH, ms);
      report(path, times, `${perSecond(times.length, ms)} flushes/s, ${events} events/s`);
    }
    console.log(`  ratio of time per flush to the bare object: ${(msPerFlush.timeline / msPerFlush.bare).toFixed(2)}`);
  }
  const { answer } = await get<EventsPage>("/events", { user: "user-7", limit: "1000" });
  expectEqual("a user's events", answer.events.length, EVENTS_PER_FLUSH * (FLUSHES + 1));
}

async function hotUser(): Promise<void> {
  console.log(`\nhot user: flushes of ${HOT_EVENTS} events, one after another`);
  const times = { bare: [] as number[], timeline: [] as number[] };
  for (let flush = 0; flush < HOT_FLUSHES + WARM_UP; flush++) {
    const events = Array.from({ length: HOT_EVENTS }, (_, i) =>
      eventOf(flush * HOT_EVENTS + i, flush + 1, "hot", `device-${i % 3}`),
    );
    for (const path of PATHS) {
      const { ms } = await post<Appended>(`/${path}`, events);
      if (flush >= WARM_UP) times[path].push(ms);
    }
  }
  for (const path of PATHS) report(path, times[path], `${perSecond(HOT_EVENTS, quantile(times[path], 0.5))} events/s`);
  const ratio = quantile(times.timeline, 0.5) / quantile(times.bare, 0.5);
  console.log(`  ratio of medians to the bare object: ${ratio.toFixed(2)}`);
  const { answer } = await get<Profile>("/profile", { user: "hot" });
  expectEqual("the hot user's events", answer.events, HOT_EVENTS * (HOT_FLUSHES + WARM_UP));
}

async function rows(): Promise<void> {
  console.log("\nrows written, tables included (the alarm of a new object is one more):");
  for (const perFlush of [1, 5, 20, 100, 1_000]) {
    const events = Array.from({ length: Math.max(1_000, perFlush * 10) }, (_, i) =>
      eventOf(i, Math.floor(i / perFlush) + 1, "counted", "d"),
    );
    const { rowsWritten } = await post<{ rowsWritten: number }>(`/counted?user=counted-${perFlush}`, events);
    const flushes = events.length / perFlush;
    console.log(
      `  flushes of ${perFlush}: ${(rowsWritten / flushes).toFixed(2)} rows a flush, ${(rowsWritten / events.length).toFixed(4)} rows an event`,
    );
  }
}

async function importThroughSink(): Promise<void> {
  let ms = 0;
  for (let from = 0; from < IMPORT_EVENTS; from += SESSIONS.stepEvents) {
    const seq = from / SESSIONS.stepEvents + 1;
    const step = Array.from({ length: Math.min(SESSIONS.stepEvents, IMPORT_EVENTS - from) }, (_, i) =>
      eventOf(from + i, seq, null, `import-${((from + i) * 7_919) % IMPORT_DEVICES}`),
    );
    ms += (await post<{ ms: number }>("/sink", step)).ms;
  }
  console.log(
    `\nimport of ${IMPORT_EVENTS} events by ${IMPORT_DEVICES} devices through the sink: ${(ms / 1_000).toFixed(1)} s`,
  );
}

async function reads(): Promise<void> {
  const orders = new Set<string>();
  for (let from = 0; from < LARGE_EVENTS; from += 4_000) {
    const events = Array.from({ length: 4_000 }, (_, i) => {
      const n = from + i;
      const event = eventOf(n, from / 4_000 + 1, "large", n % 30_000 === 12_345 ? "rare" : `device-${n % 3}`);
      if (event.event_name === "Order Completed") orders.add(event.event_id);
      return event;
    });
    await post("/timeline", events);
  }
  const last = START + LARGE_EVENTS * SECOND_US + 20 * 8 * 3_600 * SECOND_US;
  console.log(`\nreads of a user with ${LARGE_EVENTS} events, in the Worker that asks:`);
  const deep = (i: number) => String(last - Math.floor((i / READS) * 0.9 * (last - START)));
  await timeReads("newest 100", "/events", () => ({ limit: "100" }));
  await timeReads("100 somewhere in the past", "/events", (i) => ({ limit: "100", to: deep(i) }));
  await timeReads("newest 1,000", "/events", () => ({ limit: "1000" }));
  await timeReads("a device with 3 events", "/events", () => ({ limit: "100", device: "rare" }));
  await timeReads("50 sessions", "/sessions", () => ({}));
  await timeReads("profile", "/profile", () => ({}));

  const seen = new Set<string>();
  let found = 0;
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: EventsPage = (await get<EventsPage>("/events", { user: "large", limit: "1000", cursor })).answer;
    for (const event of page.events) {
      seen.add(event.event_id);
      if (orders.has(event.event_id)) found++;
    }
    cursor = page.next;
  }
  expectEqual("events on all pages", seen.size, LARGE_EVENTS);
  expectEqual("orders among them", found, orders.size);
  const { answer: profile } = await get<Profile>("/profile", { user: "large" });
  expectEqual("revenue in cents", Math.round(profile.revenue.EUR! * 100), orders.size * 1_999);
  const { answer: sessions } = await get<SessionSummary[]>("/sessions", { user: "large" });
  expectEqual(
    "sessions",
    sessions.map(({ events }) => events).join(),
    new Array(LARGE_EVENTS / 5_000).fill(5_000).join(),
  );
}

async function timeReads(title: string, path: string, query: (i: number) => Record<string, string>): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < READS + WARM_UP; i++) {
    const { ms } = await get(path, { user: "large", ...query(i % READS) });
    if (i >= WARM_UP) times.push(ms);
  }
  report(title, times);
}

interface Appended {
  readonly ms: number;
  readonly times: number[];
}

function post<T>(path: string, events: readonly EventRow[]): Promise<T> {
  return send("POST", path, JSON.stringify(events));
}

function get<T>(path: string, query: Record<string, string>): Promise<{ ms: number; answer: T }> {
  return send("GET", `${path}?${new URLSearchParams(query)}`);
}

/** A connection each: one that was busy for many seconds is closed by workerd, and fetch would take it again. */
function send<T>(method: string, path: string, body = ""): Promise<T> {
  return new Promise((resolve, reject) => {
    const sent = request(origin + path, { method, agent: false }, (response) => {
      text(response).then((answer) => {
        if (response.statusCode === 200) resolve(JSON.parse(answer) as T);
        else reject(new Error(`${path}: ${response.statusCode} ${answer}`));
      }, reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function report(title: string, times: readonly number[], more = ""): void {
  const [middle, high] = [quantile(times, 0.5), quantile(times, 0.95)].map((ms) => ms.toFixed(2));
  console.log(`  ${title.padEnd(28)} p50 ${middle} ms, p95 ${high} ms${more && `, ${more}`}`);
}

function perSecond(count: number, ms: number): string {
  return Math.round((count / ms) * 1_000).toLocaleString("en");
}
