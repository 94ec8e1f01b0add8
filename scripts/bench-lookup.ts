/**
 * `npm run bench:lookup [-- --quick]`: how long it takes to look up a user, in a local run over HTTP, with 20,000 users' timelines on disk,
 * one of them of 100,000 events: users at random (not in memory), users who are being written to, the large one, users who were never
 * seen, profiles, and a hundred profiles at once; the baseline is a request that asks no object. First with nothing else under way, then
 * beside 500 events/s, then beside a user who has 1,000 events/s more. Each answer is checked; 95 of 100 lookups have 50 ms.
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ORIGIN_HEADERS, type RunningSystem, startSystem, until } from "../test/system/harness.ts";
import { count, expectEqual, median, quantile } from "./bench/figures.ts";
import { postEvents, reconnecting, SteadyLoad } from "./bench/steady-load.ts";

const quick = process.argv.includes("--quick");
const USERS = quick ? 500 : 20_000;
const EVENTS_PER_USER = 10;
const LARGE_EVENTS = quick ? 5_000 : 100_000;
const PHASE_MS = quick ? 3_000 : 20_000;
const WRITES = 500;
const HOT_WRITES = 1_000;
const LOAD_USERS = 50;
const BATCH = 100;
const PAGE = 100;
const BUDGET_MS = 50;
const PAUSE_MS = 40;
const EVENTS_PER_REQUEST = 200;
/** Filling waits for the sinks: a new object takes milliseconds of a disk, and what is far behind slows everything. */
const IN_FLIGHT_MAX = 10_000;
const FILLED_WITHIN_MS = 20 * 60_000;
const MINUTES = 24 * 60;

/** Lookups by kind: the path that is asked, and what the answer must hold. */
interface Kind {
  readonly ask: (on: RunningSystem) => Promise<unknown>;
  readonly isRight: (answer: never) => boolean;
}
interface Page {
  readonly events: readonly unknown[];
}
interface Profile {
  readonly events: number;
  readonly windows: { readonly "30d": { readonly events: number } };
}

let drawn = 1;
/** The same users in each run. */
function draw(below: number): number {
  drawn = (Math.imul(drawn, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((drawn / 2 ** 32) * below);
}
const anyUser = () => `user-${draw(USERS)}`;
const eventsOf = (user: string) => `/v1/users/${user}/events?minutes=${MINUTES}&limit=${PAGE}`;
const isWhole = ({ events, windows }: Profile) => events === EVENTS_PER_USER && windows["30d"].events === events;

const BATCHES = "100 profiles at once";
const BASELINE = "a request that asks no object (/healthz)";
const KINDS: Readonly<Record<string, Kind>> = {
  [BASELINE]: { ask: (on) => on.read("/healthz"), isRight: ({ ok }: { ok: boolean }) => ok },
  "a user at random": {
    ask: (on) => on.read(eventsOf(anyUser())),
    isRight: ({ events }: Page) => events.length === EVENTS_PER_USER,
  },
  "a user who is being written to": {
    ask: (on) => on.read(eventsOf(`load-user-${draw(LOAD_USERS)}`)),
    isRight: ({ events }: Page) => events.length > 0,
  },
  "the user of 100,000 events": {
    ask: (on) => on.read(eventsOf("large")),
    isRight: ({ events }: Page) => events.length === PAGE,
  },
  "a user who was never seen": {
    ask: (on) => on.read(eventsOf(`nobody-${draw(2 ** 32)}`)),
    isRight: ({ events }: Page) => events.length === 0,
  },
  "a profile": { ask: (on) => on.read(`/v1/users/${anyUser()}/profile`), isRight: isWhole },
  "the profile of the large user": {
    ask: (on) => on.read("/v1/users/large/profile"),
    isRight: ({ events }: Profile) => events === LARGE_EVENTS,
  },
  [BATCHES]: {
    ask: (on) => on.read("/v1/profiles", { users: Array.from({ length: BATCH }, anyUser) }),
    isRight: ({ profiles }: { profiles: readonly Profile[] }) => profiles.length === BATCH && profiles.every(isWhole),
  },
};

type Times = Readonly<Record<string, number[]>>;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Each kind in a lane of its own, one lookup after another; then the batches, whose bursts of calls would be in the others' way. */
async function measure(on: RunningSystem): Promise<Times> {
  const { [BATCHES]: batches, ...single } = KINDS;
  return { ...(await lanesOf(on, single, PHASE_MS)), ...(await lanesOf(on, { [BATCHES]: batches! }, PHASE_MS / 4)) };
}

async function lanesOf(on: RunningSystem, kinds: Readonly<Record<string, Kind>>, forMs: number): Promise<Times> {
  const until = performance.now() + forMs;
  const lanes = Object.entries(kinds).map(async ([name, { ask, isRight }]) => {
    const times: number[] = [];
    while (performance.now() < until) {
      let began = 0;
      const answer = await reconnecting(() => {
        began = performance.now();
        return ask(on);
      });
      times.push(performance.now() - began);
      if (!isRight(answer as never)) throw new Error(`${name}: ${JSON.stringify(answer).slice(0, 500)}`);
      await sleep(PAUSE_MS);
    }
    return [name, times] as const;
  });
  return Object.fromEntries(await Promise.all(lanes));
}

function eventOf(user: string, n: number): object {
  const product = (n * 7_919) % 500;
  return {
    event_id: `${user}-${n}`,
    event_name: ["page", "product_viewed", "product_added", "search"][n % 4],
    event_type: n % 4 === 0 ? "page" : "track",
    user_id: user,
    page_path: `/products/${product}`,
    referrer: "https://search.example.com/",
    properties: { category: "shoes", sku: `SKU-${product}`, position: String(n % 20) },
  };
}

async function fill(on: RunningSystem): Promise<void> {
  const began = performance.now();
  const usersPerRequest = EVENTS_PER_REQUEST / EVENTS_PER_USER;
  const largePerRequest = (LARGE_EVENTS / USERS) * usersPerRequest;
  for (let request = 0; request < USERS / usersPerRequest; request++) {
    const users = Array.from({ length: usersPerRequest }, (_, i) => `user-${request * usersPerRequest + i}`);
    const large = Array.from({ length: largePerRequest }, (_, i) => eventOf("large", request * largePerRequest + i));
    await postEvents(on, [
      ...users.flatMap((user) => Array.from({ length: EVENTS_PER_USER }, (_, n) => eventOf(user, n))),
      ...large,
    ]);
    if (request % 10 === 9) {
      const hasRoom = async () => (await on.ledger()).total.in_flight < IN_FLIGHT_MAX;
      await until("the sinks have come along", FILLED_WITHIN_MS, hasRoom);
    }
  }
  await on.settled(FILLED_WITHIN_MS);
  const events = USERS * EVENTS_PER_USER + LARGE_EVENTS;
  const seconds = (performance.now() - began) / 1_000;
  console.log(`filled: ${count(events)} events of ${count(USERS + 1)} users in ${seconds.toFixed(0)} s`);
}

/** Bytes of each timeline's database on disk, what it has not folded into its main file included. */
function timelinesIn(dir: string): number[] {
  const bytes = new Map<string, number>();
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    const [, object] = /^([0-9a-f]{64})\.sqlite(-wal)?$/.exec(entry.name) ?? [];
    if (!object || !entry.parentPath.includes("UserTimeline")) continue;
    bytes.set(object, (bytes.get(object) ?? 0) + statSync(join(entry.parentPath, entry.name)).size);
  }
  return [...bytes.values()];
}

/** Where a request that asks nothing of an object takes longer than a lookup may, the machine has other work. */
function judge(p95: number, baselineP95: number): string {
  if (baselineP95 > BUDGET_MS)
    return `x ${(p95 / baselineP95).toFixed(2)} of the baseline; the machine is too busy to say more`;
  return p95 <= BUDGET_MS ? "within 50 ms" : "over 50 ms";
}

async function phase(name: string): Promise<Times> {
  const times = await measure(on);
  console.log(`\n${name}`);
  for (const [kind, of] of Object.entries(times)) {
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((q) => quantile(of, q).toFixed(1));
    const verdict = judge(quantile(of, 0.95), quantile(times[BASELINE] ?? [], 0.95));
    const judged = kind === BATCHES || kind === BASELINE ? "" : `, ${verdict}`;
    console.log(`  ${kind.padEnd(40)} p50 ${p50}, p95 ${p95}, p99 ${p99} ms of ${of.length}${judged}`);
  }
  return times;
}

const folders: string[] = [];
const folder = (below: string): string => {
  const made = mkdtempSync(join(below, "lookup-bench-"));
  folders.push(made);
  return made;
};
// Filled in memory where there is room: a new timeline waits for a disk's sync, twenty thousand of them for minutes.
const filledIn = folder(existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
const dir = folder(tmpdir());
let on = await startSystem({ dir: filledIn });
try {
  await fill(on);
  const before = new SteadyLoad(on, WRITES);
  await sleep(2_000);
  await before.stop();
  await on.settled();
  await on.stop();
  // From disk, and nothing is in the runtime's memory after it.
  cpSync(filledIn, dir, { recursive: true });
  const bytes = timelinesIn(dir);
  console.log(
    `on disk: ${count(bytes.length)} timelines, ${count(median(bytes))} bytes the middle one, ${count(Math.max(...bytes))} the largest`,
  );
  on = await startSystem({ dir, port: on.options.port });
  await measureWarm(on);

  await phase("nothing else under way");
  const load = new SteadyLoad(on, WRITES);
  await sleep(2_000);
  const alone = await phase(`beside ${WRITES} events/s`);
  const hot = new SteadyLoad(on, HOT_WRITES, { users: 1, named: "hot", perRequest: 50 });
  await sleep(2_000);
  const beside = await phase(`beside ${WRITES} events/s and a user of ${count(HOT_WRITES)} events/s`);
  const hotEvents = await hot.stop();
  await load.stop();
  for (const kind of [BASELINE, "a user at random", "a user who is being written to"]) {
    const ratio = quantile(beside[kind]!, 0.95) / quantile(alone[kind]!, 0.95);
    console.log(`what the hot user costs others (${kind}): p95 x ${ratio.toFixed(2)}`);
  }
  await on.settled(FILLED_WITHIN_MS);
  const { events } = await on.read<Profile>("/v1/users/hot-user-0/profile");
  expectEqual("events of the hot user", events, hotEvents);
} catch (error) {
  console.error(on.output.slice(-4_000));
  throw error;
} finally {
  await on.stop();
  for (const made of folders) rmSync(made, { recursive: true, force: true });
}

/** The isolates start, and connections open. */
async function measureWarm(system: RunningSystem): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await fetch(`${system.url}/v1/users/warm-up-${i}/events`, { headers: ORIGIN_HEADERS.read }).then((answer) =>
      answer.arrayBuffer(),
    );
  }
}
