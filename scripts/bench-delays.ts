/**
 * `npm run bench:delays`: how long after its acceptance an event is in a websocket frame, in its user's timeline and
 * in SQL, from probes under a load of 500 events/s sent by 50 users in requests of 10.
 *
 * A probe is one event of a user of its own, in a currency of its own: the frame that names the currency holds the
 * probe. The clock of a delay starts when the request that carried the probe was answered with 2xx.
 */
import { ORIGIN_HEADERS, type RunningSystem, startSystem } from "../test/system/harness.ts";

const quick = process.argv.includes("--quick");
const PROBES = quick ? 20 : 200;
const PROBE_EVERY_MS = 500;
const USERS = 50;
const EVENTS_PER_REQUEST = 10;
const EVENTS_PER_SECOND = 500;
const GIVE_UP_MS = 60_000;
const BUDGET_MS = { frame: 2_000, timeline: 10_000, sql: 15_000 } as const;
type Store = keyof typeof BUDGET_MS;

interface Probe {
  readonly index: number;
  readonly user: string;
  readonly eventId: string;
  readonly currency: string;
  acceptedAt: number;
  readonly seenAt: Partial<Record<Store, number>>;
}

const run = Date.now().toString(36);
const probes: Probe[] = Array.from({ length: PROBES }, (_, index) => ({
  index,
  user: `probe-${run}-${index}`,
  eventId: `probe-${run}-${index}`,
  currency: currencyOf(index),
  acceptedAt: 0,
  seenAt: {},
}));

/** Three letters, never a real currency's: QAA, QAB, … */
function currencyOf(index: number): string {
  return `Q${String.fromCharCode(65 + Math.floor(index / 26))}${String.fromCharCode(65 + (index % 26))}`;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function post(on: RunningSystem, events: readonly object[]): Promise<void> {
  const response = await fetch(`${on.url}/v1/events`, {
    method: "POST",
    headers: ORIGIN_HEADERS.write,
    body: JSON.stringify({ events }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`ingest answered ${response.status}: ${text}`);
}

async function sendProbe(on: RunningSystem, probe: Probe): Promise<void> {
  await post(on, [
    {
      event_id: probe.eventId,
      event_name: "probe",
      event_type: "track",
      user_id: probe.user,
      properties: { revenue: 1, currency: probe.currency },
    },
  ]);
  probe.acceptedAt = performance.now();
}

/** Notes, for every frame, which probes' currencies it names. */
async function watchFrames(on: RunningSystem): Promise<WebSocket> {
  const socket = new WebSocket(`${on.url.replace("http", "ws")}/v1/live?token=${on.token}`);
  const byCurrency = new Map(probes.map((probe) => [probe.currency, probe]));
  socket.addEventListener("message", (message) => {
    const frame = JSON.parse(String(message.data)) as { minutes?: { revenue: object }[]; revenue?: object };
    for (const minute of frame.minutes ?? [frame]) {
      for (const currency of Object.keys(minute.revenue ?? {})) {
        const probe = byCurrency.get(currency);
        if (probe) probe.seenAt.frame ??= performance.now();
      }
    }
  });
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("open", () => resolve(), { once: true });
    socket.addEventListener("error", () => reject(new Error("the live socket did not open")), { once: true });
  });
  return socket;
}

/** 50 requests a second, each of 10 events of one of 50 users, until stopped. @returns events accepted. */
function startLoad(on: RunningSystem): { stop(): Promise<number> } {
  let stopped = false;
  let accepted = 0;
  let failed: unknown;
  const inFlight = new Set<Promise<void>>();
  const startedAt = performance.now();
  let requests = 0;
  const timer = setInterval(() => {
    const due = ((performance.now() - startedAt) / 1_000) * (EVENTS_PER_SECOND / EVENTS_PER_REQUEST);
    while (!stopped && requests < due) {
      const user = requests++ % USERS;
      const sent = post(
        on,
        Array.from({ length: EVENTS_PER_REQUEST }, (_, i) => loadEvent(user, requests, i)),
      )
        .then(() => {
          accepted += EVENTS_PER_REQUEST;
        })
        .catch((error) => {
          failed ??= error;
        })
        .finally(() => inFlight.delete(sent));
      inFlight.add(sent);
    }
  }, 5);
  return {
    async stop() {
      stopped = true;
      clearInterval(timer);
      await Promise.all(inFlight);
      if (failed) throw failed;
      const seconds = (performance.now() - startedAt) / 1_000;
      console.log(`load: ${accepted} events in ${seconds.toFixed(1)} s, ${(accepted / seconds).toFixed(0)} events/s`);
      return accepted;
    },
  };
}

function loadEvent(user: number, request: number, index: number): object {
  return {
    event_id: `load-${run}-${request}-${index}`,
    event_name: ["page", "product_viewed", "product_added", "search"][index % 4],
    event_type: index % 4 === 0 ? "page" : "track",
    user_id: `load-user-${user}`,
    anonymous_id: `load-device-${user}`,
    page_path: `/products/${(request * 7 + index) % 200}`,
    properties: { position: index, list: "search results", query: "red shoes" },
  };
}

/** Asks the timeline of each probe's user, and SQL for all open probes at once, until each was seen. */
class Polls {
  readonly #on: RunningSystem;
  readonly #open = new Set<Probe>();
  readonly #timelines: Promise<void>[] = [];
  #closing = false;
  readonly #sql: Promise<void>;

  constructor(on: RunningSystem) {
    this.#on = on;
    this.#sql = this.#pollSql();
  }

  add(probe: Probe): void {
    this.#open.add(probe);
    this.#timelines.push(this.#pollTimeline(probe));
  }

  async done(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#timelines, this.#sql]);
    const until = performance.now() + GIVE_UP_MS;
    while (probes.some((probe) => probe.seenAt.frame === undefined) && performance.now() < until) await sleep(50);
  }

  async #pollTimeline(probe: Probe): Promise<void> {
    while (performance.now() - probe.acceptedAt < GIVE_UP_MS) {
      const response = await fetch(`${this.#on.url}/v1/users/${probe.user}/events`, { headers: ORIGIN_HEADERS.read });
      const page = (await response.json()) as { events: { event_id: string }[] };
      if (page.events.some((event) => event.event_id === probe.eventId)) {
        probe.seenAt.timeline = performance.now();
        return;
      }
      await sleep(100);
    }
  }

  async #pollSql(): Promise<void> {
    let until = Number.POSITIVE_INFINITY;
    while (!this.#closing || (this.#open.size > 0 && performance.now() < until)) {
      if (this.#closing && until === Number.POSITIVE_INFINITY) until = performance.now() + GIVE_UP_MS;
      if (this.#open.size > 0) {
        const answer = await this.#on.sql(
          "select event_id from events where event_name = 'probe' and event_time > now()::timestamp - interval 5 minute",
        );
        const found = new Set(answer.rows.map(([id]) => id));
        for (const probe of this.#open) {
          if (!found.has(probe.eventId)) continue;
          probe.seenAt.sql = performance.now();
          this.#open.delete(probe);
        }
      }
      await sleep(250);
    }
  }
}

function report(loadEvents: number): void {
  console.log(`${PROBES} probes under ${loadEvents} events of load`);
  console.log("store        p50 ms   p95 ms   max ms   budget (p95)");
  let lost = 0;
  for (const store of ["frame", "timeline", "sql"] as const) {
    const delays = probes
      .map((probe) => (probe.seenAt[store] ?? Number.POSITIVE_INFINITY) - probe.acceptedAt)
      .sort((a, b) => a - b);
    lost += delays.filter((ms) => ms === Number.POSITIVE_INFINITY).length;
    const at = (share: number) => delays[Math.min(delays.length - 1, Math.ceil(delays.length * share) - 1)]!;
    const cells = [at(0.5), at(0.95), delays.at(-1)!].map((ms) => ms.toFixed(0).padStart(8)).join(" ");
    console.log(
      `${store.padEnd(10)} ${cells}   ${BUDGET_MS[store]} ${at(0.95) <= BUDGET_MS[store] ? "met" : "MISSED"}`,
    );
  }
  if (lost > 0) {
    console.error(`${lost} probes were accepted and not seen in a store within ${GIVE_UP_MS / 1_000} s`);
    process.exitCode = 1;
  }
}

async function main(): Promise<void> {
  const system = await startSystem({ demo: false });
  try {
    const socket = await watchFrames(system);
    const load = startLoad(system);
    await sleep(quick ? 2_000 : 5_000);
    const polls = new Polls(system);
    for (const probe of probes) {
      await sendProbe(system, probe);
      polls.add(probe);
      await sleep(PROBE_EVERY_MS);
    }
    await polls.done();
    const sent = await load.stop();
    socket.close();
    const { balanced, total } = await system.settled();
    const whole = total.lake === sent + PROBES && total.sessions === sent + PROBES && total.rollups === sent + PROBES;
    if (!balanced || !whole)
      throw new Error(`the ledger does not add up: ${JSON.stringify({ balanced, total, sent })}`);
    console.log(`checked: ${sent + PROBES} events in each store by the ledger, which balances`);
    report(sent);
  } finally {
    await system.stop();
  }
}

await main();
