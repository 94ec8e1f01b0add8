/**
 * Sends events to POST /v1/batch, a few requests at a time, and repeats what time cures: 429, 503, other 5xx and broken
 * connections, after what Retry-After says. The ids make a repeat harmless.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { LOCAL_WRITE_KEY } from "../local/credentials.ts";

export interface Sent {
  accepted: number;
  /** Accepted, and set aside because they do not fit their columns. */
  warnings: number;
  /** Refused for good, by cause. */
  dropped: Record<string, number>;
  retries: number;
}

export interface BatchSenderOptions {
  readonly url: string;
  readonly writeKey?: string;
  readonly concurrency?: number;
  /** Gives up when nothing got through for so long. */
  readonly giveUpMs?: number;
  readonly onSent?: (events: number) => void;
  readonly fetch?: typeof fetch;
}

const EVENTS_PER_REQUEST = 250;
/** Segment's limit for a batch, with room for its envelope. */
const BYTES_PER_REQUEST = 450_000;

export class BatchSender {
  readonly sent: Sent = { accepted: 0, warnings: 0, dropped: {}, retries: 0 };
  readonly #options: Required<Omit<BatchSenderOptions, "onSent">> & Pick<BatchSenderOptions, "onSent">;
  readonly #underWay = new Set<Promise<void>>();
  #batch: string[] = [];
  #bytes = 0;
  #failure: unknown = null;
  #lastSuccess = Date.now();

  constructor(options: BatchSenderOptions) {
    this.#options = {
      writeKey: process.env.EVENTPILE_WRITE_KEY || LOCAL_WRITE_KEY,
      concurrency: 4,
      giveUpMs: 120_000,
      fetch: (input, init) => fetch(input, init),
      ...options,
    };
  }

  /** Waits while all connections are busy, so that a fast reader does not fill the memory. @throws what ended a send. */
  async add(event: object): Promise<void> {
    const text = JSON.stringify(event);
    const bytes = Buffer.byteLength(text) + 1;
    if (this.#batch.length >= EVENTS_PER_REQUEST || this.#bytes + bytes > BYTES_PER_REQUEST) await this.#start();
    this.#batch.push(text);
    this.#bytes += bytes;
  }

  /** Sends what is left and waits for all answers. @throws what ended a send. */
  async finish(): Promise<Sent> {
    if (this.#batch.length > 0) await this.#start();
    await Promise.all(this.#underWay);
    if (this.#failure !== null) throw this.#failure;
    return this.sent;
  }

  async #start(): Promise<void> {
    while (this.#underWay.size >= this.#options.concurrency) await Promise.race(this.#underWay);
    if (this.#failure !== null) throw this.#failure;
    const batch = this.#batch;
    this.#batch = [];
    this.#bytes = 0;
    const send: Promise<void> = this.#send(batch)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#underWay.delete(send));
    this.#underWay.add(send);
  }

  async #send(batch: readonly string[]): Promise<void> {
    const body = `{"batch":[${batch.join(",")}]}`;
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#post(body);
      if ("accepted" in answer) {
        this.#lastSuccess = Date.now();
        this.#count(batch.length, answer);
        return;
      }
      if (!answer.again) throw new Error(answer.problem);
      if (Date.now() - this.#lastSuccess > this.#options.giveUpMs) {
        throw new Error(`nothing got through for ${this.#options.giveUpMs / 1_000} s: ${answer.problem}`);
      }
      this.sent.retries++;
      await sleep(answer.afterMs ?? Math.min(10_000, 100 * 2 ** attempt) * (0.5 + Math.random() / 2));
    }
  }

  async #post(body: string): Promise<Answer> {
    const { url, writeKey } = this.#options;
    let response: Response;
    try {
      response = await this.#options.fetch(`${url}/v1/batch`, {
        method: "POST",
        headers: {
          authorization: `Basic ${Buffer.from(`${writeKey}:`).toString("base64")}`,
          "content-type": "application/json",
        },
        body,
        signal: AbortSignal.timeout(60_000),
      });
      const text = await response.text();
      if (response.ok) return JSON.parse(text) as Accepted;
      const problem = `${url}/v1/batch answered ${response.status}: ${text.slice(0, 500)}`;
      if (response.status !== 429 && response.status < 500) return { again: false, problem };
      return { again: true, problem, afterMs: retryAfterMs(response.headers.get("retry-after")) };
    } catch (error) {
      const cause = error instanceof Error && error.cause ? String(error.cause) : String(error);
      return { again: true, problem: `${url} cannot be reached: ${cause}` };
    }
  }

  #count(events: number, answer: Accepted): void {
    const { sent } = this;
    sent.accepted += answer.accepted;
    sent.warnings += answer.warnings ?? 0;
    for (const { outcome, cause = "unknown" } of answer.outcomes ?? []) {
      if (outcome === "drop") sent.dropped[cause] = (sent.dropped[cause] ?? 0) + 1;
    }
    this.#options.onSent?.(events);
  }
}

interface Accepted {
  readonly accepted: number;
  readonly warnings?: number;
  readonly outcomes?: readonly { readonly outcome: string; readonly cause?: string }[];
}

type Answer = Accepted | { readonly again: boolean; readonly problem: string; readonly afterMs?: number };

/** Seconds or a date, at most a minute. */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.min(60_000, Math.max(0, ms)) : undefined;
}
