/**
 * `npm run test:interop`: real engines read the running local system's Iceberg tables through its REST catalog and its S3
 * façade, each set up by the guide's own snippet (docs/engines.md), and have to agree with our own SQL: fresh, compacted,
 * with a column added, after a retraction, and at a cut; each time the present, and the past by its snapshot.
 */
import { PUBLISH_NOW_CRON } from "../../queues/maintenance/messages.ts";
import { control } from "../../scripts/local/running-system.ts";
import { type RunningSystem, startSystem, until } from "../system/harness.ts";
import { checkClients } from "./clients/clients.ts";
import { installClients } from "./clients/install.ts";
import { compatibilityKit } from "./compatibility-kit.ts";
import { ENGINES, Engine, type Question } from "./engine.ts";
import { feed } from "./feed.ts";
import { guideSnippet } from "./guide.ts";
import { install } from "./install.ts";
import { comparable, loadTable, ownAnswer, type PublishedSnapshot, publish } from "./published.ts";

const started = Date.now();
const log = (line: string) => console.log(`${((Date.now() - started) / 1_000).toFixed(1).padStart(6)} s  ${line}`);

interface Asked {
  readonly what: string;
  readonly question: Question;
  /** Of the lake, for our own SQL; the present when absent. */
  readonly asOf?: number | string;
}

let comparisons = 0;
const failures: string[] = [];

async function compare(stage: string, system: RunningSystem, engines: readonly Engine[], asked: readonly Asked[]) {
  const expected = await Promise.all(asked.map(({ question, asOf }) => ownAnswer(system, question, asOf)));
  await Promise.all(
    engines.map(async (engine) => {
      for (const [at, { what, question }] of asked.entries()) {
        comparisons += 1;
        try {
          const [theirs, ours] = [comparable(await engine.ask(question)), comparable(expected[at]!)];
          if (theirs === ours) continue;
          failures.push(`${stage}: ${engine.name}, ${what}: ${theirs}\n    our own SQL: ${ours}`);
        } catch (error) {
          failures.push(`${stage}: ${(error as Error).message}`);
        }
      }
    }),
  );
  log(
    `${stage}: ${asked.length} questions to each engine${failures.length > 0 ? `; ${failures.length} FAILED so far` : ""}`,
  );
}

const dayStart = (daysAgo: number) => new Date(Date.now() - daysAgo * 86_400_000).toISOString().slice(0, 10);
const FILTER = `event_name = 'Order Completed' AND event_time >= TIMESTAMP '${dayStart(1)} 00:00:00'`;

/** Asked of each state of the tables: everything, a filter that leaves files out, a group, the other table. */
const PRESENT: readonly Asked[] = [
  { what: "count", question: { table: "events" } },
  { what: "filter", question: { table: "events", where: FILTER } },
  { what: "group", question: { table: "events", group: true } },
  { what: "quarantine", question: { table: "quarantine" } },
];

const past = (name: string, snapshot: PublishedSnapshot): Asked => ({
  what: `as of ${name}`,
  question: { table: "events", group: true, snapshot: snapshot.id },
  asOf: snapshot.lakeSnapshot,
});

async function check(system: RunningSystem, engines: readonly Engine[]): Promise<void> {
  const ask = (stage: string, asked: readonly Asked[]) => compare(stage, system, engines, asked);
  await feed(system, 0, 3_000);
  const fresh = await publish(system);
  await Promise.all(engines.map((engine) => engine.begin(guideSnippet(engine.name, system.url))));
  log(engines.map(({ name, version, startMs }) => `${name} ${version} (${startMs} ms)`).join(", "));
  await ask("fresh files", PRESENT);

  for (let i = 0; i < 4; i++) await feed(system, 3_000 + 100 * i, 100);
  const grown = await publish(system);
  await system.maintain();
  const compacted = await publish(system);
  expectOperations(await operations(system, "events"), ["append", "replace"]);
  await ask("compacted", [...PRESENT, past("fresh", fresh), past("before compaction", grown)]);

  await system.read("/v1/schema/columns", { name: "plan", type: "string", property: "plan", doc: "Tariff." });
  await feed(system, 3_400, 300, (n) => ({ plan: n % 2 === 0 ? "pro" : "free" }));
  const columned = await publish(system);
  const pro: Asked = { what: "the new column", question: { table: "events", where: "plan = 'pro'" } };
  const none: Asked = { what: "the new column in old files", question: { table: "events", where: "plan IS NULL" } };
  await ask("a column added", [...PRESENT, pro, none, past("compacted", compacted)]);

  await system.read("/v1/cuts", { name: "before" });
  const tag = await tagOf(system, "before.v1");
  await retract(system, { anonymous_id: "device-7" });
  await publish(system);
  expectOperations(await operations(system, "events"), ["append", "replace", "overwrite"]);
  const cut: Asked = { what: "a cut", question: { table: "events", group: true, snapshot: tag }, asOf: "before.v1" };
  await ask("a retraction, and the cut before it", [...PRESENT, past("before it", columned), cut]);
}

/** Kinds of snapshots that there are: a reader of what is new tells them apart. */
async function operations(system: RunningSystem, table: string): Promise<Set<string>> {
  return new Set((await loadTable(system, table)).metadata.snapshots.map(({ summary }) => summary.operation!));
}

function expectOperations(found: ReadonlySet<string>, expected: readonly string[]): void {
  const missing = expected.filter((operation) => !found.has(operation));
  if (missing.length > 0)
    failures.push(`no snapshot is of the kind ${missing.join(", ")}; there are ${[...found].join(", ")}`);
}

async function tagOf(system: RunningSystem, name: string): Promise<number> {
  await control("POST", `/local/cron?name=${PUBLISH_NOW_CRON}`, undefined, system.url);
  let tag: number | undefined;
  await until(`the cut ${name} is a tag`, 30_000, async () => {
    tag = (await loadTable(system, "events")).metadata.refs[name]?.["snapshot-id"];
    return tag !== undefined;
  });
  return tag!;
}

async function retract(system: RunningSystem, where: Readonly<Record<string, string>>): Promise<void> {
  const [from, to] = [-30, 1].map((days) => new Date(Date.now() + days * 86_400_000).toISOString());
  const job = await system.read<{ id: string }>("/v1/corrections", {
    filter: { from, to, where },
    change: { retract: true },
    note: "a kiosk that tested itself",
  });
  await system.read(`/v1/corrections/${job.id}/confirm`, {});
  let state = "";
  await until("the retraction is done", 60_000, async () => {
    ({ state } = await system.read<{ state: string }>(`/v1/corrections/${job.id}`));
    return !["running", "confirming"].includes(state);
  });
  if (state !== "done") throw new Error(`the retraction is ${state}`);
}

const wanted = process.argv.slice(2);
let passed = 0;
let clientsPassed = 0;
const clientFailures: string[] = [];
const names = ENGINES.filter((name) => wanted.length === 0 || wanted.includes(name));
/** `clients` alone: no engine, and a lake that was fed once. */
const onlyClients = wanted.length === 1 && wanted[0] === "clients";
const installed = install(log);
const clients = installClients(installed.python, log);
const engines = names.map((name) => new Engine(name, installed));
const system = await startSystem({ waitFactor: 0.2, ...(process.env.PORT && { port: Number(process.env.PORT) }) });
try {
  if (onlyClients) {
    await feed(system, 0, 3_000);
  } else {
    await check(system, engines);
    for (const engine of engines) engine.end();
    passed += (await compatibilityKit(system, installed.kit)).length;
    log(`Apache's REST compatibility kit: ${passed} tests, those that write nothing`);
  }
  const asTrino = await checkClients(system, clients, log);
  clientsPassed = asTrino.passed;
  clientFailures.push(...asTrino.failures);
} finally {
  for (const engine of engines) engine.end();
  await system.stop();
}
for (const { name, version, asked, askedMs } of engines) log(`${name} ${version}: ${asked} answers in ${askedMs} ms`);
passed += comparisons - Math.min(failures.length, comparisons) + clientsPassed;
failures.push(...clientFailures);
for (const failure of failures) console.error(`  ${failure}`);
console.log(`interop: ${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 || clientsPassed === 0 || (comparisons === 0 && !onlyClients) ? 1 : 0;
