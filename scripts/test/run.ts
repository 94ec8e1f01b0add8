/**
 * `npm test`: every test that needs only npm. The projects that fill both cores come first; then the system's tests, which
 * wait for timers and flushes much of their time, and in what they leave over, at the lowest priority, the simulator's
 * seeds. Alone: `npx vitest run --project <name>`. Fails where anything failed, and says what once more at its end.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { constants, setPriority, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { FAILURES_VARIABLE } from "./failures-reporter.ts";

const VITEST = resolve(import.meta.dirname, "../../node_modules/vitest/vitest.mjs");
const REPORTERS = ["--reporter", "default", "--reporter", resolve(import.meta.dirname, "failures-reporter.ts")];

interface Part {
  readonly projects: readonly string[];
  /** Its output comes when it has ended, so that two do not mingle. */
  readonly isBehind?: boolean;
}

function run({ projects, isBehind = false }: Part): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const child = spawn(
    process.execPath,
    [VITEST, "run", ...REPORTERS, ...projects.flatMap((name) => ["--project", name])],
    {
      stdio: isBehind ? ["ignore", "pipe", "pipe"] : "inherit",
      env: { ...process.env, [FAILURES_VARIABLE]: failuresPath },
    },
  );
  if (isBehind && child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  const printed: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => printed.push(chunk));
  child.on("error", (error) => resolve(`${projects.join(", ")}: ${error.message}`));
  child.on("close", (code, signal) => {
    process.stdout.write(Buffer.concat(printed));
    resolve(code === 0 ? null : `${projects.join(", ")}: ended with ${code ?? signal}`);
  });
  return promise;
}

const directory = mkdtempSync(join(tmpdir(), "eventpile-test-"));
const failuresPath = join(directory, "failures.txt");
const failed = [
  await run({ projects: ["node", "workerd", "edge", "query"] }),
  ...(await Promise.all([run({ projects: ["system"] }), run({ projects: ["simulator"], isBehind: true })])),
].filter((failure) => failure !== null);
if (existsSync(failuresPath)) console.error(`\n${readFileSync(failuresPath, "utf8")}`);
rmSync(directory, { recursive: true, force: true });
for (const failure of failed) console.error(`failed: ${failure}`);
process.exitCode = failed.length > 0 ? 1 : 0;
