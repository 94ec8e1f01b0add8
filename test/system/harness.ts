/**
 * The whole system as `npm start` runs it, for tests and benchmarks: a child process group of its own on a free port,
 * with its own state folder. It can be stopped, killed as a whole or only its Node process, and started again on the
 * same state. Every wait has a bound.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RollupPoint } from "../../durable-objects/minute-rollup/api.ts";
import { LOCAL_TOKEN, LOCAL_WRITE_KEY } from "../../scripts/local/credentials.ts";
import type { FaultReport } from "../../scripts/local/faults/injector.ts";
import { type FaultPlan, NO_FAULTS } from "../../scripts/local/faults/plan.ts";
import type { UsageReport } from "../../scripts/local/meter/usage.ts";
import type { Chaos, QueueStatus } from "../../scripts/local/queue/settings.ts";
import type { RuntimeName } from "../../scripts/local/run-file.ts";
import { control, runMaintenance, whatIsMissing } from "../../scripts/local/running-system.ts";

const ROOT = join(import.meta.dirname, "../..");
const START_WAIT_MS = 60_000;
const STOP_WAIT_MS = 10_000;
const SETTLE_WAIT_MS = 60_000;

/** Headers for a request to a local run: a write key for ingest, a token with every scope for the rest. */
export const ORIGIN_HEADERS = {
  write: {
    authorization: `Basic ${Buffer.from(`${LOCAL_WRITE_KEY}:`).toString("base64")}`,
    "content-type": "application/json",
  },
  read: { authorization: `Bearer ${LOCAL_TOKEN}`, "content-type": "application/json" },
} as const;

export interface SystemOptions {
  readonly demo?: boolean;
  /** A number, or after a split the numbers before it too. */
  readonly shards?: number | string;
  /** State folder of an earlier run; a fresh one under the system's temporary folder when absent. */
  readonly dir?: string;
  readonly port?: number;
  /** By queue, or `*`. */
  readonly chaos?: Readonly<Record<string, Chaos>>;
  /** Calls that fail, from the start on. */
  readonly faults?: FaultPlan;
  /** Of all waits; 1 when absent. */
  readonly waitFactor?: number;
  /** Counts what is used, for `usage`. */
  readonly meter?: boolean;
  /** For how long the runtime may answer nobody, milliseconds. */
  readonly silentMs?: number;
}

export interface SqlAnswer {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly unknown[])[];
  readonly stats: Readonly<Record<string, unknown>>;
}

export interface Ledger {
  readonly balanced: boolean;
  readonly total: Readonly<
    Record<
      "accepted" | "duplicates" | "quarantined" | "suppressed" | "in_flight" | "lake" | "sessions" | "rollups",
      number
    >
  >;
  readonly shards: readonly Readonly<Record<string, unknown>>[];
}

export interface TimelinePage {
  readonly events: readonly Readonly<Record<string, unknown>>[];
  readonly next: string | null;
}

export class RunningSystem {
  readonly url: string;
  readonly token: string = LOCAL_TOKEN;
  readonly writeKey: string = LOCAL_WRITE_KEY;
  readonly options: Required<Pick<SystemOptions, "port" | "dir">> & SystemOptions;
  readonly #child: ChildProcess;
  readonly #output: string[];

  constructor(options: RunningSystem["options"], child: ChildProcess, output: string[]) {
    this.options = options;
    this.url = `http://127.0.0.1:${options.port}`;
    this.#child = child;
    this.#output = output;
  }

  /** What it has printed so far. */
  get output(): string {
    return this.#output.join("");
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** A GET (or POST with a body) with the token. @throws Error unless it answers 2xx. */
  async read<Answer>(path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(this.url + path, {
      headers: ORIGIN_HEADERS.read,
      ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}\n${this.output.slice(-4_000)}`);
    return JSON.parse(text) as Answer;
  }

  /** One request of Segment's batch API. The answer may be an error: the sender decides. */
  sendBatch(batch: readonly object[], extra: Readonly<Record<string, unknown>> = {}): Promise<Response> {
    return fetch(`${this.url}/v1/batch`, {
      method: "POST",
      headers: ORIGIN_HEADERS.write,
      body: JSON.stringify({ batch, ...extra }),
    });
  }

  /** A page of a user's timeline, newest first. */
  userEvents(
    user: string,
    page: { limit?: number; cursor?: string | null; minutes?: number } = {},
  ): Promise<TimelinePage> {
    return this.read(`/v1/users/${encodeURIComponent(user)}/events?${query(page)}`);
  }

  deviceEvents(
    device: string,
    page: { limit?: number; cursor?: string | null; minutes?: number } = {},
  ): Promise<TimelinePage> {
    return this.read(`/v1/devices/${encodeURIComponent(device)}/events?${query(page)}`);
  }

  sql(sql: string): Promise<SqlAnswer> {
    // The lake's files: what the rollups count of them is asked elsewhere.
    return this.read("/v1/sql", { sql, format: "json", route: "engine" });
  }

  ledger(): Promise<Ledger> {
    return this.read("/v1/ledger");
  }

  async rollups(query: Readonly<Record<string, string>>): Promise<readonly RollupPoint[]> {
    return (await this.read<{ points: RollupPoint[] }>(`/v1/rollups?${new URLSearchParams(query)}`)).points;
  }

  /** Does all maintenance now, and waits for it. */
  maintain(): Promise<void> {
    return runMaintenance(this.url);
  }

  /** @param queue the beginning of the queues' names; all when empty. */
  async chaos(chaos: Chaos, queue = ""): Promise<void> {
    await control("POST", `/local/queues/chaos?queue=${queue}`, chaos, this.url);
  }

  /** Which calls fail from now on; none when absent. The reports of the Workers start anew. */
  async setFaults(plan: FaultPlan = NO_FAULTS): Promise<void> {
    await control("POST", "/local/chaos", plan, this.url);
  }

  /** What fired since the plan was set, or the runtime started. */
  async faultReports(): Promise<readonly FaultReport[]> {
    return ((await control("GET", "/local/chaos", undefined, this.url)) as { workers: FaultReport[] }).workers;
  }

  /** What each Worker has used since it was asked for `anew`. Of a run with `meter`. */
  async usage(anew = false): Promise<readonly UsageReport[]> {
    const answer = await control(anew ? "POST" : "GET", "/local/usage", undefined, this.url);
    return (answer as { workers: UsageReport[] }).workers;
  }

  async queues(): Promise<readonly QueueStatus[]> {
    return (await control("GET", "/local/queues", undefined, this.url)) as QueueStatus[];
  }

  /** Waits until every event that was accepted has gone through every sink. @throws Error with the ledger if it does not. */
  async settled(waitMs = SETTLE_WAIT_MS): Promise<Ledger> {
    const giveUp = Date.now() + waitMs;
    for (;;) {
      const onQueues = (await this.queues()).filter(({ queue }) => queue.startsWith("events-"));
      const waiting = onQueues.reduce((sum, queue) => sum + queue.ready + queue.delayed + queue.underWay, 0);
      const ledger = await this.ledger();
      if (waiting === 0 && ledger.total.in_flight === 0) return ledger;
      if (Date.now() > giveUp) {
        throw new Error(`not settled: ${JSON.stringify({ ledger, onQueues })}\n${this.output.slice(-4_000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** As Ctrl-C does. @throws Error where it does not end in time, or not with 0. */
  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    process.kill(this.pid, "SIGINT");
    const late = setTimeout(() => killGroup(this.pid), STOP_WAIT_MS);
    const [code] = await exited;
    clearTimeout(late);
    killGroup(this.pid);
    running.delete(this.pid);
    if (this.options.dir.startsWith(TEMPORARY)) rmSync(this.options.dir, { recursive: true, force: true });
    if (code !== 0) throw new Error(`npm start ended with ${code}\n${this.output.slice(-4_000)}`);
  }

  /** SIGKILL to Node, its runtimes and whatever else belongs to the run, at once. */
  async kill(): Promise<void> {
    const exited = once(this.#child, "exit");
    killGroup(this.pid);
    await exited;
    running.delete(this.pid);
  }

  /** SIGKILL to the Node process alone: its runtimes live on, as orphans. */
  async killNode(): Promise<void> {
    const exited = once(this.#child, "exit");
    process.kill(this.pid, "SIGKILL");
    await exited;
  }

  /** The pid of a runtime of this run. */
  runtimePid(name: RuntimeName): number {
    return JSON.parse(readFileSync(join(this.options.dir, "run.json"), "utf8"))[name].pid;
  }

  /** SIGKILL to one runtime alone: Node starts another on the same state. Returns when all answer. */
  async killRuntime(name: RuntimeName = "workerd"): Promise<void> {
    const killed = this.runtimePid(name);
    process.kill(killed, "SIGKILL");
    await until("another runtime answers", START_WAIT_MS, async () => {
      try {
        return this.runtimePid(name) !== killed && (await whatIsMissing(this.url)) === null;
      } catch {
        return false; // The file is being written.
      }
    });
  }

  /** Starts again on the same state and port, after a kill. */
  again(): Promise<RunningSystem> {
    return startSystem(this.options);
  }
}

function query(parameters: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
  return String(new URLSearchParams(given.map(([key, value]) => [key, String(value)])));
}

const TEMPORARY = join(tmpdir(), "eventpile-test-");
const running = new Set<number>();

/** @throws Error with what was printed, where the ready line does not come in time. */
export async function startSystem(options: SystemOptions = {}): Promise<RunningSystem> {
  const whole = {
    ...options,
    port: options.port ?? (await freePort()),
    dir: options.dir ?? mkdtempSync(TEMPORARY),
  };
  const child = spawn(process.execPath, ["scripts/start.ts", ...(options.demo ? [] : ["--no-demo"])], {
    cwd: ROOT,
    detached: true, // A process group of its own, to be killed as one.
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      PORT: String(whole.port),
      EVENTPILE_DIR: whole.dir,
      EVENTPILE_SHARDS: String(options.shards ?? 1),
      EVENTPILE_CHAOS: JSON.stringify({ ...options.chaos, ...(options.faults && { faults: options.faults }) }),
      EVENTPILE_WAIT_FACTOR: String(options.waitFactor ?? 1),
      EVENTPILE_METER: options.meter ? "1" : "",
      EVENTPILE_SILENT_MS: options.silentMs === undefined ? "" : String(options.silentMs),
    },
  });
  running.add(child.pid!);
  const output: string[] = [];
  const ready = new Promise<boolean>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output.push(text);
        if (output.length > 1_000) output.splice(0, 500);
        if (text.includes("eventpile ready on ")) resolve(true);
      });
    }
    child.once("exit", () => resolve(false));
    setTimeout(() => resolve(false), START_WAIT_MS).unref();
  });
  if (!(await ready)) {
    killGroup(child.pid!);
    throw new Error(`npm start did not get ready\n${output.join("")}`);
  }
  return new RunningSystem(whole, child, output);
}

/** Waits for a condition. @throws Error naming it when it does not hold in time. */
export async function until(what: string, waitMs: number, condition: () => Promise<boolean>): Promise<void> {
  const giveUp = Date.now() + waitMs;
  while (!(await condition())) {
    if (Date.now() > giveUp) throw new Error(`not within ${waitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Below the ports that the system gives to connections: one of these might take it before it is listened on. */
const PORTS = { from: 20_000, count: 12_000 };

export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * PORTS.count);
    const server = createServer().listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch {
      continue; // Taken.
    }
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nobody left in the group.
  }
}

// Whatever ends this process, no system outlives it.
process.on("exit", () => running.forEach(killGroup));
