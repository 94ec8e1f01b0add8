/**
 * Runs seeds of the simulator (test/simulator), on as many processes as told, and prints how often each fault fired. A
 * failing seed fails the run; it is repeated exactly, and shown step by step, by
 *
 *     npm run soak:simulator -- --from <seed> --seeds 1 --trace
 *
 *     npm run soak:simulator -- --seeds 100000 [--from n] [--jobs 2] [--scenario <name>] [--mutation "<name>"] [--columns] [--tiles] [--erasures] [--failures n] [--progress n]
 *
 * With `--columns` properties become columns while each run goes on, with `--tiles` custom rollups are defined, with `--erasures` people are erased. It stops after that many failures, and says after every so many seeds how far it has come.
 */
import { fork } from "node:child_process";
import { parseArgs } from "node:util";
import { installHooks } from "../test/simulator/hooks.ts";
import type { SoakOptions, SoakSummary } from "../test/simulator/main.ts";
import { MUTATIONS } from "../test/simulator/mutations.ts";

const { values } = parseArgs({
  options: {
    from: { type: "string", default: "1" },
    seeds: { type: "string", default: "2000" },
    jobs: { type: "string", default: "1" },
    step: { type: "string", default: "1" },
    failures: { type: "string", default: "5" },
    progress: { type: "string", default: "0" },
    scenario: { type: "string", default: "" },
    mutation: { type: "string" },
    columns: { type: "boolean", default: false },
    tiles: { type: "boolean", default: false },
    erasures: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
    hashes: { type: "boolean", default: false },
  },
});
const jobs = Number(values.jobs);
const options: SoakOptions = {
  from: Number(values.from),
  seeds: Number(values.seeds),
  step: Number(values.step),
  trace: values.trace,
  hashes: values.hashes,
  scenario: values.scenario,
  columns: values.columns,
  tiles: values.tiles,
  erasures: values.erasures,
  failuresMax: Number(values.failures),
  progressEvery: Number(values.progress),
};

if (jobs > 1) report(merged(await Promise.all(Array.from({ length: jobs }, (_, job) => inProcess(job)))));
else {
  const mutation = values.mutation === undefined ? null : MUTATIONS.find(({ name }) => name === values.mutation);
  if (mutation === undefined) throw new Error(`no mutation is named ${values.mutation}`);
  installHooks(mutation);
  const { soak } = await import("../test/simulator/main.ts");
  const summary = await soak(options);
  if (process.send) process.send(summary);
  else report(summary);
  if (summary.failed.length > 0) process.exitCode = 1;
}

/** Seeds from + job, from + job + jobs, ...: each process has the same mixture. */
function inProcess(job: number): Promise<SoakSummary> {
  return new Promise((resolve, reject) => {
    const args = ["--from", String(options.from + job), "--seeds", String(options.seeds - job), "--step", String(jobs)];
    const more = ["--failures", String(options.failuresMax), "--progress", values.progress];
    if (options.columns) more.push("--columns");
    if (options.tiles) more.push("--tiles");
    if (options.erasures) more.push("--erasures");
    const child = fork(import.meta.filename, [...args, ...more]);
    let summary: SoakSummary | null = null;
    child.on("message", (message) => {
      summary = message as SoakSummary;
    });
    child.on("error", reject);
    child.on("exit", (code) => {
      if (summary) resolve(summary);
      else reject(new Error(`job ${job} ended with ${code} and no summary`));
    });
  });
}

function merged(parts: readonly SoakSummary[]): SoakSummary {
  const sum = (of: (part: SoakSummary) => number) => parts.reduce((total, part) => total + of(part), 0);
  const faults: Record<string, number> = {};
  for (const part of parts) {
    for (const [key, count] of Object.entries(part.faults)) faults[key] = (faults[key] ?? 0) + count;
  }
  return {
    seeds: sum(({ seeds }) => seeds),
    seconds: Math.max(...parts.map(({ seconds }) => seconds)),
    events: sum(({ events }) => events),
    acknowledged: sum(({ acknowledged }) => acknowledged),
    realParquet: sum(({ realParquet }) => realParquet),
    failed: parts.flatMap(({ failed }) => failed),
    faults,
  };
}

function report({ seeds, seconds, events, acknowledged, realParquet, failed, faults }: SoakSummary): void {
  for (const [key, count] of Object.entries(faults).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [fault = "", target = ""] = key.split("\t");
    console.log(`${fault.padEnd(18)} ${target.padEnd(36)} ${String(count).padStart(9)}`);
  }
  console.log(
    `${seeds} seeds (${realParquet} with the real Parquet encoder) in ${seconds.toFixed(1)} s, ${(seeds / seconds).toFixed(1)} a second; ` +
      `${events} events of the scheduler, ${acknowledged} events acknowledged, ${failed.length} seeds failed`,
  );
  for (const { seed } of failed) console.log(`again: npm run soak:simulator -- --from ${seed} --seeds 1 --trace`);
  if (failed.length > 0) process.exitCode = 1;
}
