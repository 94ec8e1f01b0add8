/** The command line of the simulator: see scripts/soak-simulator.ts. */
import { type RunResult, runSeed } from "./run.ts";
import { SCENARIOS, scenarioOf } from "./scenarios.ts";

export interface SoakOptions {
  readonly from: number;
  readonly seeds: number;
  /** Only every `jobs`-th seed. */
  readonly step: number;
  readonly trace: boolean;
  /** A line for each seed with its hash. */
  readonly hashes: boolean;
  /** Only seeds of this scenario; "" for all. Then `seeds` counts those. */
  readonly scenario: string;
  /** Columns are promoted while each run goes on. */
  readonly columns: boolean;
  /** Custom rollups are defined while each run goes on. */
  readonly tiles: boolean;
  /** People are erased, or kept out, while each run goes on. */
  readonly erasures: boolean;
  /** Runs that fail before it stops. */
  readonly failuresMax: number;
  /** A line after so many seeds; 0 for none. */
  readonly progressEvery: number;
}

export interface SoakSummary {
  readonly seeds: number;
  readonly seconds: number;
  readonly events: number;
  readonly acknowledged: number;
  readonly realParquet: number;
  readonly failed: readonly { readonly seed: number; readonly hash: string; readonly failures: readonly string[] }[];
  readonly faults: Readonly<Record<string, number>>;
}

function* seedsOf({ from, seeds, step, scenario }: SoakOptions): Iterable<number> {
  if (scenario === "") for (let seed = from; seed < from + seeds; seed += step) yield seed;
  else if (!SCENARIOS.some(({ name }) => name === scenario)) throw new Error(`no scenario is named ${scenario}`);
  else {
    for (let [seed, left] = [from, seeds]; left > 0; seed++) {
      if (scenarioOf(seed).name !== scenario) continue;
      yield seed;
      left--;
    }
  }
}

export async function soak(options: SoakOptions): Promise<SoakSummary> {
  const say = options.trace ? console.log.bind(console) : null;
  const began = performance.now();
  const faults: Record<string, number> = {};
  const failed: RunResult[] = [];
  let [seeds, events, acknowledged, realParquet] = [0, 0, 0, 0];
  for (const seed of seedsOf(options)) {
    const result = await runSeed(seed, say, options);
    seeds++;
    events += result.events;
    acknowledged += result.acknowledged;
    if (result.realParquet) realParquet++;
    for (const [key, count] of result.faults) faults[key] = (faults[key] ?? 0) + count;
    if (options.hashes) console.log(`seed ${seed} ${result.hash}`);
    if (options.progressEvery > 0 && seeds % options.progressEvery === 0) {
      const rate = seeds / ((performance.now() - began) / 1_000);
      console.error(`${seeds} seeds up to ${seed}, ${rate.toFixed(1)} a second, ${failed.length} failed`);
    }
    if (result.failures.length === 0) continue;
    failed.push(result);
    console.error(`seed ${seed} failed (hash ${result.hash}):\n  ${result.failures.join("\n  ")}`);
    if (failed.length >= options.failuresMax) break;
  }
  const seconds = (performance.now() - began) / 1_000;
  return {
    seeds,
    seconds,
    events,
    acknowledged,
    realParquet,
    failed: failed.map(({ seed, hash, failures }) => ({ seed, hash, failures })),
    faults,
  };
}
