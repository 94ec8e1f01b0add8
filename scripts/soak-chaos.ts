/**
 * `npm run soak:chaos [-- <runs>]`: the chaos suite of CI ten times as long (200 runs, some ten minutes), with its table of
 * faults at the end. CHAOS_SEED repeats a suite.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const RUNS = 200;
const root = join(import.meta.dirname, "..");
const runs = Number(process.argv[2] ?? RUNS);
if (!Number.isSafeInteger(runs) || runs < 1) {
  console.error("usage: npm run soak:chaos [-- <runs>]");
  process.exit(1);
}
const { status } = spawnSync(
  process.execPath,
  [join(root, "node_modules/vitest/vitest.mjs"), "run", "--project", "system", "test/system/chaos.test.ts"],
  { cwd: root, stdio: "inherit", env: { ...process.env, CHAOS_RUNS: String(runs) } },
);
process.exit(status ?? 1);
