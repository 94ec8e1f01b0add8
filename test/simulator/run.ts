/** One run: a world, its traffic and faults, then calm, then the audit. A function of its seed. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Random } from "../../scripts/demo/random.ts";
import { audit } from "./audit.ts";
import { codec } from "./codec/codec.ts";
import { loadRealReader } from "./codec/parquet-reader.ts";
import { loadRealWriter } from "./codec/parquet-writer.ts";
import { planColumns } from "./columns.ts";
import { planDamage, planRedrives } from "./damage.ts";
import { planErasures } from "./erasures.ts";
import { Operations } from "./operations.ts";
import { type Scenario, scenarioOf } from "./scenarios.ts";
import { runFor, settle } from "./settle.ts";
import { tightenLimits } from "./tight-limits.ts";
import { planTiles, TILE_HANGS } from "./tiles.ts";
import { Traffic } from "./traffic.ts";
import { World } from "./world.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

export interface RunResult {
  readonly seed: number;
  /** Of all that happened, in order. */
  readonly hash: string;
  /** What the audit found wrong; empty where the run passed. */
  readonly failures: readonly string[];
  readonly faults: ReadonlyMap<string, number>;
  readonly events: number;
  readonly acknowledged: number;
  readonly realParquet: boolean;
}

/** In a long span they are enough for what they are to race with. */
const TIMES_MAX = 16;

/** One run in so many encodes the lake's files with the real encoder. */
const REAL_PARQUET_EVERY = 400;

/** What happens beside what the seed draws: then it is another run. */
export interface Beside {
  /** Columns are promoted. */
  readonly columns?: boolean;
  /** Custom rollups are defined. */
  readonly tiles?: boolean;
  /** People are erased, or kept out. */
  readonly erasures?: boolean;
}

export async function runSeed(
  seed: number,
  trace: ((text: string) => void) | null = null,
  beside: Beside = {},
): Promise<RunResult> {
  const random = new Random(seed ^ 0x5eed);
  const realParquet = seed % REAL_PARQUET_EVERY === 0;
  if (realParquet) await loadRealParquet();
  const world = new World({ seed, shards: random.pick([[1], [1], [2], [1, 2]]), realParquet, trace });
  const scenario = scenarioOf(seed);
  world.weather.count("scenario", scenario.name);
  world.weather.aim(beside.tiles ? { ...scenario, hangs: [...scenario.hangs, ...TILE_HANGS] } : scenario);
  const damages = random.chance(scenario.damage);
  const traffic = new Traffic(world, random.chance(scenario.oddities), scenario);
  const operates = random.chance(scenario.operations);
  const restoreLimits = tightenLimits(random, world.weather, operates, scenario);
  const operations = new Operations(world, scenario);
  const failures: string[] = [];
  const columns = beside.columns ? planColumns(world, seed) : new Map();
  if (beside.tiles) planTiles(world, seed);
  if (beside.erasures) planErasures(world, seed);
  try {
    await live(world, traffic, operates ? operations : null, damages, scenario, random);
    await settle(world, traffic, operations, random);
    world.objects.evictAll();
    failures.push(...world.complaints, ...operations.stuck, ...(await audit(world, traffic, columns)));
  } catch (error) {
    failures.push(`the run itself failed: ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    world.close();
    restoreLimits();
  }
  world.scheduler.note(`${traffic.requests} requests, ${traffic.acknowledgements} acknowledged`);
  return {
    seed,
    hash: world.scheduler.hash.toString(16).padStart(8, "0"),
    failures,
    faults: world.weather.fired,
    events: world.scheduler.events,
    acknowledged: traffic.acknowledgements,
    realParquet,
  };
}

/** Traffic under faults: one stretch, or several with hours of silence in between. */
async function live(
  world: World,
  traffic: Traffic,
  operations: Operations | null,
  damages: boolean,
  scenario: Scenario,
  random: Random,
): Promise<void> {
  world.weather.active = true;
  const stretches = random.chance(0.25) ? random.int(2, 3) : 1;
  const requests = random.int(scenario.requests, 4 * scenario.requests);
  for (let stretch = 0; stretch < stretches; stretch++) {
    const spanMs = random.pick(scenario.spansMs);
    world.startCron(spanMs + MINUTE_MS);
    if (random.chance(scenario.splits) && world.shards < 3) splitShards(world, traffic, random);
    traffic.plan(Math.ceil(requests / stretches), spanMs);
    operations?.plan(random.int(1, scenario.operationsMax), scenario.beginWithinMs ?? spanMs + MINUTE_MS);
    if (scenario.outages.length > 0) planOutage(world, scenario.outages, spanMs);
    if (scenario.sweepEveryMs) repeatedly(world, spanMs, scenario.sweepEveryMs, () => world.sweep());
    if (scenario.compactEveryMs)
      repeatedly(world, spanMs + 5 * MINUTE_MS, scenario.compactEveryMs, () => world.compact());
    if (damages && scenario.redriveEveryMs)
      repeatedly(world, spanMs, scenario.redriveEveryMs, () => planRedrives(world, random, 0, 1));
    if (damages) {
      for (let i = random.int(1, scenario.damageMax); i > 0; i--)
        planDamage(world, random, spanMs + 20 * SECOND_MS, scenario);
      if (random.chance(0.5)) {
        const inMs = random.int(1, 20) * MINUTE_MS;
        // Several of them at once: two who look at the same list.
        for (let i = random.int(1, scenario.redrivers); i > 0; i--)
          planRedrives(world, random, inMs + random.int(0, 50), 3);
      }
    }
    await runFor(world, spanMs);
    if (stretch + 1 < stretches) {
      await runFor(world, random.pick([5 * MINUTE_MS, 70 * MINUTE_MS, 9 * HOUR_MS, 25 * HOUR_MS]));
    }
  }
  await runFor(world, random.int(1, 60) * SECOND_MS);
}

function planOutage({ scheduler, weather, random }: World, outages: readonly RegExp[], spanMs: number): void {
  const [inMs, forMs] = [random.next() * spanMs, random.int(2, 8) * MINUTE_MS];
  scheduler.after(inMs, null, "an outage begins", () => {
    weather.outage = random.pick(outages);
  });
  scheduler.after(inMs + forMs, null, "an outage ends", () => {
    weather.outage = null;
  });
}

/** At times drawn around their distance, for a span. */
function repeatedly(world: World, spanMs: number, everyMs: number, run: () => void): void {
  const random = world.random;
  for (
    let at = random.wait(everyMs), times = 0;
    at < spanMs && times < TIMES_MAX;
    at += random.wait(everyMs), times++
  ) {
    world.scheduler.after(at, null, "it is time", run);
  }
}

/** One more number of shards while traffic runs: the objects first, then the pipeline, then the edge, as shards.ts says. */
function splitShards(world: World, traffic: Traffic, random: Random): void {
  const shards = [...world.deployed.objects, world.shards * (world.shards === 1 ? random.pick([2, 2, 3]) : 2)];
  const isNewer = (worker: keyof World["deployed"]) => shards.length > world.deployed[worker].length;
  const steps = [
    () => isNewer("objects") && world.deploy("objects", shards),
    () => isNewer("pipeline") && world.deploy("pipeline", shards),
    () => {
      if (!isNewer("edge")) return;
      world.deploy("edge", shards);
      traffic.deployEdges();
    },
  ];
  let delayMs = random.int(0, 30) * SECOND_MS;
  for (const step of steps) {
    world.pending++;
    world.scheduler.after(delayMs, null, "deploy", () => {
      world.pending--;
      world.weather.count("split", `to ${shards.join()}`);
      step();
    });
    delayMs += random.pick([0, random.int(0, 5_000), random.int(0, 10 * MINUTE_MS)]);
  }
}

async function loadRealParquet(): Promise<void> {
  await Promise.all([loadRealReader(), loadRealWriter()]);
  if (codec.parquet) return;
  // By path: the loader gives the module's importers nothing.
  const path = resolve(import.meta.dirname, "../../node_modules/parquet-wasm/esm/parquet_wasm_bg.wasm");
  const Module = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;
  codec.parquet = new Module(await readFile(path));
}
