/**
 * `npm run contracts -- check|try|push|diff|types [FOLDER]`: contracts in a repository, and in the registry of a running system, found at
 * EVENTPILE_URL, else at PORT on this machine, else at port 8787; the token is EVENTPILE_TOKEN, else the local run's.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { COMPATIBILITY_LEVELS, type CompatibilityLevel } from "../r2-layout/contracts/compatibility.ts";
import { parseContract } from "../r2-layout/contracts/contract.ts";
import { DIFFERENCES } from "../r2-layout/contracts/differences.ts";
import { diffSchemas, type Policy } from "../r2-layout/contracts/schema-diff.ts";
import {
  breakText,
  type ContractFile,
  type FileFault,
  faultsAmong,
  newestOf,
  readContracts,
} from "./contracts/folder.ts";
import { RegistryClient } from "./contracts/registry-client.ts";
import { trackingTypes } from "./contracts/tracking-types.ts";
import { LOCAL_TOKEN } from "./local/credentials.ts";
import { systemUrl } from "./local/running-system.ts";

const USAGE = `usage: npm run contracts -- check [FOLDER] [--registry] [--compatibility LEVEL] [--policy strict|lenient]
       npm run contracts -- try   [FOLDER] [--event NAME] [--hours 24] [--source SOURCE]
       npm run contracts -- push  [FOLDER]
       npm run contracts -- diff  [FOLDER]
       npm run contracts -- types [FOLDER] [--out FILE]
  FOLDER (contracts) holds JSON documents, one for each version of an event.
  check: whether each is a contract, and may follow the versions before it; with --registry those that are registered, too.
  try: how many events of the last hours the newest versions would fail, by source and app version; any is a failure.
  push: registers what is not registered yet.   diff: what the newest versions have otherwise than the registered ones.
  types: TypeScript for the newest versions.
  LEVEL: ${COMPATIBILITY_LEVELS.join(", ")} (the first)`;

const SAMPLES_SHOWN = 3;

const { command, folder, values } = options();
try {
  const commands: Readonly<Record<string, () => Promise<boolean>>> = { check, try: tryNewest, push, diff, types };
  process.exitCode = (await commands[command]!()) ? 0 : 1;
} catch (error) {
  console.error(`contracts: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function check(): Promise<boolean> {
  const { files, faults } = await readContracts(folder);
  const found = [...faults, ...faultsAmong(files, { level: levelOf(), policy: policyOf() })];
  if (values.registry) for (const file of newestOf(files)) found.push(...(await registryFaults(file)));
  return reported(found, `${files.length} contracts of ${newestOf(files).length} events may be registered`);
}

async function tryNewest(): Promise<boolean> {
  const { files, faults } = await readContracts(folder);
  if (faults.length > 0) return reported(faults, "");
  const hours = Number(values.hours);
  const wanted = newestOf(files).filter(({ contract }) => [undefined, contract.eventName].includes(values.event));
  if (wanted.length === 0) throw new Error(`there is no contract of ${values.event} in ${folder}`);
  let failed = 0;
  for (const { text, contract } of wanted) {
    const asked = { document: JSON.parse(text) as unknown, hours, ...(values.source && { source: values.source }) };
    const sum = await registry().try(contract.eventName, asked, told);
    failed += sum.would_fail;
    console.log(
      `${contract.eventName}, version ${contract.version}: ${sum.would_fail} of ${sum.events} events of ${hours} hours would fail`,
    );
    for (const { source, app_version, field, expected, events } of sum.failures) {
      const app = app_version === null ? "" : ` ${app_version}`;
      console.log(`  ${String(events).padStart(9)}  ${source}${app}: ${field ?? "the event"} ${expected}`);
    }
    for (const { event_id, field, actual } of sum.samples.slice(0, SAMPLES_SHOWN)) {
      console.log(`             ${event_id}: ${field ?? "the event"} is ${actual ?? "not there"}`);
    }
    if (sum.unreadable > 0) console.log(`             ${sum.unreadable} segments cannot be read`);
  }
  return failed === 0;
}

/** Where somebody looks on. */
function told({ segments, events }: { readonly segments: number; readonly events: number }): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${segments} segments, ${events} events\x1b[K\r`);
}

async function push(): Promise<boolean> {
  const { files, faults } = await readContracts(folder);
  if (faults.length > 0) return reported(faults, "");
  const stopped = new Set<string>();
  const found: FileFault[] = [];
  let news = 0;
  for (const { path, text, contract } of files) {
    // What follows a version that was refused cannot be registered either.
    if (stopped.has(contract.eventName)) continue;
    const answer = await registry().push(text, false);
    if (answer.kind === "refused") {
      stopped.add(contract.eventName);
      found.push(...refusals(path, answer));
    } else if (answer.kind === "registered") {
      news++;
      console.log(`registered  ${contract.eventName}, version ${contract.version}`);
    }
  }
  return reported(found, `${news} registered, ${files.length - news} were there before`);
}

async function diff(): Promise<boolean> {
  const { files, faults } = await readContracts(folder);
  if (faults.length > 0) return reported(faults, "");
  for (const { contract } of newestOf(files)) {
    const latest = await registry().latest(contract.eventName);
    const registered = latest && parseContract(latest.document);
    if (!latest || !registered?.ok) {
      console.log(`${contract.eventName}: not registered; here version ${contract.version}`);
      continue;
    }
    const differences = diffSchemas(registered.value.schema, contract.schema, policyOf());
    console.log(
      `${contract.eventName}: version ${latest.version} -> ${contract.version}, ${differences.length || "no"} differences`,
    );
    for (const { type, path } of differences) {
      console.log(`  ${DIFFERENCES[type].compatible ? "  " : "! "}${path}  ${DIFFERENCES[type].why} (${type})`);
    }
  }
  return true;
}

async function types(): Promise<boolean> {
  const { files, faults } = await readContracts(folder);
  if (faults.length > 0) return reported(faults, "");
  const text = await trackingTypes(newestOf(files).map(({ contract }) => contract));
  if (values.out === undefined) process.stdout.write(text);
  else {
    await writeFile(values.out, text);
    console.log(`${values.out}: ${newestOf(files).length} events`);
  }
  return true;
}

async function registryFaults({ path, text }: ContractFile): Promise<FileFault[]> {
  const answer = await registry().push(text, true);
  return answer.kind === "refused" ? refusals(path, answer) : [];
}

function refusals(
  path: string,
  answer: Extract<Awaited<ReturnType<RegistryClient["push"]>>, { kind: "refused" }>,
): FileFault[] {
  if (answer.breaks.length === 0) return [{ path, detail: `${answer.title}: ${answer.detail}` }];
  return answer.breaks.map((found) => ({ path, detail: breakText(found) }));
}

function reported(faults: readonly FileFault[], success: string): boolean {
  for (const { path, detail } of faults) console.error(`${path}: ${detail}`);
  if (faults.length > 0) console.error(`${faults.length} faults`);
  else console.log(success);
  return faults.length === 0;
}

function registry(): RegistryClient {
  return new RegistryClient(systemUrl(), process.env.EVENTPILE_TOKEN || LOCAL_TOKEN);
}

function levelOf(): CompatibilityLevel {
  const level = COMPATIBILITY_LEVELS.find((known) => known === values.compatibility);
  if (!level) throw new Error(`--compatibility is one of ${COMPATIBILITY_LEVELS.join(", ")}`);
  return level;
}

function policyOf(): Policy {
  if (values.policy !== "strict" && values.policy !== "lenient") throw new Error("--policy is strict or lenient");
  return values.policy;
}

function options() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        registry: { type: "boolean", default: false },
        compatibility: { type: "string", default: COMPATIBILITY_LEVELS[0] },
        policy: { type: "string", default: "strict" },
        out: { type: "string" },
        event: { type: "string" },
        hours: { type: "string", default: "24" },
        source: { type: "string" },
      },
    });
    const [command = "", folder = "contracts", ...more] = positionals;
    if (!["check", "try", "push", "diff", "types"].includes(command))
      throw new Error(command ? `there is no command ${command}` : "a command is missing");
    if (more.length > 0) throw new Error(`one folder, not also ${more.join(" ")}`);
    return { command, folder, values };
  } catch (error) {
    console.error(`contracts: ${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(2);
  }
}
