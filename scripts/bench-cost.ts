/**
 * `npm run bench:cost [-- --quick]`: what a million events cost, and a month, at 100, 7,000 and 100,000 events/s, from
 * operations counted in a running system and list prices (r2-layout/prices.ts).
 *
 * One shard is run at its share of each rate, with real traffic in real time, long enough to hold a minute's cron; what it
 * uses is multiplied. Fresh files are then merged, and that is counted too. Storage is what the run stored for an event,
 * kept as long as it is kept: the log 30 days, the lake two years, ids for the dedup window and a day, timelines 30 days.
 * What an event takes there is that of a person with a month's events, because the newest ones are not packed yet.
 * Processor time is that of the whole runtime, so with the local queues': more than a bill would hold.
 *
 * Baseline, from the same list: one queue message and one row for every event, and Snowplow's own stack.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { LOG, TIMELINE } from "../r2-layout/limits.ts";
import { PRICES } from "../r2-layout/prices.ts";
import { ORIGIN_HEADERS, type RunningSystem, startSystem } from "../test/system/harness.ts";
import { costToday } from "../workers/edge/operations/cost-today.ts";
import type { OperationsJson } from "../workers/operations-json.ts";
import { CostLoad } from "./bench/cost-load.ts";
import { count } from "./bench/figures.ts";
import { R2_FREE, R2_WRITES, REFERENCES } from "./bench/prices.ts";
import { reconnecting } from "./bench/steady-load.ts";
import type { UsageReport } from "./local/meter/usage.ts";
import { RUNTIMES, type RuntimeName } from "./local/run-file.ts";

const quick = process.argv.includes("--quick");
const WINDOW_MS = quick ? 15_000 : 60_000;
const WARM_MS = quick ? 3_000 : 10_000;
const RATES = [
  { perSecond: 100, shards: 1 },
  { perSecond: 7_000, shards: 16 },
  { perSecond: 100_000, shards: 256 },
] as const;
const SIZES = [
  { eventsPerRequest: 20, budget: 0.3 },
  { eventsPerRequest: 5, budget: 0.75 },
] as const;
const LAKE_MONTHS = 24;
/** Of one person: 7,000 a second are those of ten million people. */
const EVENTS_A_MONTH = 1_800;
/** By so much the operations page's estimate may be off; it was 0.85 to 1.00 of the bill. */
const ESTIMATE_OFF = 1.5;
const MONTH_DAYS = 30;
const MONTH_S = MONTH_DAYS * 86_400;
const MILLION = 1e6;

type Sums = Readonly<Record<string, number>>;
/** Dollars by component, and what they are paid for. */
type Components = Record<string, Record<string, number>>;

interface Counted {
  readonly events: number;
  readonly requests: number;
  readonly cpuMs: number;
  readonly live: Sums;
  readonly upkeep: Sums;
  /** Of an event: packed in the log, in the lake once merged, and in objects by class. */
  readonly logBytes: number;
  readonly lakeBytes: number;
  readonly objectBytes: Readonly<Record<string, number>>;
  /** Dollars a million, as the operations page would estimate them for the same window. */
  readonly estimate: number | null;
}

async function measure(eventsPerSecond: number, eventsPerRequest: number): Promise<Counted> {
  const on = await startSystem({ meter: true });
  try {
    const load = new CostLoad(on, { eventsPerSecond, eventsPerRequest });
    await load.meetEverybody();
    await settled(on);
    load.start();
    await sleep(WARM_MS);
    const opening = await operations(on);
    const before = sumsOf(await reconnecting(() => on.usage(true)));
    const [events, requests, cpu] = [load.events, load.requests, cpuMs(on.options.dir)];
    await sleep(WINDOW_MS);
    const live = sumsOf(await reconnecting(() => on.usage(true)));
    const counted = {
      events: load.events - events,
      requests: load.requests - requests,
      cpuMs: cpuMs(on.options.dir) - cpu,
    };
    const closing = await operations(on);
    await load.stop();
    await settled(on);
    const { accepted, lake } = (await reconnecting(() => on.ledger())).total;
    if (accepted !== load.events || lake !== load.events) {
      throw new Error(`${load.events} events were sent, ${accepted} accepted, ${lake} are in the lake`);
    }
    await reconnecting(() => on.usage(true));
    await reconnecting(() => on.maintain());
    const upkeep = sumsOf(await reconnecting(() => on.usage(true)));
    const { rows } = await reconnecting(() => on.sql("select count(*) from events"));
    // What was counted is what was sent: a request is one message of the only shard, but for those on their way at the ends.
    const messages = live["queue/EVENTS_0 messages"] ?? 0;
    if (Math.abs(messages / counted.requests - 1) > 0.1) {
      throw new Error(`${messages} messages were counted for ${counted.requests} requests`);
    }
    if (rows[0]![0] !== load.events) throw new Error(`SQL counts ${String(rows[0]![0])}, not ${load.events}`);
    const grown = (name: string) => ((live[name] ?? 0) - (before[name] ?? 0)) / counted.events;
    return {
      ...counted,
      estimate: estimateOf(opening, closing, { rows: load.events, bytes: await lakeBytes(on) }),
      live,
      upkeep: scaled(upkeep, counted.events / load.events),
      logBytes: (live["r2/put log bytes"] ?? 0) / counted.events,
      lakeBytes: (await lakeBytes(on)) / load.events,
      objectBytes: {
        ...Object.fromEntries(
          Object.keys(live)
            .filter((name) => name.endsWith(" database bytes"))
            .map((name) => [name.replace(" database bytes", ""), Math.max(0, grown(name))]),
        ),
        UserTimeline: await timelineBytes(on, load),
      },
    };
  } finally {
    await on.stop();
  }
}

const operations = (on: RunningSystem) => reconnecting(() => on.read<OperationsJson>("/v1/operations"));

/** @param lake once its files are merged, as the bill counts it. */
function estimateOf(from: OperationsJson, to: OperationsJson, lake: { rows: number; bytes: number }): number | null {
  const [was, is] = [from.ledger.today, to.ledger.today];
  const day = {
    events: is.events - was.events,
    messages: is.messages - was.messages,
    segments: is.segments - was.segments,
    bytes: is.bytes - was.bytes,
  };
  return costToday(day, { ...lake, commits: to.lake.commits_today - from.lake.commits_today }).dollars_per_million;
}

const settled = (on: RunningSystem) => reconnecting(() => on.settled());

/** What each event of a long timeline takes. */
async function timelineBytes(on: RunningSystem, load: CostLoad): Promise<number> {
  const bytes = async () => sumsOf(await reconnecting(() => on.usage()))["UserTimeline database bytes"] ?? 0;
  const before = await bytes();
  await load.month(EVENTS_A_MONTH);
  await settled(on);
  return ((await bytes()) - before) / EVENTS_A_MONTH;
}

async function lakeBytes(on: RunningSystem): Promise<number> {
  const url = `${on.url}/metrics`;
  const metrics = await reconnecting(async () => (await fetch(url, { headers: ORIGIN_HEADERS.read })).text());
  const [, bytes] = /^eventpile_lake_bytes (\d+)$/m.exec(metrics) ?? [];
  if (bytes === undefined) throw new Error("the metrics do not say how many bytes the lake has");
  return Number(bytes);
}

/** Dollars for a million events, by component. */
function priced(run: Counted): Components {
  const perMillion = MILLION / run.events;
  const both = [run.live, run.upkeep];
  const total = (matches: (name: string) => boolean) =>
    both.reduce(
      (sum, sums) => sum + Object.entries(sums).reduce((part, [name, n]) => part + (matches(name) ? n : 0), 0),
      0,
    );
  const components: Components = {};
  const add = (component: string, what: string, dollars: number) => {
    components[component] ??= {};
    components[component][what] = (components[component][what] ?? 0) + dollars * perMillion;
  };
  add("requests", "from senders", run.requests * PRICES.workerRequest);
  const invocations = total((name) => name === "handler queue" || name === "handler scheduled");
  add("requests", "consumers and cron", invocations * PRICES.workerRequest);
  add("processor", "of the whole runtime", run.cpuMs * PRICES.cpuMs);
  for (const sums of both) {
    for (const [name, n] of Object.entries(sums)) {
      const [, queue] = /^queue\/(\w+) units$/.exec(name) ?? [];
      if (queue)
        add(queue.startsWith("EVENTS_") ? "events queues" : "wake-ups", "operations", 3 * n * PRICES.queueOperation);
      const [, call] = /^r2\/\w+\.(\w+)$/.exec(name) ?? [];
      if (call && !R2_FREE.has(call))
        add("R2 operations", call, n * (R2_WRITES.has(call) ? PRICES.r2Write : PRICES.r2Read));
      const [, binding] = /^object\/(\w+)\./.exec(name) ?? [];
      if (binding) add(classOf(binding), "calls", n * PRICES.objectRequest);
      const [, className, what] = /^(\w+) (alarms|rows read|rows written|active ms)$/.exec(name) ?? [];
      if (className) add(className, what!, n * OBJECT_PRICES[what as keyof typeof OBJECT_PRICES]);
    }
  }
  const stored = MILLION / perMillion;
  add("log, 30 days", "bytes", stored * run.logBytes * PRICES.r2ByteMonth);
  add("lake, two years", "bytes", stored * run.lakeBytes * PRICES.r2ByteMonth * LAKE_MONTHS);
  for (const [className, bytes] of Object.entries(run.objectBytes)) {
    const months = (KEPT_DAYS[className] ?? MONTH_DAYS) / MONTH_DAYS;
    add(className, "bytes", stored * bytes * PRICES.objectByteMonth * months);
  }
  return components;
}

const OBJECT_PRICES = {
  alarms: PRICES.objectRequest,
  "rows read": PRICES.rowRead,
  "rows written": PRICES.rowWritten,
  "active ms": PRICES.objectMs,
} as const;

/** How long an object keeps what an event adds to it. */
const KEPT_DAYS: Readonly<Record<string, number>> = {
  EventLog: LOG.dedupWindowDaysMin + 1,
  UserTimeline: TIMELINE.daysKept,
};

/** `EVENT_LOG` is bound to the class EventLog. */
const classOf = (binding: string): string =>
  binding
    .toLowerCase()
    .split("_")
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
    .join("");

/** Calls that this benchmark's own questions made are among them: a handful. */
function sumsOf(reports: readonly UsageReport[]): Sums {
  const sums: Record<string, number> = {};
  for (const report of reports) {
    for (const [name, n] of Object.entries(report.sums)) sums[name] = (sums[name] ?? 0) + n;
  }
  return sums;
}

const scaled = (sums: Sums, by: number): Sums =>
  Object.fromEntries(Object.entries(sums).map(([name, n]) => [name, n * by]));

/** Processor time of the runtimes so far, by the kernel's count of hundredths. */
function cpuMs(dir: string): number {
  const run = JSON.parse(readFileSync(join(dir, "run.json"), "utf8")) as Record<RuntimeName, { pid: number }>;
  return sumOf(
    RUNTIMES.map((name) => {
      const fields = readFileSync(`/proc/${run[name].pid}/stat`, "utf8").split(") ")[1]!.split(" ");
      return (Number(fields[11]) + Number(fields[12])) * 10;
    }),
  );
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const sumOf = (costs: readonly number[]) => costs.reduce((sum, cost) => sum + cost, 0);
const dollars = (n: number) => `$${n < 0.1 ? n.toFixed(4) : n.toFixed(3)}`;

let over = 0;
for (const { eventsPerRequest, budget } of SIZES) {
  for (const { perSecond, shards } of RATES) {
    if (quick && (perSecond !== 7_000 || eventsPerRequest !== 20)) continue;
    const run = await measure(perSecond / shards, eventsPerRequest);
    const components = priced(run);
    const costs = Object.entries(components).map(([name, parts]) => ({
      name,
      parts,
      cost: sumOf(Object.values(parts)),
    }));
    const sum = sumOf(costs.map(({ cost }) => cost));
    const month = (sum * perSecond * MONTH_S) / MILLION;
    console.log(
      `\n${count(perSecond)} events/s, ${eventsPerRequest} a request, ${shards} shards (${count(run.events)} events counted): ` +
        `${dollars(sum)} a million, budget ${dollars(budget)}; $${count(month)} a month`,
    );
    for (const { name, parts, cost } of costs.sort((a, b) => b.cost - a.cost)) {
      const detail = Object.entries(parts)
        .sort(([, a], [, b]) => b - a)
        .map(([what, part]) => `${what} ${dollars(part)}`);
      console.log(
        `  ${name.padEnd(16)} ${dollars(cost).padStart(8)}  ${((100 * cost) / sum).toFixed(0).padStart(3)} %  ` +
          `$${count((cost / sum) * month)} a month  (${detail.join(", ")})`,
      );
    }
    console.log(
      `  ${(sum / REFERENCES.messageAndRowPerEvent).toFixed(3)} of a message and a row per event (${dollars(REFERENCES.messageAndRowPerEvent)}), ` +
        `${(sum / REFERENCES.snowplow).toFixed(2)} of Snowplow's own stack (${dollars(REFERENCES.snowplow)})`,
    );
    if (run.estimate !== null) {
      console.log(
        `  the operations page would say ${dollars(run.estimate)} a million, ${(run.estimate / sum).toFixed(2)} of this`,
      );
      if (Math.abs(Math.log(run.estimate / sum)) > Math.log(ESTIMATE_OFF))
        throw new Error(
          "the operations page's estimate is not that of this bill (workers/edge/operations/cost-today.ts)",
        );
    }
    if (sum > budget) over++;
  }
}
console.log("\nchecked: every event that was sent is in the ledger and in SQL, every request one message");
if (over > 0) console.log(`over budget: ${over}`);
