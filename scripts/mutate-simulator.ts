/**
 * Takes the checks of test/simulator/mutations.ts out of the code, one at a time, and runs the simulator until it fails.
 * Prints what was caught, at which seed and by what; a mutation that survives fails the run.
 *
 *     npm run test:mutations -- [--seeds 600] [--jobs 2] [--only <part of a name>]
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

interface Verdict {
  readonly mutation: NamedMutation;
  /** Null where it survived. */
  readonly seed: number | null;
  readonly failure: string;
  readonly seconds: number;
}

const left = MUTATIONS.filter(({ name }) => name.includes(values.only));
const verdicts: Verdict[] = [];
const worker = async () => {
  for (let mutation = left.shift(); mutation; mutation = left.shift()) {
    const verdict = await tried(mutation);
    verdicts.push(verdict);
    const { seed, failure, seconds } = verdict;
    const told = seed === null ? `SURVIVED ${failure}` : `caught at seed ${seed}: ${failure.slice(0, 100)}`;
    console.log(`${mutation.name.padEnd(64)} ${seconds.toFixed(1).padStart(6)} s  ${told}`);
  }
};
await Promise.all(Array.from({ length: Number(values.jobs) }, worker));
const survived = verdicts.filter(({ seed }) => seed === null);
console.log(`${verdicts.length} mutations tried, ${survived.length} survived`);
if (survived.length > 0) process.exitCode = 1;

function tried(mutation: NamedMutation): Promise<Verdict> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const script = join(import.meta.dirname, "soak-simulator.ts");
    const args = [script, "--seeds", values.seeds, "--failures", "1", "--mutation", mutation.name];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    let text = "";
    child.stderr.on("data", (data) => {
      text += data;
    });
    child.on("error", reject);
    child.on("exit", (code) => {
      const found = /^seed (\d+) failed.*\n\s+(.*)/m.exec(text);
      const seconds = (performance.now() - began) / 1_000;
      if (found) resolve({ mutation, seed: Number(found[1]), failure: found[2]!, seconds });
      else resolve({ mutation, seed: null, failure: code === 0 ? "" : text.slice(0, 500), seconds });
    });
  });
}
