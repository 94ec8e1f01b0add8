/**
 * `npm run bench:replay`: what a replay beside live traffic costs those who wait for their events. A million events are
 * stored; then 500 events/s go on with probes, first alone, then beside a rebuild of all of them; the delays of both are
 * printed with their ratio, which is not to be more than 2. `--quick`: fewer events, for a look.
 *
 * A probe is one event of a user of its own, in a currency of its own (as in bench-delays.ts): the frame that names the
 * currency holds the probe. The clock starts when the request that carried it was answered with 2xx.
 */
import { parseArgs } from "node:util";
import { type RunningSystem, startSystem } from "../test/system/harness.ts";
import { count, expectEqual, quantile } from "./bench/figures.ts";
import { type ProbeDelays, Probes } from "./bench/probes.ts";
import { reconnecting, SteadyLoad } from "./bench/steady-load.ts";
import { BatchSender } from "./import/batch-sender.ts";
import { syntheticEvents } from "./rebuild/synthetic.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    events: { type: "string" },
    seconds: { type: "string" },
    sinks: { type: "string", default: "rollups,sessions" },
    rate: { type: "string" },
  },
});
const EVENTS = Number(values.events ?? (values.quick ? 20_000 : 1_000_000));
const SECONDS = Number(values.seconds ?? (values.quick ? 10 : 60));
const EVENTS_PER_SECOND = 500;
const BUDGET_RATIO = 2;
const SETTLE_MS = 600_000;
const STORES = ["frame", "timeline", "sql"] as const;

const system = await startSystem();
try {
  await bench(system);
} catch (error) {
  console.error(system.output.slice(-4_000));
  throw error;
} finally {
  await system.stop();
}

async function bench(on: RunningSystem): Promise<void> {
  const started = performance.now();
  const sender = new BatchSender({ url: on.url });
  for (const event of syntheticEvents(EVENTS, Date.now() - 60_000)) await sender.add(event);
  await sender.finish();
  await on.settled(SETTLE_MS);
  await on.maintain();
  console.log(`${count(EVENTS)} events stored in ${((performance.now() - started) / 1_000).toFixed(0)} s`);

  const load = new SteadyLoad(on, EVENTS_PER_SECOND);
  await new Promise((resolve) => setTimeout(resolve, values.quick ? 2_000 : 5_000));
  const alone = await probed(on, "alone", async () => true);
  const replay = await begin(on);
  const beside = await probed(on, "replay", async () => (await jobOf(on, replay)).state !== "running");
  const job = await ended(on, replay);
  const sent = await load.stop();

  const { balanced, total } = await on.settled(SETTLE_MS);
  const probes = alone.length + beside.length;
  expectEqual("the ledger balances", balanced, true);
  for (const store of ["lake", "sessions", "rollups"] as const) {
    expectEqual(`events in ${store}`, total[store], EVENTS + sent + probes);
  }
  const [[rows]] = (await on.sql("select count(*) from events")).rows as [[number]];
  expectEqual("rows in SQL", rows, EVENTS + sent + probes);
  const points = await on.rollups({ metric: "events", grain: "day", from: day(-40), to: day(1) });
  expectEqual(
    "events in the daily figures",
    points.reduce((sum, { value }) => sum + value, 0),
    EVENTS + sent + probes,
  );
  report(alone, beside, job);
}

interface Job {
  readonly state: string;
  readonly error: string | null;
  readonly progress: { readonly events: number; readonly events_per_second: number };
  readonly comparison:
    | readonly { readonly sink: string; readonly identical: boolean; readonly differences: string[] }[]
    | null;
  readonly started_at: string;
  readonly updated_at: string;
}

function jobOf(on: RunningSystem, id: string): Promise<Job> {
  return reconnecting(() => on.read<Job>(`/v1/replays/${id}`));
}

async function begin(on: RunningSystem): Promise<string> {
  const body = { sinks: values.sinks.split(","), mode: "rebuild", ...(values.rate && { rate: Number(values.rate) }) };
  return (await on.read<{ id: string }>("/v1/replays", body)).id;
}

/** Sends a probe each half second, for the time given, and beyond it until `over`, at most ten times as long. */
async function probed(on: RunningSystem, name: string, over: () => Promise<boolean>): Promise<ProbeDelays[]> {
  const probes = await Probes.open(on, name);
  const until = performance.now() + SECONDS * 1_000;
  const giveUp = performance.now() + SECONDS * 10_000;
  while (performance.now() < until || (performance.now() < giveUp && !(await over()))) await probes.next();
  return probes.done();
}

async function ended(on: RunningSystem, id: string): Promise<Job> {
  for (;;) {
    const job = await jobOf(on, id);
    if (job.state === "failed") throw new Error(`the replay failed: ${JSON.stringify(job)}`);
    if (job.state !== "running") return job;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function report(alone: readonly ProbeDelays[], beside: readonly ProbeDelays[], job: Job): void {
  const seconds = (Date.parse(job.updated_at) - Date.parse(job.started_at)) / 1_000;
  const { events } = job.progress;
  console.log(
    `rebuild of ${values.sinks}: ${count(events)} events read in ${seconds.toFixed(0)} s, ${count(events / seconds)}/s`,
  );
  for (const { sink, identical, differences } of job.comparison ?? []) {
    console.log(`  ${sink}: ${identical ? "the same as before" : `differs: ${differences.slice(0, 3).join("; ")}`}`);
  }
  console.log(`probes: ${alone.length} alone, ${beside.length} beside the rebuild`);
  console.log("store      alone p50      p95   beside p50      p95   ratio of p95");
  for (const store of STORES) {
    const at = (delays: readonly ProbeDelays[], q: number) =>
      quantile(
        delays.map((delay) => delay[store]),
        q,
      );
    const ratio = at(beside, 0.95) / at(alone, 0.95);
    const cells = [at(alone, 0.5), at(alone, 0.95), at(beside, 0.5), at(beside, 0.95)].map((ms) =>
      ms.toFixed(0).padStart(8),
    );
    const [a, b, c, d] = cells;
    const met = ratio <= BUDGET_RATIO ? "met" : "MISSED";
    console.log(`${store.padEnd(10)} ${a} ${b}     ${c} ${d}   ${ratio.toFixed(2)} (${BUDGET_RATIO}) ${met}`);
    if (!Number.isFinite(at(beside, 1))) throw new Error(`a probe was not seen in ${store}`);
  }
}

function day(back: number): string {
  return new Date(Math.floor(Date.now() / 86_400_000 + back) * 86_400_000).toISOString();
}
