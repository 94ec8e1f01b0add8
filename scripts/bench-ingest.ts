/**
 * `npm run bench:ingest`: events taken through HTTP, 20 in a request, by the edge as it is deployed. The baseline is a
 * bare Worker that parses the same JSON and puts one message on a queue. Both run in workerd with a real queue and a
 * consumer that counts; the load comes from a process of its own, in turns, so that a slow moment of the machine
 * meets both. Every accepted event must arrive on the queue, under running numbers without a gap. A third one, "checked", is the edge with
 * a contract in force for every event; its ratio is to the edge without. A fourth, "treated", has a PII policy in it that hashes one field, cuts one and encrypts one for
 * each event; its ratio is to "checked".
 *
 * "One core" is taken at its word where the system tells processor time (Linux): requests for each second that
 * workerd computed. The clock's rate is printed too, but on a busy or small machine it measures the load generator as well.
 */

import "./local/runtime-flags.ts";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { promisify } from "node:util";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { parseMessage } from "../r2-layout/event-message.ts";
import { parseLogLine } from "../r2-layout/log-line.ts";
import { median, quantile } from "./bench/figures.ts";
import { EVENTS, EVENTS_PER_REQUEST, eventsBatch } from "./bench/segment-events.ts";
import { bundleWorker } from "./local/bundle.ts";
import { v4Modules } from "./local/v4-worker.ts";
import { ROOT } from "./local/wrangler-config.ts";

const ROUNDS = 7;
const REQUESTS = 1_500;
const WARM_UP_REQUESTS = 3_000;
const CONCURRENCY = 16;
const BUDGET = 0.5;
const WAIT_MS = 30_000;
/** Linux counts processor time in hundredths of a second. */
const TICK_MS = 10;

/** Who registers contracts here. */
const TOKEN = "bench";
const TOKENS = JSON.stringify([{ sha256: createHash("sha256").update(TOKEN).digest("hex"), scopes: ["admin"] }]);
const REGISTRY =
  'export { ContractRegistry } from "./durable-objects/contract-registry/contract-registry.ts";' +
  'export { PiiKey } from "./durable-objects/pii-key/pii-key.ts";';

interface Subject {
  readonly name: string;
  readonly miniflare: Miniflare;
  readonly url: string;
  /** workerd's process, where /proc shows it. */
  readonly pid: number | undefined;
  requests: number;
  accepted: number;
  readonly rounds: { wallMs: number; cpuMs: number | undefined }[];
  readonly latencies: number[];
}

interface Counted {
  readonly messages: number;
  readonly events: number;
  readonly numbers: number;
  readonly newest: number;
  readonly sample: string;
}

async function startSubject(name: string, entry: string): Promise<Subject> {
  const bundle = (file: string, of: string) =>
    bundleWorker({ entry: `export { default } from "./${file}"; ${REGISTRY}`, folder: ROOT, name: of });
  const options = { compatibilityDate: "2026-08-15", compatibilityFlags: ["nodejs_compat"] };
  const before = workerdChildren();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: {},
      workers: [
        {
          name,
          ...options,
          ...v4Modules(await bundle(entry, name)),
          bindings: { SHARDS: "1", WRITE_KEYS: '{"dev":"dev"}', TOKENS, IDENTITY_KEY: "bench" },
          durableObjects: {
            CONTRACT_REGISTRY: { className: "ContractRegistry", useSQLite: true },
            PII_KEY: { className: "PiiKey", useSQLite: true },
          },
          queueProducers: { EVENTS_0: "events-0" },
        },
        {
          name: "counter",
          ...options,
          ...v4Modules(await bundle("scripts/bench/queue-count-worker.ts", "counter")),
          queueConsumers: { "events-0": { maxBatchSize: 100, maxBatchTimeout: 1 } },
        },
      ],
    }),
  );
  const url = (await miniflare.ready).origin;
  const pid = workerdChildren().find((child) => !before.includes(child));
  return { name, miniflare, url, pid, requests: 0, accepted: 0, rounds: [], latencies: [] };
}

/** A contract of every event, before the first of them comes: what an isolate knows of contracts it keeps for half a minute. */
async function enforce({ url }: Subject, isTreated: boolean): Promise<void> {
  const pii = (kind: string, treatment: string) => (isTreated ? { "x-pii": { class: kind, treatment } } : {});
  const ask = async (method: string, path: string, body: unknown) => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const response = await fetch(`${url}/v1/contracts${path}`, { method, headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path} was answered with ${response.status}: ${await response.text()}`);
  };
  for (const event of EVENTS) {
    await ask("POST", "", {
      "x-event": event,
      "x-version": 1,
      "x-owner": "bench",
      description: "Something with a product.",
      type: "object",
      additionalProperties: false,
      properties: {
        sku: { type: "string", pattern: "^sku-[0-9]+$", maxLength: 20, ...pii("identifier", "hash") },
        price: { type: "number", minimum: 0, ...pii("financial", "encrypt") },
        currency: { type: "string", enum: ["EUR", "USD", "GBP"], ...pii("name", "truncate") },
      },
      required: ["sku", "price"],
    });
    await ask("PUT", `/${encodeURIComponent(event)}/rollout`, { mode: "reject" });
  }
}

/** Children of this process that are workerd; empty where there is no /proc. */
function workerdChildren(): number[] {
  try {
    return readdirSync("/proc")
      .map(Number)
      .filter(
        (pid) => pid > 0 && statOf(pid)?.startsWith("workerd ") && statOf(pid)?.split(" ")[2] === String(process.pid),
      );
  } catch {
    return [];
  }
}

/** `name state parent …`: /proc's line without the parentheses around the name. */
function statOf(pid: number): string | undefined {
  try {
    const [, name, rest] = /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    return `${name} ${rest}`;
  } catch {
    return undefined;
  }
}

function cpuMs(pid: number | undefined): number | undefined {
  const fields = pid === undefined ? undefined : statOf(pid)?.split(" ");
  return fields && (Number(fields[12]) + Number(fields[13])) * TICK_MS;
}

const run = promisify(execFile);

async function load(subject: Subject, requests: number, measured: boolean): Promise<void> {
  const cpuBefore = cpuMs(subject.pid);
  const args = [subject.url, requests, CONCURRENCY, subject.requests].map(String);
  const { stdout } = await run(process.execPath, [`${ROOT}/scripts/bench/ingest-load.ts`, ...args], {
    maxBuffer: 64 * 1_024 * 1_024,
  });
  const { ms, accepted, latencies } = JSON.parse(stdout) as { ms: number; accepted: number; latencies: number[] };
  subject.requests += requests;
  subject.accepted += accepted;
  // The queue's work for this round belongs to it.
  await arrived(subject);
  const cpuAfter = cpuMs(subject.pid);
  if (!measured) return;
  const cpu = cpuBefore !== undefined && cpuAfter !== undefined ? cpuAfter - cpuBefore : undefined;
  subject.rounds.push({ wallMs: ms, cpuMs: cpu });
  subject.latencies.push(...latencies);
}

/** @throws unless every message comes in time. */
async function arrived(subject: Subject): Promise<Counted> {
  const counter = await subject.miniflare.getWorker("counter");
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const counted = (await (await counter.fetch("http://counter/")).json()) as Counted;
    if (counted.messages >= subject.requests) return counted;
    if (Date.now() > deadline) throw new Error(`${subject.name}: ${counted.messages} of ${subject.requests} messages`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const rates = ({ rounds }: Subject, of: "wallMs" | "cpuMs") =>
  rounds.map((round) => (REQUESTS / (round[of] ?? Number.NaN)) * 1_000);

function report(subject: Subject): void {
  const wall = rates(subject, "wallMs");
  const cpu = rates(subject, "cpuMs");
  const core = Number.isNaN(cpu[0]) ? "" : `${Math.round(median(cpu))} requests/s of one core, `;
  console.log(
    `${subject.name.padEnd(7)} ${core}${Math.round(median(wall))} requests/s by the clock ` +
      `(${Math.round(median(wall) * EVENTS_PER_REQUEST).toLocaleString("en")} events/s), ` +
      `latency median ${median(subject.latencies).toFixed(1)} ms, p95 ${quantile(subject.latencies, 0.95).toFixed(1)} ms`,
  );
}

/** Ratios of rounds that ran one after the other. */
const ratios = (edge: Subject, bare: Subject, of: "wallMs" | "cpuMs") =>
  rates(edge, of).map((rate, i) => rate / rates(bare, of)[i]!);

async function check(edge: Subject, bare: Subject, isChecked: boolean, isTreated = false): Promise<void> {
  console.log(`${edge.name}:`);
  const counted = await arrived(edge);
  const equal = (what: string, found: unknown, wanted: unknown) => {
    if (found !== wanted) throw new Error(`${what}: ${found}, expected ${wanted}`);
    console.log(`checked: ${what} = ${found}`);
  };
  equal("events accepted", edge.accepted, edge.requests * EVENTS_PER_REQUEST);
  equal("events on the queue", counted.events, edge.accepted);
  equal("messages on the queue", counted.messages, edge.requests);
  equal("highest running number", counted.newest, edge.requests);
  equal("sum of running numbers", counted.numbers, (edge.requests * (edge.requests + 1)) / 2);
  const message = parseMessage(counted.sample);
  if (!message.ok) throw new Error(message.error.detail);
  const { row, raw } = parseLogLine(message.value.lines[0]!);
  equal("browser derived", typeof row.browser, "string");
  equal("contract that it was checked against", row.contract_version, isChecked ? 1 : undefined);
  const treated = Object.values(row.properties ?? {}).filter((text) => /^(hash\.|enc\.|.…)/.test(text)).length;
  equal("fields that were treated", treated, isTreated ? 3 : 0);
  equal("user agent on the log", JSON.stringify(raw).includes("Mozilla"), false);
  equal("messages of the baseline", (await arrived(bare)).messages, bare.requests);
}

const bare = await startSubject("bare", "scripts/bench/bare-worker.ts");
const edge = await startSubject("edge", "workers/edge/index.ts");
const checked = await startSubject("checked", "workers/edge/index.ts");
const treated = await startSubject("treated", "workers/edge/index.ts");
const subjects = [bare, edge, checked, treated];
let missed = false;
try {
  console.log(`${eventsBatch(0).length} bytes a request, ${EVENTS_PER_REQUEST} events, ${CONCURRENCY} connections`);
  await enforce(checked, false);
  await enforce(treated, true);
  for (const subject of subjects) await load(subject, WARM_UP_REQUESTS, false);
  for (let round = 0; round < ROUNDS; round++) {
    for (const subject of subjects) await load(subject, REQUESTS, true);
  }
  report(bare);
  report(edge);
  report(checked);
  report(treated);
  await check(edge, bare, false);
  await check(checked, bare, true);
  await check(treated, bare, true, true);
  const wall = ratios(edge, bare, "wallMs");
  const cpu = ratios(edge, bare, "cpuMs");
  const known = cpu.every(Number.isFinite);
  const line = (what: string, values: readonly number[], to = "bare") =>
    `ratio to ${to} ${what}: median ${median(values).toFixed(2)}, lowest ${Math.min(...values).toFixed(2)}`;
  if (known) console.log(line("by processor time", cpu));
  console.log(line("by the clock", wall));
  const [checkedCpu, checkedWall] = [ratios(checked, edge, "cpuMs"), ratios(checked, edge, "wallMs")];
  console.log(
    known
      ? line("of checked by processor time", checkedCpu, "edge")
      : line("of checked by the clock", checkedWall, "edge"),
  );
  const [treatedCpu, treatedWall] = [ratios(treated, checked, "cpuMs"), ratios(treated, checked, "wallMs")];
  console.log(
    known
      ? line("of treated by processor time", treatedCpu, "checked")
      : line("of treated by the clock", treatedWall, "checked"),
  );
  const ratio = median(known ? cpu : wall);
  missed = ratio < BUDGET;
  console.log(`budget: at least ${BUDGET} of bare; ${missed ? "MISSED" : "met"} with ${ratio.toFixed(2)}`);
} finally {
  await Promise.all(subjects.map(({ miniflare }) => miniflare.dispose()));
}
process.exit(missed ? 1 : 0);
