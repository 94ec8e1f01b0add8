/**
 * `npm run demo [-- --rate N --seed N --run NAME]`: visitors of a made-up shop, into a running system (EVENTPILE_URL,
 * PORT or 8787), about 7 events a second. `npm start` runs it unless told --no-demo.
 *
 * Each visitor's calls go as their browser or app would send them: in a request of their own, with their user agent,
 * from their country (headers that only a local run heeds).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { keepShopDashboard } from "./demo/dashboard.ts";
import { traffic } from "./demo/traffic.ts";
import type { Visitor } from "./demo/visitor.ts";
import { LOCAL_TOKEN, LOCAL_WRITE_KEY } from "./local/credentials.ts";
import { systemUrl } from "./local/running-system.ts";

const values = readOptions();
const eventsPerSecond = Number(values.rate);
if (!(eventsPerSecond > 0 && eventsPerSecond <= 1_000)) {
  console.error("demo: --rate must be a number of events per second, up to 1000");
  process.exit(2);
}

/** A browser's library gathers calls for about as long. */
const FLUSH_MS = 500;
const GIVE_UP_MS = 60_000;

const url = systemUrl();
let sent = 0;
let lastSuccess = Date.now();
let stopped = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    stopped = true;
  });
}
// The pipe closes when the parent is gone, however it went.
if (values.child) process.stdin.resume().once("end", () => process.exit(0));

await Promise.all([run(), keepDashboard()]);

async function run(): Promise<void> {
  const stream = traffic({ seed: Number(values.seed), from: Date.now(), eventsPerSecond, run: values.run });
  let flushAt = Date.now() + FLUSH_MS;
  let waiting = new Map<Visitor, object[]>();
  for (const { at, visitor, event } of stream) {
    while (at > flushAt && !stopped) {
      await sleep(Math.max(0, flushAt - Date.now()));
      await Promise.all([...waiting].map(([from, events]) => post(from, events)));
      waiting = new Map();
      flushAt += FLUSH_MS;
      if (!values.child && Math.floor(flushAt / 10_000) !== Math.floor((flushAt - FLUSH_MS) / 10_000)) {
        console.log(`${sent} events sent to ${url}`);
      }
    }
    if (stopped) break;
    const events = waiting.get(visitor);
    if (events) events.push(event);
    else waiting.set(visitor, [event]);
  }
}

/** Only where nobody has made a dashboard yet. What fails here fails quietly: the traffic is what the demo is for. */
async function keepDashboard(): Promise<void> {
  const ask = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const headers = { authorization: `Bearer ${LOCAL_TOKEN}` };
    const response = await fetch(url + path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}`);
    return response.json();
  };
  try {
    const { dashboards } = (await ask("GET", "/v1/dashboards")) as { dashboards: readonly unknown[] };
    if (dashboards.length === 0) await keepShopDashboard(ask);
  } catch (error) {
    if (!values.child) console.warn(`demo: no dashboard was made: ${String(error)}`);
  }
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        rate: { type: "string", default: "7" },
        seed: { type: "string", default: "1" },
        run: { type: "string", default: Date.now().toString(36) },
        /** Started by `npm start`: says nothing, and ends with it. */
        child: { type: "boolean", default: false },
      },
    }).values;
  } catch {
    console.error("usage: npm run demo -- [--rate EVENTS_PER_SECOND] [--seed NUMBER] [--run NAME]");
    process.exit(2);
  }
}

/** Demo traffic is not worth a retry queue: what a moment's failure loses was never acknowledged. */
async function post(visitor: Visitor, batch: readonly object[]): Promise<void> {
  const { place, device } = visitor;
  try {
    const response = await fetch(`${url}/v1/batch`, {
      method: "POST",
      headers: {
        authorization: `Basic ${Buffer.from(`${process.env.EVENTPILE_WRITE_KEY || LOCAL_WRITE_KEY}:`).toString("base64")}`,
        "content-type": "application/json",
        "user-agent": device.userAgent,
        "x-eventpile-country": place.country,
        // Headers are Latin-1: names beyond it lose their accents.
        "x-eventpile-region": plain(place.region),
        "x-eventpile-city": plain(place.city),
      },
      body: JSON.stringify({ batch, sentAt: new Date().toISOString() }),
      signal: AbortSignal.timeout(10_000),
    });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`answered ${response.status}`);
    sent += batch.length;
    lastSuccess = Date.now();
  } catch (error) {
    if (stopped || Date.now() - lastSuccess < GIVE_UP_MS) return;
    console.error(`demo: ${url} takes no events: ${String(error)}`);
    process.exit(1);
  }
}

function plain(name: string): string {
  return name.normalize("NFD").replaceAll(/\p{M}/gu, "");
}
