/** Starts everything, tells when it is ready, runs the cron, and stops. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { countOf, parseShards, type ShardHistory } from "../../r2-layout/shards.ts";
import { type ChaosSetting, parseChaos } from "./chaos-setting.ts";
import { LOCAL_TOKEN, LOCAL_WRITE_KEY } from "./credentials.ts";
import { AlreadyRunning, takeStateFolder } from "./run-file.ts";
import { whatIsMissing } from "./running-system.ts";
import { startRuntimes } from "./runtimes.ts";
import { watchRuntime } from "./watchdog.ts";
import { ROOT, readWorkerSources, withShards } from "./wrangler-config.ts";

export interface StartOptions {
  readonly port: number;
  readonly stateDir: string;
  /** The numbers of log shards, as in SHARDS. */
  readonly shards: string;
  /** As EVENTPILE_CHAOS has it (chaos-setting.ts). */
  readonly chaos: string;
  /** Of all waits (r2-layout/wait.ts): 1 is what production waits. */
  readonly waitFactor: number;
  /** Whether what each Worker uses is counted, for `/local/usage`. */
  readonly meter: boolean;
  /** For how long the runtime may answer nobody, milliseconds (watchdog.ts). */
  readonly silentMs: number;
  readonly demo: boolean;
}

/** Of a local run: each is a queue of its own. */
const SHARDS_MAX = 64;
const PORT_WAIT_MS = 3_000;
const READY_WAIT_MS = 30_000;
const CRON_MS = 60_000;
const AGAIN_MS = 1_000;

class StartError extends Error {}

export async function startLocal(options: StartOptions): Promise<void> {
  try {
    await start(options);
  } catch (error) {
    const expected = error instanceof StartError || error instanceof AlreadyRunning;
    console.error(expected ? `eventpile: ${error.message}` : error);
    process.exit(1);
  }
}

async function start(options: StartOptions): Promise<void> {
  const chaos = checkOptions(options);
  const stateDir = resolve(options.stateDir);
  const run = await takeStateFolder(stateDir, options.port);
  process.on("exit", () => run.end());
  if (!(await becomesFree(options.port))) {
    throw new StartError(`port ${options.port} is taken. Set PORT to another one, as in PORT=8788 npm start.`);
  }
  const shards = readShards(options.shards);
  checkShards(stateDir, shards);
  const sources = withShards(readWorkerSources(), shards);
  const url = `http://127.0.0.1:${options.port}`;
  const control = (path: string) =>
    fetch(url + path, { method: "POST", headers: { authorization: `Bearer ${LOCAL_TOKEN}` } });
  const { port, waitFactor, meter } = options;
  const built = sources.map((source) => build(source.config.build?.command));
  const runtimes = await startRuntimes(
    {
      ...{ sources, port, chaos, waitFactor, meter, stateDir },
      onStart: () => run.watchSpawns(),
      // After a crash of the runtime alone, queues would wait for the next minute.
      onRestart: async () => void (await control("/local/queues/wake")),
    },
    built,
  );
  let demo: ChildProcess | null = null;
  let stopping = 0;
  const stop = async (): Promise<void> => {
    // A Ctrl-C comes twice at once through npm; a later one means that waiting has taken too long.
    if (stopping > 0) return Date.now() - stopping < AGAIN_MS ? undefined : process.exit(1);
    stopping = Date.now();
    demo?.kill("SIGTERM");
    await runtimes.stop();
    process.exit(0);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // Miniflare's own listener would end the process before `stop` has.
    process.removeAllListeners(signal);
    process.on(signal, () => void stop());
  }
  const queryUrl = await runtimes.ready();
  await untilReady(url);
  await control("/local/queues/wake");
  setInterval(() => {
    // A lost tick is made good by the next one; a queue whose timer was lost is woken too.
    void Promise.all([control("/local/cron"), control("/local/queues/wake")]).catch(() => {});
  }, CRON_MS * options.waitFactor);
  const { silentMs } = options;
  void watchRuntime({ url, silentMs, pid: () => run.runtime("workerd") });
  void watchRuntime({ url: queryUrl, silentMs, pid: () => run.runtime("query") });
  printReady(options.port, stateDir, options.demo);
  if (options.demo) demo = startDemo(options.port);
}

function checkOptions({ port, waitFactor, chaos }: StartOptions): ChaosSetting {
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new StartError("PORT must be a number from 1 to 65535.");
  if (!(waitFactor >= 0.001 && waitFactor <= 10))
    throw new StartError("EVENTPILE_WAIT_FACTOR must be 0.001 to 10: 1 is what production waits.");
  try {
    return parseChaos(chaos);
  } catch (error) {
    throw new StartError(`EVENTPILE_CHAOS cannot be used: ${(error as Error).message}`);
  }
}

function readShards(text: string): ShardHistory {
  try {
    const shards = parseShards(text);
    if (countOf(shards) <= SHARDS_MAX) return shards;
  } catch {
    // Told below.
  }
  throw new StartError(`EVENTPILE_SHARDS must be 1 to ${SHARDS_MAX}, or after a split the numbers before it too: 1,2.`);
}

/**
 * The numbers of shards belong to the state: with others, an id would be looked for in a shard that never saw it. One that
 * follows those of the state splits the shards.
 */
function checkShards(stateDir: string, shards: ShardHistory): void {
  const path = join(stateDir, "shards");
  const known = existsSync(path) ? parseShards(readFileSync(path, "utf8").trim()) : shards;
  if (known.some((count, i) => count !== shards[i])) {
    throw new StartError(
      `${stateDir} was made with ${known.join()} log shards, not ${shards.join()}. Set EVENTPILE_SHARDS=${known.join()}, or EVENTPILE_DIR to a new folder.`,
    );
  }
  writeFileSync(path, `${shards.join()}\n`);
}

/** The pages, by the command that a deploy would run too. */
async function build(command: string | undefined): Promise<void> {
  if (command === undefined) return;
  const [program = "", ...args] = command.split(" ");
  const child = spawn(program === "node" ? process.execPath : program, args, {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const code = await new Promise((done) => child.once("exit", done).once("error", done));
  if (code !== 0) throw new StartError(`"${command}" failed (${String(code)}).`);
}

/** A run that was just killed may hold its port a moment longer. Asked before Miniflare starts, whose own message is long. */
async function becomesFree(port: number): Promise<boolean> {
  const giveUp = Date.now() + PORT_WAIT_MS;
  while (await isTaken(port)) {
    if (Date.now() > giveUp) return false;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return true;
}

/** Whether anybody listens there. */
const isTaken = (port: number) =>
  new Promise<boolean>((done) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      done(true);
    });
    socket.once("error", () => done(false));
  });

async function untilReady(url: string): Promise<void> {
  const giveUp = Date.now() + READY_WAIT_MS;
  let last: string | null = "";
  while (last !== null) {
    if (Date.now() > giveUp) throw new StartError(`not ready after ${READY_WAIT_MS / 1_000} s: ${last}`);
    last = await whatIsMissing(url);
    if (last !== null) await new Promise((done) => setTimeout(done, 50));
  }
}

/** Its standard input is a pipe that nobody writes to: closed when this process is gone, even killed, it ends the demo. */
function startDemo(port: number): ChildProcess {
  return spawn(process.execPath, [join(ROOT, "scripts/demo.ts"), "--child"], {
    env: { ...process.env, PORT: String(port), EVENTPILE_URL: "" },
    stdio: ["pipe", "ignore", "inherit"],
  });
}

function printReady(port: number, stateDir: string, demo: boolean): void {
  const origin = `http://localhost:${port}`;
  console.log(`
  live        ${origin}/
  support     ${origin}/support
  SQL         ${origin}/sql
  operations  ${origin}/operations

  write key   ${LOCAL_WRITE_KEY}     (POST ${origin}/v1/batch)
  token       ${LOCAL_TOKEN}
  state       ${stateDir}
  demo        ${demo ? "on (npm start -- --no-demo turns it off)" : "off"}

eventpile ready on ${origin}`);
}
