/**
 * `run.json` in the state folder says which processes use it: one run at a time, and runtimes that outlived a killed Node
 * process (they keep the port and go on firing alarms) are found and ended at the next start. A process is
 * recognised by its pid and its start time together, because pids are used again.
 */
import childProcess, { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface ProcessMark {
  readonly pid: number;
  /** As `ps` tells it, in this machine's words: only compared, never parsed. */
  readonly started: string;
}

/** `workerd` is the one that answers on the run's port, `query` the one of the query Worker. */
export const RUNTIMES = ["workerd", "query"] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

type RunFile = { readonly node: ProcessMark; readonly port: number } & {
  readonly [name in RuntimeName]?: ProcessMark;
};

export class AlreadyRunning extends Error {}

export interface RunRecord {
  /** From now on each workerd that this process starts is recorded. */
  watchSpawns(): void;
  /** Pid of the runtime that was started last by that name; null before, and once it is gone. */
  runtime(name: RuntimeName): number | null;
  /** Ends the runtimes that still run, and forgets the run. Synchronous: the last thing a process does. */
  end(): void;
}

const EXIT_WAIT_MS = 5_000;

/**
 * Takes the state folder for this process, ending what an earlier, killed run left behind.
 * @throws AlreadyRunning where another run is alive on it.
 */
export async function takeStateFolder(folder: string, port: number): Promise<RunRecord> {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "run.json");
  const earlier = readRunFile(path);
  if (earlier !== null) {
    if (isAlive(earlier.node)) {
      throw new AlreadyRunning(
        `eventpile already runs on ${folder} (process ${earlier.node.pid}, http://localhost:${earlier.port}). ` +
          "Stop it first, or set EVENTPILE_DIR to another folder.",
      );
    }
    await Promise.all(living(earlier).map(endOrphan));
  }
  let run: RunFile = { node: mark(process.pid), port };
  const save = () => writeFileSync(path, `${JSON.stringify(run)}\n`);
  save();
  return {
    watchSpawns() {
      const { spawn } = childProcess;
      // Miniflare keeps its runtime's pid to itself; written before anything else can happen, no kill can come between.
      childProcess.spawn = ((...args: Parameters<typeof spawn>) => {
        const child = spawn(...args);
        if (child.pid !== undefined && String(args[0]).includes("workerd")) {
          run = { ...run, [listensOn(args[1], port) ? "workerd" : "query"]: mark(child.pid) };
          save();
        }
        return child;
      }) as typeof spawn;
    },
    runtime(name) {
      const known = run[name];
      return known && isAlive(known) ? known.pid : null;
    },
    end() {
      for (const { pid } of living(run)) process.kill(pid, "SIGKILL");
      rmSync(path, { force: true });
    },
  };
}

/** By a runtime's arguments: each is told where its requests come in. */
const listensOn = (args: unknown, port: number): boolean =>
  Array.isArray(args) &&
  args.some((arg) => String(arg).startsWith("--socket-addr=") && String(arg).endsWith(`:${port}`));

/** The runtimes of a run that are alive. */
const living = (run: RunFile): ProcessMark[] =>
  RUNTIMES.flatMap((name) => run[name] ?? []).filter((known) => isAlive(known));

function readRunFile(path: string): RunFile | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as RunFile;
  } catch {
    return null; // None, or cut off by a kill while it was written: then nothing had started.
  }
}

async function endOrphan(process_: ProcessMark): Promise<void> {
  process.kill(process_.pid, "SIGKILL");
  const giveUp = Date.now() + EXIT_WAIT_MS;
  while (isAlive(process_)) {
    if (Date.now() > giveUp) throw new Error(`process ${process_.pid} of an earlier run does not end`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const isAlive = (known: ProcessMark): boolean => known.started !== "" && startTime(known.pid) === known.started;
const mark = (pid: number): ProcessMark => ({ pid, started: startTime(pid) });

/** Empty where there is no such process, or only its zombie. */
function startTime(pid: number): string {
  try {
    const line = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
    return line.startsWith("Z") ? "" : line.replace(/^\S+\s+/, "");
  } catch {
    return "";
  }
}
