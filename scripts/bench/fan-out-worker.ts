/** The Worker that `bench-fan-out.ts` drives: batches are loaded first, so that a timed run is the stage and nothing else. */
import { DurableObject } from "cloudflare:workers";
import type { EventLogApi, EventLogRulesApi } from "../../durable-objects/event-log/api.ts";
import { ShardLog } from "../../durable-objects/event-log/shard-log.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { ObjectWriter } from "../../queues/dead-letter.ts";
import { BarredSubjects } from "../../queues/fan-out/barred.ts";
import { fanOut } from "../../queues/fan-out/fan-out.ts";
import { parseMessage } from "../../r2-layout/event-message.ts";
import { DAY_MS, HOUR_MS, SECOND_MS } from "../../r2-layout/limits.ts";
import { decodeSegmentLines, encodeSegment } from "../../r2-layout/segment.ts";
import { packSubjects, subjectHasher } from "../../r2-layout/subjects.ts";

export { EventLog } from "../../durable-objects/event-log/event-log.ts";

interface Env {
  readonly BUCKET: R2Bucket;
  readonly EVENT_LOG: ObjectNamespace<EventLogApi & EventLogRulesApi>;
  readonly DEDUP: DurableObjectNamespace<Dedup>;
}

export const BENCH_MODES = ["gzip", "stage", "erased", "stage+r2"] as const;
export type BenchMode = (typeof BENCH_MODES)[number];

/** Names of people, as bench-fan-out.ts has them. */
const BENCH_KEY = "bench";
/** The shard whose log keeps somebody out. */
const ERASED_SHARD = 1;

const hash = subjectHasher(BENCH_KEY);
let barred = new BarredSubjects(hash);
let batches: string[][] = [];
const written = new Map<string, Uint8Array>();
const memory: ObjectWriter = {
  put: async (key, body) => void written.set(key, body as Uint8Array),
};

export default {
  async fetch(request, env): Promise<Response> {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/load":
        batches = await request.json();
        return Response.json({ batches: batches.length });
      case "/erase":
        return Response.json(await erase(await request.json(), env));
      case "/run":
        return Response.json(await run(url.searchParams.get("mode") as BenchMode, env));
      case "/check":
        return Response.json(await check(env));
      default:
        return Response.json(await env.DEDUP.getByName("dedup").run(Number(url.searchParams.get("ids"))));
    }
  },
} satisfies ExportedHandler<Env>;

/** Batches overlap, as the queue delivers them: one waits for the disk while another is worked on. */
async function run(mode: BenchMode, env: Env): Promise<{ bytes: number; acked: number }> {
  if (mode === "gzip") {
    const sizes = batches.map((bodies) => encodeSegment(bodies.flatMap((body) => linesOf(body))).byteLength);
    return { bytes: sizes.reduce((sum, size) => sum + size, 0), acked: 0 };
  }
  let acked = 0;
  const bucket = mode === "stage+r2" ? env.BUCKET : memory;
  // Of a log without rules nobody has told this isolate anything.
  const known = mode === "erased" ? barred : new BarredSubjects(hash);
  await Promise.all(
    batches.map((bodies) => {
      const messages = bodies.map((body, i) => ({
        id: String(i),
        body,
        attempts: 1,
        ack: () => acked++,
        retry: () => {},
      }));
      const batch = { queue: "events-0", messages } as unknown as MessageBatch<unknown>;
      return fanOut(batch, { logs: env.EVENT_LOG, bucket, barred: known });
    }),
  );
  return { bytes: 0, acked };
}

/** Rules of so many devices each. */
async function erase(lists: readonly string[][], env: Env): Promise<{ rules: number }> {
  barred = new BarredSubjects(hash);
  const log = env.EVENT_LOG.getByName(`00${ERASED_SHARD}`);
  for (const [i, devices] of lists.entries()) {
    const subjects = packSubjects(devices.map((id) => hash({ kind: "device", id })));
    const rule = {
      version: i + 1,
      id: `rule-${i}`,
      filter: { subjects },
      change: { kind: "erase" },
      createdAt: 0,
    } as const;
    await log.raise(rule, `rules/${i}`);
  }
  return { rules: lists.length };
}

function linesOf(body: string): readonly string[] {
  const parsed = parseMessage(body);
  if (!parsed.ok) throw new Error(parsed.error.detail);
  return parsed.value.lines;
}

/** Reads back everything that the log names, and sums a number that each event carries. */
async function check(env: Env): Promise<Checked> {
  const all: Checked = { events: 0, sum: 0, segments: 0, committed: 0, suppressed: 0 };
  for (const shard of [0, ERASED_SHARD]) {
    const one = await checkShard(`00${shard}`, env);
    for (const name of Object.keys(all) as (keyof Checked)[]) all[name] += one[name];
  }
  return all;
}

export interface Checked {
  events: number;
  sum: number;
  segments: number;
  committed: number;
  suppressed: number;
}

async function checkShard(name: string, env: Env): Promise<Checked> {
  const log = env.EVENT_LOG.getByName(name);
  let events = 0;
  let sum = 0;
  let at = 0;
  for (;;) {
    const { segments } = await log.segments(at);
    if (segments.length === 0) break;
    for (const { key, seq, kind } of segments) {
      if (kind === "rule") {
        at = seq;
        continue;
      }
      const body = written.get(key) ?? new Uint8Array(await (await env.BUCKET.get(key))!.arrayBuffer());
      for (const line of decodeSegmentLines(body)) {
        events++;
        sum += JSON.parse(line).raw.properties.number;
      }
      at = seq;
    }
  }
  const { committed, suppressed } = await log.status();
  return { events, sum, segments: at, committed, suppressed };
}

export interface DedupFigures {
  readonly ids: number;
  readonly commits: number;
  /** Rows written by commits, and by flushes, merges and deletes until the day's one run. */
  readonly commitRows: number;
  readonly upkeepRows: number;
  readonly memoryBytes: number;
  readonly databaseBytes: number;
}

const IDS_PER_COMMIT = 2_000;

/** The dedup window at 500 events a second, on a clock of its own. */
export class Dedup extends DurableObject {
  async run(ids: number): Promise<DedupFigures> {
    const { storage } = this.ctx;
    let rows = 0;
    const counting = {
      exec: (...query: Parameters<SqlStorage["exec"]>) => {
        const cursor = storage.sql.exec(...query);
        rows += cursor.rowsWritten;
        return cursor;
      },
    } as unknown as SqlStorage;
    const log = new ShardLog(counting, 0);
    let now = 20_000 * DAY_MS;
    let commits = 0;
    let commitRows = 0;
    let upkeepRows = 0;
    const upkeep = () => {
      rows = 0;
      while (storage.transactionSync(() => log.maintain(now)));
      upkeepRows += rows;
    };
    for (let done = 0; done < ids; done += IDS_PER_COMMIT) {
      const packed = crypto.getRandomValues(new Uint8Array(IDS_PER_COMMIT * 16));
      const key = `log/dt=2024-10-04/shard=000/${String(commits++).padStart(26, "0")}.ndjson.gz`;
      const segment = { key, bytes: 1, events: IDS_PER_COMMIT, quarantined: 0 };
      const times = { minReceivedAt: 1, maxReceivedAt: 1, writtenAt: now };
      rows = 0;
      const commit = { epoch: 0, segment: { ...segment, ...times }, ids: packed, messages: [] };
      const answer = storage.transactionSync(() => log.commit(commit, now));
      if (answer.kind !== "committed") throw new Error(`commit ${commits} is ${answer.kind}`);
      commitRows += rows;
      now += (IDS_PER_COMMIT / 500) * SECOND_MS;
      upkeep();
    }
    const { id_memory_bytes: memoryBytes } = log.status();
    now += DAY_MS + 3 * HOUR_MS;
    upkeep();
    return { ids, commits, commitRows, upkeepRows, memoryBytes, databaseBytes: storage.sql.databaseSize };
  }
}
