/**
 * `npm run check:erasure [-- --events N] [--gone N] [--staying N] [--shards N]`: of a crowd of a thousand that has sent a million events,
 * a hundred people are erased while everybody goes on sending and a store is being built anew. Then each byte that is
 * left of the run is searched for them, and everybody else's answers are compared with those from before (promise 7). The
 * same as test/system/erasure/erased.test.ts, at the size of the promise. Exits 1 where anything is found, or differs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { eraseFromCrowd, type TrialResult } from "../test/system/erasure/trial.ts";
import { startSystem } from "../test/system/harness.ts";

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "1000000" },
    gone: { type: "string", default: "100" },
    staying: { type: "string", default: "900" },
    shards: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
  },
});
const WAIT_MS = 3_600_000;

const dir = mkdtempSync(join(tmpdir(), "eventpile-erasure-"));
const started = Date.now();
const said = (line: string) => console.log(`${((Date.now() - started) / 1_000).toFixed(1)} s  ${line}`);
try {
  const system = await startSystem({ waitFactor: 0.1, shards: Number(values.shards), dir });
  const result = await eraseFromCrowd(system, {
    ...{ events: Number(values.events), gone: Number(values.gone), staying: Number(values.staying) },
    ...{ seed: Number(values.seed), waitMs: WAIT_MS, provesSearch: false, told: said },
  });
  const faults = faultsOf(result);
  tell(result);
  for (const fault of faults) console.log(`  ${fault}`);
  console.log(
    faults.length === 0 ? "nothing of them is left, and nothing else has changed" : `${faults.length} faults`,
  );
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  rmSync(dir, { recursive: true, force: true });
}

function tell({ erasure, searched, files, sentOfGone, ledger, asked, tookMs }: TrialResult): void {
  const { objects, bytes, rows, files: databases } = searched.looked;
  said(`erased in ${(tookMs / 1_000).toFixed(1)} s from the confirmation to the receipt`);
  for (const { store, removed, unit, replaced } of erasure.stores) {
    console.log(`  ${store}: ${removed} ${unit} removed, ${replaced} objects replaced`);
  }
  console.log(
    `  they sent ${sentOfGone.before} events before, ${sentOfGone.during} during, ${sentOfGone.after} after it`,
  );
  console.log(`  kept out: ${ledger.total.suppressed}; ledger balanced: ${ledger.balanced}`);
  console.log(
    `  searched: ${objects} objects, ${rows} rows of ${databases} files, ${(bytes / 1e6).toFixed(0)} MB unpacked, ` +
      `and ${files.looked} files of objects erased whole; ${asked} questions asked twice`,
  );
}

function faultsOf(result: TrialResult): string[] {
  const { searched, files, rowsOfGone, countOfGone, changed, lost, ledger, receipt, tampered } = result;
  return [
    ...[...searched.traces, ...files.traces].map(({ kind, place, packing }) => `a trace: ${kind} ${place} ${packing}`),
    ...(rowsOfGone > 0 ? [`${rowsOfGone} rows in SQL`] : []),
    ...(countOfGone > 0 ? [`minutes still count ${countOfGone} of their events`] : []),
    ...changed.map((difference) => `another answer: ${difference.slice(0, 300)}`),
    ...lost.slice(0, 20).map((id) => `of somebody else, not there exactly once: ${id}`),
    ...(ledger.balanced ? [] : ["the ledger is not balanced"]),
    ...(receipt.ok ? [] : [`the receipt: ${receipt.error.reason}`]),
    ...(tampered.ok ? ["a tampered receipt verifies"] : []),
    ...(result.replayWasRunning ? [] : ["the replay was over before: it proves nothing"]),
  ];
}
