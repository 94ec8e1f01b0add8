/**
 * `npm run bench:fairness [-- --quick]`: ten tokens run heavy statements without a pause. How long light statements of an
 * eleventh take beside them, lookups of users, and events on their way into a websocket frame, each against the same alone.
 *
 * The query Worker has a process of its own, so heavy statements take from lookups and frames no more than the machine's
 * cores. Statements share the engine's thread: each hop of a light one waits for the stretch that a heavy one runs.
 */
import { ORIGIN_HEADERS, type RunningSystem, startSystem } from "../test/system/harness.ts";
import { expectEqual, median, quantile } from "./bench/figures.ts";
import { type ProbeDelays, Probes } from "./bench/probes.ts";
import { postEvents } from "./bench/steady-load.ts";
import { localSqlTokens } from "./local/credentials.ts";

const quick = process.argv.includes("--quick");
const EVENTS = quick ? 2_000 : 20_000;
const PHASE_MS = quick ? 5_000 : 40_000;
const HEAVY_TOKENS = 10;
const USERS = 50;
const PAUSE_MS = 40;
/** Each is another, for an answer that is kept would cost nothing. */
let asked = 0;
/** Groups, a join, and the rows of the table. */
const heavy = () => `select count(*) n, sum(x) s
  from (select r.range % 100003 x, count(*) c from range(${(quick ? 3_000_000 : 12_000_000) + asked++}) r group by 1)
  join (select range % 50021 y from range(1000000)) on x = y
  where x not in (select client_seq from events where client_seq is not null)`;
const light = () => `select event_name, count(*) n, count(distinct user_id) u from events
  where event_name <> 'probe' and event_name <> 'x${asked++}' group by 1 order by 1`;

process.env.EVENTPILE_SQL_TOKENS = String(HEAVY_TOKENS + 1);
const [LIGHT_TOKEN = "", ...heavyTokens] = localSqlTokens(HEAVY_TOKENS + 1);

interface Phase {
  readonly lightMs: number[];
  /** Of them, until the engine began. */
  readonly waitMs: number[];
  readonly lookupMs: number[];
  readonly frameMs: number[];
  readonly answer: string;
}

interface Answer {
  readonly rows?: unknown[][];
  readonly reason?: string;
  readonly stats?: { readonly wait_ms: number; readonly engine_ms: number };
}

async function ask(on: RunningSystem, token: string, sql: string): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await fetch(`${on.url}/v1/sql`, {
    method: "POST",
    headers,
    body: JSON.stringify({ sql, route: "engine" }),
  });
  return (await response.json()) as Answer;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Again and again until the time is over. @returns milliseconds of each. */
async function timed(untilMs: number, work: () => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  while (performance.now() < untilMs) {
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
    await sleep(PAUSE_MS);
  }
  return times;
}

async function measure(on: RunningSystem, name: string): Promise<Phase> {
  const until = performance.now() + PHASE_MS;
  let answer = "";
  const waitMs: number[] = [];
  const probes = await Probes.open(on, name);
  const probing = async (): Promise<ProbeDelays[]> => {
    while (performance.now() < until) await probes.next();
    return probes.done();
  };
  let user = 0;
  const [lightMs, lookupMs, delays] = await Promise.all([
    timed(until, async () => {
      const { rows, reason, stats } = await ask(on, LIGHT_TOKEN, light());
      if (!rows || !stats) throw new Error(`a light statement was not answered: ${reason}`);
      waitMs.push(stats.wait_ms);
      answer = JSON.stringify(rows);
    }),
    timed(until, async () => {
      const response = await fetch(`${on.url}/v1/users/user-${user++ % USERS}/events`, {
        headers: ORIGIN_HEADERS.read,
      });
      if (!response.ok) throw new Error(`a lookup answered ${response.status}`);
      await response.arrayBuffer();
    }),
    probing(),
  ]);
  return { lightMs, waitMs, lookupMs, frameMs: delays.map(({ frame }) => frame), answer };
}

/** @returns what ends it, with each token's statements that were answered. */
function heavyLoad(on: RunningSystem): { stop(): Promise<{ done: number[]; engineMs: number[]; busy: number }> } {
  let isOver = false;
  let busy = 0;
  const engineMs: number[] = [];
  const lanes = heavyTokens.map(async (token) => {
    let done = 0;
    while (!isOver) {
      const { rows, reason, stats } = await ask(on, token, heavy());
      if (rows) {
        done++;
        engineMs.push(stats!.engine_ms);
      } else if (reason === "engine_busy") {
        busy++;
        await sleep(500);
      } else throw new Error(`a heavy statement was not answered: ${reason}`);
    }
    return done;
  });
  return {
    async stop() {
      isOver = true;
      return { done: await Promise.all(lanes), engineMs, busy };
    },
  };
}

function line(what: string, alone: readonly number[], beside: readonly number[]): void {
  const shown = (values: readonly number[]) =>
    `p50 ${median(values).toFixed(0)} ms, p95 ${quantile(values, 0.95).toFixed(0)} ms of ${values.length}`;
  const ratio = quantile(beside, 0.95) / Math.max(1, quantile(alone, 0.95));
  console.log(`${what}: alone ${shown(alone)}; beside ${shown(beside)}; p95 x ${ratio.toFixed(2)}`);
}

const system = await startSystem();
try {
  for (let sent = 0; sent < EVENTS; sent += 100) {
    await postEvents(
      system,
      Array.from({ length: 100 }, (_, i) => ({
        event_id: `fair-${sent + i}`,
        event_name: ["page", "product_viewed", "product_added", "search"][i % 4],
        event_type: "track",
        user_id: `user-${(sent + i) % USERS}`,
        page_path: `/products/${i % 97}`,
      })),
    );
  }
  await system.settled();
  await ask(system, LIGHT_TOKEN, light());
  const alone = await measure(system, "alone");
  const heavyAlone = await ask(system, heavyTokens[0]!, heavy());
  const load = heavyLoad(system);
  await sleep(500);
  const beside = await measure(system, "beside");
  const { done, engineMs, busy } = await load.stop();
  console.log(
    `a heavy statement alone: ${heavyAlone.stats?.engine_ms} ms of the engine; beside others p50 ${median(engineMs).toFixed(0)} ms`,
  );
  console.log(`statements of the ten tokens that were answered: ${done.join(", ")}; told to come back: ${busy}`);
  line("light statements of an eleventh token", alone.lightMs, beside.lightMs);
  line("of that, until the engine began", alone.waitMs, beside.waitMs);
  line("lookups of users", alone.lookupMs, beside.lookupMs);
  line("events into frames", alone.frameMs, beside.frameMs);
  expectEqual("the light answer beside, as alone", beside.answer, alone.answer);
} finally {
  await system.stop();
}
