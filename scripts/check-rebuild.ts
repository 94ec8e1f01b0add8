/**
 * `npm run check:rebuild [-- FILE] [--events N] [--shards N]`: imports an access log (a small one of its own when no FILE
 * is given) and sends synthetic events to a system of its own, asks thirty questions, rebuilds each sink whole from the
 * log, beside the live one and swapped in, and asks again (promise 4). Exits 1 where an answer differs.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type RunningSystem, startSystem, until } from "../test/system/harness.ts";
import { BatchSender } from "./import/batch-sender.ts";
import { type Question, questions } from "./rebuild/questions.ts";
import { syntheticEvents } from "./rebuild/synthetic.ts";

const HOUR_MS = 3_600_000;
const REBUILD_WAIT_MS = 300_000;
const SINKS = ["lake", "sessions", "rollups"] as const;

const { values, positionals } = parseArgs({
  options: { events: { type: "string", default: "100000" }, shards: { type: "string", default: "1" } },
  allowPositionals: true,
});
const file = positionals[0] ?? join(import.meta.dirname, "../test/scripts/import/odd.access.log");
const system = await startSystem({ shards: Number(values.shards) });
let differences = 0;
try {
  await check(system);
} catch (error) {
  console.error(`the system printed:\n${system.output.slice(-4_000)}`);
  throw error;
} finally {
  await system.stop();
}
console.log(differences === 0 ? "each sink gives the same answers as before" : `${differences} answers differ`);
process.exit(differences === 0 ? 0 : 1);

async function check(on: RunningSystem): Promise<void> {
  await importLog(on);
  const sender = new BatchSender({ url: on.url });
  const until = Date.now() - 60_000;
  for (const event of syntheticEvents(Number(values.events), until)) await sender.add(event);
  await sender.finish();
  const { total } = await on.settled(REBUILD_WAIT_MS);
  console.log(`${total.lake} events stored`);
  await minutesAreFinal(on, until);

  const asked = questions(await subjects(on, until));
  const before = await answers(on, asked);
  for (const sink of SINKS) {
    await rebuild(on, sink);
    const after = await answers(on, asked);
    const different = asked.filter((_, i) => before[i] !== after[i]);
    differences += different.length;
    console.log(`${sink} rebuilt: ${asked.length - different.length} of ${asked.length} answers are the same`);
    for (const question of different) {
      const i = asked.indexOf(question);
      console.log(`  ${question.sink}: ${question.text}\n    before ${cut(before[i]!)}\n    after  ${cut(after[i]!)}`);
    }
  }
  const ledger = await on.ledger();
  if (!ledger.balanced) throw new Error(`the ledger is not balanced: ${JSON.stringify(ledger)}`);
}

async function importLog(on: RunningSystem): Promise<void> {
  const script = join(import.meta.dirname, "import.ts");
  const child = spawn(process.execPath, [script, file], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, EVENTPILE_URL: on.url },
  });
  const code = await new Promise((resolve) => child.once("exit", resolve));
  if (code !== 0) throw new Error(`the import ended with ${code}`);
}

/** A point that ripens between two rounds would look like a difference. */
function minutesAreFinal(on: RunningSystem, to: number): Promise<void> {
  const range = { from: new Date(to - HOUR_MS).toISOString(), to: new Date(to).toISOString() };
  return until("all minutes are final", 120_000, async () =>
    (await on.rollups({ metric: "events", grain: "minute", ...range })).every(({ state }) => state === "final"),
  );
}

async function subjects(on: RunningSystem, until: number) {
  const days = (await on.sql("select distinct strftime(event_time, '%Y-%m-%d') from events order by 1")).rows;
  const logged = await on.sql(
    "select anonymous_id from events where sdk like 'eventpile-import%' group by 1 order by count(*) desc, 1 limit 1",
  );
  return {
    days: days.map(([day]) => String(day)),
    from: Math.floor((until - 3 * HOUR_MS) / HOUR_MS) * HOUR_MS,
    to: until,
    loggedDevice: String(logged.rows[0]?.[0]),
  };
}

/** Each answer as text, so that it is compared to the last byte. */
async function answers(on: RunningSystem, asked: readonly Question[]): Promise<string[]> {
  const found: string[] = [];
  for (const question of asked) {
    const text = JSON.stringify(await again(() => question.ask(on)));
    if (text.length < 3) throw new Error(`no answer to ${question.text}`);
    found.push(text);
  }
  return found;
}

async function rebuild(on: RunningSystem, sink: string): Promise<void> {
  const started = performance.now();
  const { id } = await on.read<{ id: string }>("/v1/replays", { sinks: [sink], mode: "rebuild", rate: 1_000_000 });
  let job: Readonly<Record<string, unknown>> = {};
  await until(`${sink} rebuilt`, REBUILD_WAIT_MS, async () => {
    job = await again(() => on.read(`/v1/replays/${id}`));
    if (["failed", "cancelled"].includes(String(job.state))) throw new Error(`the replay ${JSON.stringify(job)}`);
    return job.state === "waiting_for_confirmation" || job.state === "done";
  });
  const seconds = (performance.now() - started) / 1_000;
  console.log(`${sink}: ${seconds.toFixed(1)} s, ${JSON.stringify(job.comparison ?? job.sinks)}`);
  if (job.state !== "done") {
    await again(() => on.read(`/v1/replays/${id}/confirm`, {}));
    await until("confirmed", REBUILD_WAIT_MS, async () => {
      job = await again(() => on.read(`/v1/replays/${id}`));
      return job.state === "done";
    });
  }
}

/** A connection that stood idle may be closed in the moment it is used: asked once more, because each question can be. */
async function again<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return ask();
  }
}

function cut(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
