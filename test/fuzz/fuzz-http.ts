/**
 * Fuzzed requests over HTTP against a running local system, many on each connection: every answer must be the predicted
 * one, and in the end SQL must have exactly what was accepted.
 */
import { Agent, request as httpRequest } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../../scripts/demo/random.ts";
import { ORIGIN_HEADERS, type RunningSystem } from "../system/harness.ts";
import { type Prediction, predict } from "./predict.ts";
import { type FuzzOptions, type FuzzRequest, fuzzRequest } from "./requests.ts";
import { describeRequest, shrink } from "./shrink.ts";
import { sendWire } from "./wire.ts";

export interface HttpFuzz {
  readonly seed: number;
  /** Requests first..first + requests - 1 of the seed. */
  readonly first: number;
  readonly requests: number;
  readonly prefix: string;
}

const CONNECTIONS = 32;
const LARGE_SHARE = 1 / 5_000;
/** Of requests that are not sent as HTTP has them. */
const WIRE_SHARE = 1 / 200;
const SOURCE = "dev";
/** After a 429. */
const AGAIN_MS = 200;
const ROWS_PER_PAGE = 100_000;
const PATHS = { batch: "/v1/batch", events: "/v1/events" } as const;

/** Everything that was accepted, by the table that it must be in. */
export class Accepted {
  readonly events = new Set<string>();
  readonly quarantine = new Set<string>();
  readonly random = { events: 0, quarantine: 0 };

  add({ events, quarantine, random }: Prediction): void {
    for (const id of events) this.events.add(id);
    for (const id of quarantine) this.quarantine.add(id);
    this.random.events += random.events;
    this.random.quarantine += random.quarantine;
  }
}

/** @returns how often each status came. @throws Error with the smallest request that is answered otherwise than predicted. */
export async function fuzzHttp(
  system: RunningSystem,
  fuzz: HttpFuzz,
  accepted: Accepted,
): Promise<Map<string, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const options: FuzzOptions = { prefix: fuzz.prefix, largeShare: LARGE_SHARE };
  const statuses = new Map<string, number>();
  let next = fuzz.first;
  let failure: Error | null = null;
  const sender = async () => {
    while (next < fuzz.first + fuzz.requests && failure === null) {
      const index = next++;
      const random = new Random(fuzz.seed ^ (index * 31));
      if (random.chance(WIRE_SHARE)) {
        const answer = await sendWire(system, random);
        statuses.set(`wire ${answer}`, (statuses.get(`wire ${answer}`) ?? 0) + 1);
        continue;
      }
      const request = fuzzRequest(fuzz.seed, index, options);
      const predicted = predict(request, SOURCE);
      const chunked = random.chance(0.3);
      const count = ({ status }: Answer) => statuses.set(String(status), (statuses.get(String(status)) ?? 0) + 1);
      let answer = await send(system, agent, request, chunked);
      // Two of the largest bodies at once are more than one isolate holds: the sender is told to come again.
      for (; answer.status === 429; answer = await send(system, agent, request, chunked)) {
        count(answer);
        await sleep(AGAIN_MS);
      }
      count(answer);
      const wrong = wrongAnswer(answer, predicted);
      if (wrong === null) accepted.add(predicted);
      else failure ??= await failed(system, agent, fuzz, index, request, wrong);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, sender));
  agent.destroy();
  if (failure !== null) throw failure;
  return statuses;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function wrongAnswer({ status, text }: Answer, predicted: Prediction): string | null {
  if (status !== predicted.status) return `answered ${status}, not ${predicted.status}: ${text.slice(0, 500)}`;
  if (status !== 200) return null;
  const counts = JSON.parse(text) as { accepted: number; dropped: number; retry: number };
  const isRight = counts.accepted === predicted.accepted && counts.dropped === predicted.dropped && counts.retry === 0;
  return isRight ? null : `counted otherwise than ${JSON.stringify(predicted)}: ${text.slice(0, 500)}`;
}

function send(
  system: RunningSystem,
  agent: Agent,
  { call, headers, body }: FuzzRequest,
  chunked: boolean,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const path = PATHS[call as keyof typeof PATHS] ?? `/v1/${call}`;
    const { authorization } = ORIGIN_HEADERS.write;
    const length = chunked ? {} : { "content-length": String(body.length) };
    const sent = httpRequest(
      `${system.url}${path}`,
      { method: "POST", agent, headers: { ...headers, authorization, ...length } },
      (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("end", () => resolve({ status: response.statusCode!, text: Buffer.concat(parts).toString() }));
        response.on("error", reject);
      },
    );
    sent.on("error", (error) => {
      // The server had closed the connection: it refused the request before without reading all of it.
      if (sent.reusedSocket) resolve(send(system, agent, { call, headers, body }, chunked));
      else reject(new Error(`${describeRequest({ call, headers, body })}: ${error.message}`));
    });
    sent.end(body);
  });
}

async function failed(
  system: RunningSystem,
  agent: Agent,
  { seed }: HttpFuzz,
  index: number,
  request: FuzzRequest,
  wrong: string,
): Promise<Error> {
  const kind = wrong.slice(0, 16);
  const again = async (smaller: FuzzRequest) =>
    wrongAnswer(await send(system, agent, smaller, false), predict(smaller, SOURCE))?.startsWith(kind) === true;
  const smallest = await shrink(request, again).catch(() => request);
  return new Error(
    `FUZZ_SEED=${seed}, request ${index} ${wrong}\n${describeRequest(smallest)}\n${system.output.slice(-3_000)}`,
  );
}

/** @returns what is stored otherwise than it was accepted: at most a few ids of each kind. */
export async function compareStored(system: RunningSystem, accepted: Accepted): Promise<Record<string, unknown>> {
  const wrong: Record<string, unknown> = {};
  for (const table of ["events", "quarantine"] as const) {
    const expected = accepted[table];
    const seen = new Set<string>();
    let random = 0;
    const rows: { never: string[]; twice: string[] } = { never: [], twice: [] };
    for await (const [id, count] of idsOf(system, table)) {
      if (expected.has(id)) seen.add(id);
      else if (id.startsWith("minted-")) random++;
      else rows.never.push(id);
      if (count !== 1) rows.twice.push(id);
    }
    const missing = [...expected].filter((id) => !seen.has(id));
    if (missing.length > 0) wrong[`${table}: accepted, not stored`] = missing.slice(0, 5);
    if (rows.never.length > 0) wrong[`${table}: stored, not accepted`] = rows.never.slice(0, 5);
    if (rows.twice.length > 0) wrong[`${table}: stored twice`] = rows.twice.slice(0, 5);
    if (random !== accepted.random[table])
      wrong[`${table}: minted`] = { stored: random, accepted: accepted.random[table] };
  }
  return wrong;
}

/** Page by page, since an answer is bounded. */
async function* idsOf(system: RunningSystem, table: string): AsyncGenerator<[string, number]> {
  const count = Number((await system.sql(`select count(*) from ${table}`)).rows[0]![0]);
  const pages = Math.ceil(count / ROWS_PER_PAGE);
  for (let page = 0; page < pages; page++) {
    const sql = `select event_id, count(*) from ${table} where hash(event_id) % ${pages} = ${page} group by 1`;
    for (const [id, count] of (await system.sql(sql)).rows) yield [String(id), Number(count)];
  }
}
