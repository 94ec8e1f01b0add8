/**
 * Promises 1, 2, 3, 4 and 8 under everything that queues, objects, R2 and clocks may do: see run.ts. In processes of their
 * own, because a simulated run takes the place of the clock and of chance. SIMULATOR_SEEDS asks for more, or fewer.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { MUTATIONS } from "./mutations.ts";

const SEEDS = process.env.SIMULATOR_SEEDS ?? "2000";
const ROOT = resolve(import.meta.dirname, "../..");
const run = promisify(execFile);

async function soak(...args: readonly string[]): Promise<string> {
  const script = resolve(ROOT, "scripts/soak-simulator.ts");
  try {
    return (await run(process.execPath, [script, ...args], { maxBuffer: 64 * 1_024 * 1_024 })).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${stderr}\n${stdout}`);
  }
}

it(`every acknowledged event is in all three stores exactly once, and the ledger balances, in ${SEEDS} simulated runs`, {
  timeout: 900_000,
}, async () => {
  const printed = await soak("--seeds", SEEDS, "--jobs", "2");
  console.log(printed);
  // It could have failed: each of these struck.
  for (const fault of [
    "fail_after",
    "fail_early",
    "crash_after",
    "crash",
    "repeat",
    "ack_lost",
    "reset",
    "sql_error",
  ]) {
    expect(printed).toMatch(new RegExp(`^${fault} `, "m"));
  }
});

it("columns are promoted meanwhile: an event committed after a column's answer has it, in 40 simulated runs (promise 6)", {
  timeout: 300_000,
}, async () => {
  const printed = await soak("--seeds", "40", "--from", "61", "--columns");
  expect(printed).toMatch(/, 0 seeds failed/);
});

it("custom rollups are defined meanwhile: each says in the end what adding up the log says, in 40 simulated runs", {
  timeout: 300_000,
}, async () => {
  const printed = await soak("--seeds", "40", "--from", "161", "--tiles");
  expect(printed).toMatch(/, 0 seeds failed/);
});

it("people are erased and kept out meanwhile: nothing about them is above a rule, everybody else is as they were, in 60 simulated runs (promise 7)", {
  timeout: 300_000,
}, async () => {
  const printed = await soak("--seeds", "60", "--from", "221", "--erasures");
  expect(printed).toMatch(/, 0 seeds failed/);
  for (const mode of ["erase", "suppress"]) expect(printed).toMatch(new RegExp(`^operation +${mode} `, "m"));
});

it("a seed gives the same run, alone and after others", { timeout: 120_000 }, async () => {
  const hashes = (printed: string) => printed.split("\n").filter((line) => /^seed \d+ [0-9a-f]{8}$/.test(line));
  const together = hashes(await soak("--seeds", "9", "--from", "396", "--hashes"));
  expect(together).toHaveLength(9);
  // 400 is one with the real Parquet encoder.
  for (const seed of [400, 404]) {
    const alone = hashes(await soak("--seeds", "1", "--from", String(seed), "--hashes"));
    expect(alone).toEqual(together.filter((line) => line.startsWith(`seed ${seed} `)));
  }
});

it("every mutation finds the text that it takes out, once", () => {
  const lost = MUTATIONS.flatMap(({ name, file, edits }) => {
    return edits
      .filter(([find, , other = file]) => readFileSync(resolve(ROOT, other), "utf8").split(find).length !== 2)
      .map(([find]) => `${name}: ${find}`);
  });
  expect(lost).toEqual([]);
});
