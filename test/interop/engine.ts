/** One engine in a process of its own: set up by the guide's snippet, then asked question by question. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Installed } from "./install.ts";

export const ENGINES = ["pyiceberg", "duckdb", "spark", "clickhouse"] as const;
export type EngineName = (typeof ENGINES)[number];

/** Rows that match, all or by event_name with the sum of revenue. */
export interface Question {
  readonly table: "events" | "quarantine";
  /** In SQL that all of them speak. */
  readonly where?: string;
  readonly group?: boolean;
  /** An Iceberg snapshot; the newest when absent. */
  readonly snapshot?: number;
}

export type Rows = readonly (readonly unknown[])[];

interface Answer {
  readonly rows?: Rows;
  readonly error?: string;
  readonly version?: string;
  readonly ms?: number;
}

/** A bound against standing still, not a measure: machines are shared. */
const ANSWER_WAIT_MS = 240_000;

export class Engine {
  readonly name: EngineName;
  version = "";
  /** Until its snippet had run, and for all answers, milliseconds. */
  startMs = 0;
  askedMs = 0;
  asked = 0;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #errors = "";

  constructor(name: EngineName, { python, jars }: Installed) {
    this.name = name;
    this.#child = spawn(python, [join(import.meta.dirname, "engines", "engine.py"), name, jars], {
      stdio: ["pipe", "pipe", "pipe"],
      // R2 knows one region; who signs wants to be told one.
      env: { ...process.env, AWS_REGION: "auto", PYTHONUNBUFFERED: "1" },
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    this.#child.stderr!.on("data", (chunk) => {
      this.#errors = (this.#errors + String(chunk)).slice(-8_000);
    });
  }

  /** Runs the guide's snippet. @throws Error with what it printed where that fails. */
  async begin(snippet: string): Promise<void> {
    const { version = "?", ms = 0 } = await this.#send({ snippet });
    this.version = version;
    this.startMs = ms;
  }

  /** @throws Error where it cannot answer. */
  async ask(question: Question): Promise<Rows> {
    const { rows, error, ms = 0 } = await this.#send(question);
    if (!rows) throw new Error(`${this.name} cannot answer ${JSON.stringify(question)}: ${error}`);
    this.askedMs += ms;
    this.asked += 1;
    return rows;
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }

  async #send(message: object): Promise<Answer> {
    this.#child.stdin!.write(`${JSON.stringify(message)}\n`);
    const late = setTimeout(() => this.end(), ANSWER_WAIT_MS);
    const { value, done } = await this.#lines.next();
    clearTimeout(late);
    if (done) throw new Error(`${this.name} ended before it answered:\n${this.#errors}`);
    return JSON.parse(value) as Answer;
  }
}
