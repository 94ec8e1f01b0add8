/**
 * `npm run import -- FILE...`: reads web server access logs (combined format, gzip or not) into a running system: at
 * EVENTPILE_URL, else at PORT on this machine, else at port 8787. Importing a file twice adds nothing.
 */
import { statSync } from "node:fs";
import { BatchSender } from "./import/batch-sender.ts";
import { importLog, type Unreadable } from "./import/import-log.ts";
import { Progress } from "./import/progress.ts";
import { systemUrl } from "./local/running-system.ts";

const files = process.argv.slice(2);
if (files.length === 0 || files.some((file) => file.startsWith("-"))) {
  console.error("usage: npm run import -- FILE...   (access logs in combined format, gzip or not)");
  process.exit(2);
}

const SHOWN_CHARS = 120;
const started = performance.now();
try {
  const total = files.reduce((bytes, file) => bytes + statSync(file).size, 0);
  const progress = new Progress(total);
  const sender = new BatchSender({ url: systemUrl(), onSent: (events) => progress.sent(events) });
  let lines = 0;
  const unreadable: Unreadable = { count: 0, examples: [] };
  for (const file of files) lines += await importLog(file, sender, progress, unreadable);
  const sent = await sender.finish();
  progress.done();
  report(lines, unreadable, sent);
} catch (error) {
  console.error(`\nimport: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function report(lines: number, unreadable: Unreadable, sent: BatchSender["sent"]): void {
  const seconds = (performance.now() - started) / 1_000;
  console.log(`${lines} lines in ${seconds.toFixed(1)} s: ${sent.accepted} accepted, ${unreadable.count} unreadable`);
  for (const { file, number, text } of unreadable.examples) {
    console.log(`  ${file}:${number}: ${text.slice(0, SHOWN_CHARS)}${text.length > SHOWN_CHARS ? "…" : ""}`);
  }
  if (unreadable.count > unreadable.examples.length) {
    console.log(`  … and ${unreadable.count - unreadable.examples.length} more`);
  }
  if (sent.warnings > 0) console.log(`${sent.warnings} of them do not fit their columns: see the quarantine table`);
  for (const [cause, count] of Object.entries(sent.dropped)) console.log(`${count} refused: ${cause}`);
  if (sent.retries > 0) console.log(`${sent.retries} requests were repeated`);
  console.log(`Lines imported before are counted as duplicates: GET ${systemUrl()}/v1/ledger (with an admin token).`);
}
