/**
 * Some of a crowd are erased while everybody goes on sending, messages wait on the queues and a store is being built anew.
 * Then everything that the run has stored is searched, below every interface, and everybody else's answers are compared with
 * those from before (promise 7). The test runs it small; `npm run check:erasure` with a million events.
 */
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { timelineName } from "../../../durable-objects/user-timeline/timeline-name.ts";
import { verifyReceipt } from "../../../r2-layout/signed-receipt.ts";
import type { ErasureJson, ErasurePreviewJson } from "../../../workers/erasure-json.ts";
import { endJob } from "../chaos/jobs.ts";
import { type Ledger, ORIGIN_HEADERS, type RunningSystem, until } from "../harness.ts";
import { Crowd, MARK } from "./crowd.ts";
import { objectFile, type Scan, scanFiles, scanState, type Trace } from "./scan.ts";

export interface TrialOptions {
  readonly events: number;
  readonly gone: number;
  readonly staying: number;
  readonly seed: number;
  /** How long an erasure may take, and everything else that is waited for. */
  readonly waitMs: number;
  /** Searches the state from before, too: whether there was anything to find. */
  readonly provesSearch: boolean;
  readonly told: (line: string) => void;
}

export interface TrialResult {
  readonly preview: ErasurePreviewJson;
  readonly erasure: ErasureJson;
  readonly receipt: Awaited<ReturnType<typeof verifyReceipt>>;
  readonly tampered: Awaited<ReturnType<typeof verifyReceipt>>;
  readonly replayWasRunning: boolean;
  readonly sentOfGone: Crowd["sentOfGone"];
  readonly ledger: Ledger;
  /** Rows that still name one of the erased, in SQL. */
  readonly rowsOfGone: number;
  /** Events of the erased that minutes still count. */
  readonly countOfGone: number;
  /** Questions about everybody else that have another answer than before. */
  readonly changed: readonly string[];
  readonly asked: number;
  /** Events of those who stay that were acknowledged and are not in SQL exactly once. */
  readonly lost: readonly string[];
  /** Of the state from before, where that was asked for. */
  readonly searchedBefore: Scan | null;
  readonly searched: Scan;
  /** Files of objects that had to be erased whole. */
  readonly files: { readonly looked: number; readonly traces: readonly Trace[] };
  readonly tookMs: number;
}

const CLASS = "eventpile-objects-UserTimeline";
const IDENTITY_KEY = "local-identity-key";
/** Builds of the timelines that there may have been. */
const BUILDS = 4;
/** Ids in one answer, about. */
const ROWS_AT_ONCE = 50_000;
const LISTED = { users: 12, devices: 4 } as const;

/** @param running with a folder of its own that outlives it; stopped at the end */
export async function eraseFromCrowd(running: RunningSystem, options: TrialOptions): Promise<TrialResult> {
  const system = patient(running);
  const { told, waitMs } = options;
  const { dir } = system.options;
  const crowd = new Crowd(options.gone, options.staying, options.seed);
  await crowd.sendPast(system, options.events);
  await system.settled(waitMs);
  await finalMinutes(system, waitMs);
  await system.read("/v1/cuts", { name: "before" });
  await system.maintain();
  told(`${options.events} events are stored, a cut is made, Iceberg is published`);

  const questions = questionsOf(crowd);
  const before = await answers(system, questions);
  const searchedBefore = options.provesSearch ? await searchCopy(dir) : null;

  crowd.keepSending(system);
  const rebuild = { mode: "rebuild", sinks: ["sessions"], rate: Math.max(4_000, Math.floor(options.events / 20)) };
  const replay = `/v1/replays/${(await system.read<{ id: string }>("/v1/replays", rebuild)).id}`;
  await until("the replay runs", waitMs, async () => {
    const { progress } = await system.read<{ progress: { events: number } }>(replay);
    return progress.events > 0;
  });
  // What is on the queues when the rules come has been sent before them.
  await system.chaos({ hold: true }, "events-");
  const user_ids = crowd.gone.map(({ user }) => user);
  const preview = await system.read<ErasurePreviewJson>("/v1/erasures", { user_ids });
  const replayWasRunning = (await system.read<{ state: string }>(replay)).state === "running";
  const began = Date.now();
  await system.read(`/v1/erasures/${preview.id}/confirm`, {});
  const progress = () => system.read<ErasureJson>(`/v1/erasures/${preview.id}`);
  await until("the rules are raised", waitMs, async () => (await progress()).rule_versions.length > 0);
  await system.chaos({}, "events-");
  let erasure = await progress();
  let step = "";
  await until("every store has confirmed", waitMs, async () => {
    erasure = await progress();
    const now = stepOf(erasure);
    if (now !== step) told(`${Date.now() - began} ms: ${now}`);
    step = now;
    return erasure.state === "done";
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(erasure)}\n${system.output.slice(-6_000)}`);
  });
  const tookMs = Date.now() - began;
  crowd.confirmed();
  const sentBy = crowd.sentOfGone.after;
  await until("the erased have sent more", waitMs, async () => crowd.sentOfGone.after > sentBy + options.gone);
  await crowd.stop();
  await endJob(system, replay, "confirm");
  told("the replay is swapped in");
  await system.settled(waitMs);
  await system.maintain();

  const ledger = await system.settled(waitMs);
  const after = await answers(system, questions);
  const stored = await idsOfStaying(system, options.events);
  const count = (rows: readonly (readonly unknown[])[]) => Number(rows[0]?.[0]);
  const named = (table: string) =>
    `select count(*) from ${table} where user_id like 'for%' || 'getme%' or anonymous_id like 'for%' || 'getme%'`;
  const rowsOfGone =
    count((await system.sql(named("events"))).rows) + count((await system.sql(named("quarantine"))).rows);
  const counted = await system.rollups({ metric: "events", grain: "minute", by: "event_name", ...past() });
  const countOfGone = counted
    .filter(({ key }) => key.event_name?.startsWith("Gone"))
    .reduce((sum, { value }) => sum + value, 0);
  const receiptText = await (await fetch(`${system.url}${erasure.receipt}`, { headers: ORIGIN_HEADERS.read })).text();
  const result = {
    ...{
      preview,
      erasure,
      replayWasRunning,
      sentOfGone: crowd.sentOfGone,
      ledger,
      rowsOfGone,
      countOfGone,
      searchedBefore,
      tookMs,
    },
    receipt: await verifyReceipt(JSON.parse(receiptText)),
    tampered: await verifyReceipt(JSON.parse(receiptText.replace(/"found": \d+/, '"found": 987654321'))),
    asked: questions.length,
    changed: questions.flatMap(({ text }, i) => (before[i] === after[i] ? [] : [`${text}\n${before[i]}\n${after[i]}`])),
    lost: notOnce(stored, crowd.ackedOfStaying.keys()),
  };
  await system.stop();
  // Before anything opens them: that would move pages from the log to the file.
  const files = filesOf(dir, crowd);
  const ofFiles = { looked: files.length, traces: await scanFiles(files, [MARK]) };
  return { ...result, files: ofFiles, searched: await scanState(dir, [MARK]) };
}

/** A connection that stood idle may be closed in the moment it is used: everything is asked once more. */
function patient(system: RunningSystem): RunningSystem {
  return new Proxy(system, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return async (...given: unknown[]) => {
        try {
          return await member.apply(target, given);
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
          return member.apply(target, given);
        }
      };
    },
  });
}

function stepOf({ stage, rules_stage, stores }: ErasureJson): string {
  const open = stores.filter(({ state }) => state === "erasing" || state === "verifying");
  const confirmed = stores.filter(({ state }) => state === "confirmed").length;
  const at = open.map(({ store, state, error }) => `${store} ${state}${error === null ? "" : ` (${error})`}`);
  return [stage, rules_stage, `${confirmed} of ${stores.length}`, ...at].filter(Boolean).join(", ");
}

/** A point that ripens between two rounds would look like a difference. */
function finalMinutes(system: RunningSystem, waitMs: number): Promise<void> {
  return until("all minutes are final", waitMs, async () =>
    (await system.rollups({ metric: "events", grain: "minute", ...past() })).every(({ state }) => state === "final"),
  );
}

const past = () => ({ from: new Date(Date.now() - 3 * 3_600_000).toISOString(), to: new Date().toISOString() });

interface Question {
  readonly text: string;
  ask(system: RunningSystem): Promise<unknown>;
}

/** About everybody else, and of what was sent before only: clients go on. */
function questionsOf(crowd: Crowd): Question[] {
  const sql = (text: string, as_of?: string): Question => ({
    text: as_of === undefined ? text : `${text} as of ${as_of}`,
    ask: async (system) =>
      (await system.read<{ rows: unknown }>("/v1/sql", { sql: text, route: "engine", ...(as_of && { as_of }) })).rows,
  });
  const isBefore = "properties['phase'][1] = 'before'";
  const mine = `${isBefore} and (event_name like 'Stays%' or user_id like 'stays%')`;
  const rows = `select coalesce(user_id, anonymous_id) as who, event_name, count(*), min(event_time), max(event_time),
    sum(hash(event_id || coalesce(page_url, '') || log_shard || '/' || log_seq) % 1000000007)
    from events where ${mine} group by 1, 2 order by 1, 2`;
  const timeline = (path: string): Question => ({
    text: path,
    ask: async (system) => {
      const { events } = await system.read<{ events: Record<string, unknown>[] }>(
        `${path}/events?limit=1000&minutes=600`,
      );
      const isOld = ({ properties, user_id }: Record<string, unknown>) =>
        !String(user_id ?? "").startsWith(MARK) && (properties as Record<string, unknown> | null)?.phase === "before";
      return events.filter(isOld);
    },
  });
  const minutes = (metric: string): Question => ({
    text: `${metric} by minute`,
    ask: async (system) => {
      const points = await system.rollups({ metric, grain: "minute", by: "event_name", ...past() });
      // Clients sent the past up to three minutes ago, and go on now.
      const isOld = ({ start }: { start: string }) => Date.parse(start) < startedAt - 3 * 60_000;
      const ofStaying = points.filter((point) => isOld(point) && point.key.event_name?.startsWith("Stays"));
      return ofStaying.map(({ start, key, value }) => [start, key, value]);
    },
  });
  const startedAt = Date.now();
  return [
    sql(rows),
    sql(rows, "before"),
    sql("select count(*) from quarantine where raw like '%stays-user%' and raw like '%before%'"),
    minutes("events"),
    ...crowd.staying.slice(0, LISTED.users).map(({ user }) => timeline(`/v1/users/${user}`)),
    ...crowd.staying.slice(0, LISTED.devices).map(({ device }) => timeline(`/v1/devices/${device}`)),
    ...crowd.staying.slice(0, LISTED.devices).map(({ shared }) => timeline(`/v1/devices/${shared}`)),
  ];
}

async function answers(system: RunningSystem, questions: readonly Question[]): Promise<string[]> {
  const found: string[] = [];
  for (const question of questions) {
    const text = JSON.stringify(await question.ask(system));
    if (text.length < 3) throw new Error(`no answer to ${question.text}`);
    found.push(text);
  }
  return found;
}

/** By the end of their number: an answer has only so many rows. */
async function idsOfStaying(system: RunningSystem, events: number): Promise<string[]> {
  const digits = Math.max(0, Math.ceil(Math.log10(events / ROWS_AT_ONCE)));
  const ids: string[] = [];
  for (let part = 0; part < 10 ** digits; part++) {
    const end = digits === 0 ? "" : String(part).padStart(digits, "0");
    const { rows } = await system.sql(`select event_id from events where event_id like '%${end}-s'`);
    for (const [id] of rows) ids.push(String(id));
  }
  return ids;
}

function notOnce(stored: readonly string[], acked: Iterable<string>): string[] {
  const times = new Map<string, number>();
  for (const id of stored) times.set(id, (times.get(id) ?? 0) + 1);
  return [...acked].filter((id) => times.get(id) !== 1);
}

/** The run goes on: what is being written may be in it, or not. */
async function searchCopy(dir: string): Promise<Scan> {
  const copy = `${dir}-copy`;
  try {
    cpSync(join(dir, "state"), join(copy, "state"), { recursive: true });
    return await scanState(copy, [MARK]);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function filesOf(dir: string, { gone }: Crowd): string[] {
  const subjects = gone.flatMap(({ user, device }) => [
    { kind: "user" as const, id: user },
    { kind: "device" as const, id: device },
  ]);
  return subjects.flatMap((subject) =>
    Array.from({ length: BUILDS }, (_, build) => objectFile(dir, CLASS, timelineName(IDENTITY_KEY, subject, build))),
  );
}
