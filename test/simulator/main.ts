/** The command line of the simulator: see scripts/soak-simulator.ts. */
import { parseArgs } from "node:util";
import { runSeed } from "./run.ts";

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seeds: { type: "string", default: "2000" },
      from: { type: "string", default: "1" },
      trace: { type: "boolean", default: false },
    },
  });
  const from = Number(values.from);
  const seeds = Number(values.seeds);
  const say = values.trace ? console.log.bind(console) : null;
  const fired = new Map<string, number>();
  const began = performance.now();
  let events = 0;
  let acknowledged = 0;
  let failed = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    const result = await runSeed(seed, say);
    events += result.events;
    acknowledged += result.acknowledged;
    for (const [key, count] of result.faults) fired.set(key, (fired.get(key) ?? 0) + count);
    if (result.failures.length === 0) continue;
    failed++;
    console.error(`seed ${seed} failed (hash ${result.hash}):\n  ${result.failures.join("\n  ")}`);
    console.error(`again: npm run soak:simulator -- --from ${seed} --seeds 1 --trace`);
    if (failed >= 5) break;
  }
  const seconds = (performance.now() - began) / 1_000;
  console.log(
    `${seeds} seeds in ${seconds.toFixed(1)} s, ${(seeds / seconds).toFixed(1)}/s, ${events} events, ${acknowledged} acknowledged`,
  );
  printFaults(fired);
  if (failed > 0) process.exitCode = 1;
}

function printFaults(fired: ReadonlyMap<string, number>): void {
  for (const [key, count] of [...fired].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [fault, target] = key.split("\t");
    console.log(`${fault!.padEnd(18)} ${target!.padEnd(36)} ${String(count).padStart(8)}`);
  }
}
