/**
 * Takes the checks of test/simulator/mutations.ts out of the code, one at a time, and runs the simulator until it fails:
 * first a seed that has noticed it before, then the seeds of the scenario that it names, then seeds of all kinds. A seed that
 * fails without the mutation, too, does not count. Prints a table; a mutation that survives fails the run.
 *
 *     npm run test:mutations -- [--seeds 600] [--jobs 2] [--only <pattern of names>]
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { MUTATIONS, type NamedMutation } from "../test/simulator/mutations.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "600" },
    jobs: { type: "string", default: "2" },
    only: { type: "string", default: "" },
  },
});
const SEEDS = Number(values.seeds);

interface Verdict {
  readonly mutation: NamedMutation;
  /** Null where it survived. */
  readonly seed: number | null;
  /** Runs until then. */
  readonly runs: number;
  readonly failure: string;
  readonly seconds: number;
}

/** One stretch of seeds of one kind. */
interface Stretch {
  readonly seed: number | null;
  readonly runs: number;
  readonly failure: string;
}

const began = performance.now();
const left = MUTATIONS.filter(({ name }) => new RegExp(values.only).test(name));
const verdicts: Verdict[] = [];
const worker = async () => {
  for (let mutation = left.shift(); mutation; mutation = left.shift()) {
    const verdict = await tried(mutation);
    verdicts.push(verdict);
    console.log(line(verdict));
  }
};
console.log(
  `${"taken out".padEnd(76)} ${"scenario".padEnd(10)} ${"seed".padStart(6)} ${"runs".padStart(5)} ${"s".padStart(5)}  noticed by`,
);
await Promise.all(Array.from({ length: Number(values.jobs) }, worker));
const survived = verdicts.filter(({ seed }) => seed === null);
const minutes = (performance.now() - began) / 60_000;
console.log(
  `${verdicts.length} mutations tried, ${verdicts.length - survived.length} caught, ${survived.length} survived, in ${minutes.toFixed(1)} minutes`,
);
for (const { mutation } of survived) console.log(`survived: ${mutation.name}`);
if (survived.length > 0) process.exitCode = 1;

function line({ mutation, seed, runs, failure, seconds }: Verdict): string {
  const told = seed === null ? `SURVIVED ${failure}` : failure.slice(0, 110);
  return (
    `${mutation.name.padEnd(76)} ${(mutation.scenario ?? "").padEnd(10)} ${String(seed ?? "-").padStart(6)} ` +
    `${String(runs).padStart(5)} ${seconds.toFixed(1).padStart(5)}  ${told}`
  );
}

async function tried(mutation: NamedMutation): Promise<Verdict> {
  const start = performance.now();
  const verdict = (found: Stretch, runs: number): Verdict => ({
    mutation,
    ...found,
    runs,
    seconds: (performance.now() - start) / 1_000,
  });
  let runs = 0;
  if (mutation.seed !== undefined) {
    const found = await stretch(mutation, "", mutation.seed, 1);
    runs++;
    if (found.seed !== null && (await stretch(mutation, "", found.seed, 1, true)).seed === null)
      return verdict(found, runs);
  }
  for (const scenario of mutation.scenario ? [mutation.scenario, ""] : [""]) {
    let from = 1;
    for (let left = SEEDS; left > 0; ) {
      const found = await stretch(mutation, scenario, from, left);
      runs += found.runs;
      left -= Math.max(1, found.runs);
      if (found.seed === null && found.failure) return verdict(found, runs);
      if (found.seed === null) break;
      if ((await stretch(mutation, "", found.seed, 1, true)).seed === null) return verdict(found, runs);
      from = found.seed + 1; // It fails by itself.
    }
  }
  return verdict({ seed: null, runs, failure: "" }, runs);
}

/** Runs until one fails. @param intact what the mutation takes out stays in */
function stretch(
  { name, tiles, erasures }: NamedMutation,
  scenario: string,
  from: number,
  seeds: number,
  intact = false,
): Promise<Stretch> {
  return new Promise((resolve, reject) => {
    const script = join(import.meta.dirname, "soak-simulator.ts");
    const args = [script, "--from", String(from), "--seeds", String(seeds), "--failures", "1", "--scenario", scenario];
    if (tiles) args.push("--tiles");
    if (erasures) args.push("--erasures");
    if (!intact) args.push("--mutation", name);
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let [out, errors] = ["", ""];
    child.stdout.on("data", (data) => {
      out += data;
    });
    child.stderr.on("data", (data) => {
      errors += data;
    });
    child.on("error", reject);
    child.on("exit", (code) => {
      const runs = Number(/^(\d+) seeds \(/m.exec(out)?.[1] ?? 0);
      const found = /^seed (\d+) failed.*\n\s+(.*)/m.exec(errors);
      if (found) resolve({ seed: Number(found[1]), runs, failure: found[2]! });
      else resolve({ seed: null, runs, failure: code === 0 ? "" : errors.slice(0, 500) });
    });
  });
}
