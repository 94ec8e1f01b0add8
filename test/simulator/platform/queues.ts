/**
 * The queue broker: at least once, in any order. A message is there from the moment its send took effect until a
 * delivery of it was acked, or its retries are used up; then it goes to the dead letter queue, or is gone. A consumer that
 * dies has acked nothing, whatever it said, and its batch comes again.
 */
import type { Network } from "./network.ts";
import type { Departs } from "./objects.ts";
import { Process } from "./scheduler.ts";

export interface ConsumerSettings {
  readonly batchSize: number;
  readonly batchTimeoutMs: number;
  readonly maxRetries: number;
  readonly retryDelayMs: number;
  readonly deadLetterQueue: string | null;
}

/** An invocation of a consumer for a batch. */
export type Consume = (process: Process, batch: object) => Promise<unknown>;

interface Waiting {
  readonly id: string;
  readonly body: unknown;
  readonly sentAt: number;
  /** From when on it may be delivered. */
  readonly from: number;
  /** Deliveries so far. */
  readonly attempts: number;
}

type Format = { readonly contentType?: "json" | "text" | "bytes" | "v8"; readonly delaySeconds?: number };
type Settled = { kind: "ack" } | { kind: "retry"; delaySeconds: number | undefined };

/** As the platform does with an invocation that does not end. */
const INVOCATION_MS = 15 * 60_000;
const CONCURRENCY = 4;

export class SimulatedQueues {
  readonly #network: Network;
  readonly #queues = new Map<string, SimulatedQueue>();
  readonly #settings: (queue: string) => ConsumerSettings | null;
  readonly #consume: Consume;

  constructor(network: Network, settings: (queue: string) => ConsumerSettings | null, consume: Consume) {
    this.#network = network;
    this.#settings = settings;
    this.#consume = consume;
  }

  queue(name: string): SimulatedQueue {
    let queue = this.#queues.get(name);
    if (!queue) {
      queue = new SimulatedQueue(
        name,
        this.#network,
        () => this.#settings(name),
        this.#consume,
        (dead, message) => this.queue(dead).put([{ body: message.body, id: message.id }]),
      );
      this.#queues.set(name, queue);
    }
    return queue;
  }

  binding(name: string, from: Process, departs?: Departs): object {
    const queue = this.queue(name);
    const target = {
      name: `queue.send ${name.replace(/\d+$/, "k")}`,
      failure: () => new Error("Queue send failed: Internal Server Error"),
    };
    const { weather } = this.#network;
    return {
      send: (body: unknown, options: Format = {}) => {
        const copy = copied(body, options);
        return this.#network.call(from, target, () => queue.put([{ body: copy, ...options }]), departs);
      },
      sendBatch: (messages: Iterable<{ body: unknown } & Format>, options: { delaySeconds?: number } = {}) => {
        const copies = Array.from(messages, (message) => ({
          body: copied(message.body, message),
          delaySeconds: message.delaySeconds ?? options.delaySeconds,
        }));
        return this.#network.call(
          from,
          target,
          () => {
            if (copies.length > 1 && weather.strikes("partial", target.name)) {
              queue.put(copies.slice(0, weather.random.int(1, copies.length - 1)));
              throw target.failure();
            }
            queue.put(copies);
          },
          departs,
        );
      },
    };
  }

  /** Messages waiting or being worked on, not counting queues that nobody consumes. */
  get isBusy(): boolean {
    for (const queue of this.#queues.values()) if (queue.isBusy) return true;
    return false;
  }

  get busy(): string[] {
    return [...this.#queues.values()].filter(({ isBusy }) => isBusy).map(({ name }) => name);
  }
}

export class SimulatedQueue {
  readonly name: string;
  /** Every message that was ever put here, by its effect and not by what the sender was told. */
  readonly taken: unknown[] = [];
  readonly dropped: unknown[] = [];
  readonly #network: Network;
  readonly #currentSettings: () => ConsumerSettings | null;
  readonly #consume: Consume;
  readonly #deadLetter: (queue: string, message: Waiting) => void;
  #waiting: Waiting[] = [];
  #invocations = 0;
  #running = 0;
  #ids = 0;
  #pausedUntil = 0;
  #nextPoll: { readonly at: number; cancelled: boolean } | null = null;

  constructor(
    name: string,
    network: Network,
    settings: () => ConsumerSettings | null,
    consume: Consume,
    deadLetter: (queue: string, message: Waiting) => void,
  ) {
    this.name = name;
    this.#network = network;
    this.#currentSettings = settings;
    this.#consume = consume;
    this.#deadLetter = deadLetter;
  }

  /** Null where nobody consumes it. */
  get #settings(): ConsumerSettings | null {
    return this.#currentSettings();
  }

  get isBusy(): boolean {
    return this.#settings !== null && (this.#waiting.length > 0 || this.#running > 0);
  }

  put(messages: readonly { body: unknown; id?: string; delaySeconds?: number }[]): void {
    const { scheduler } = this.#network;
    for (const { body, id, delaySeconds = 0 } of messages) {
      this.taken.push(body);
      const message = {
        id: id ?? `${this.name}-${++this.#ids}`,
        body,
        sentAt: scheduler.now,
        from: scheduler.now + delaySeconds * 1_000,
        attempts: 0,
      };
      this.#enqueue(message);
      if (this.#strikes("repeat")) {
        this.#enqueue({ ...message, from: message.from + this.#network.weather.random.int(0, 200_000) });
      }
    }
  }

  #enqueue(message: Waiting): void {
    if (!this.#settings) return;
    const late = this.#strikes("late") ? this.#network.weather.random.int(100, 60_000) : 0;
    this.#waiting.push({ ...message, from: message.from + late });
    this.#pollIn(message.from + late - this.#network.scheduler.now + this.#settings.batchTimeoutMs);
  }

  #pollIn(delayMs: number): void {
    const { scheduler } = this.#network;
    const at = scheduler.now + Math.max(0, delayMs);
    if (this.#nextPoll && at >= this.#nextPoll.at) return;
    if (this.#nextPoll) this.#nextPoll.cancelled = true;
    this.#nextPoll = scheduler.after(delayMs, null, `poll ${this.name}`, () => {
      this.#nextPoll = null;
      this.#poll();
    });
  }

  #poll(): void {
    const { scheduler, weather } = this.#network;
    const { batchSize } = this.#settings!;
    if (scheduler.now < this.#pausedUntil) {
      this.#pollIn(this.#pausedUntil - scheduler.now);
      return;
    }
    while (this.#running < CONCURRENCY) {
      const due = this.#waiting.filter(({ from }) => from <= scheduler.now);
      if (due.length === 0) break;
      if (this.#strikes("reorder")) shuffle(due, () => weather.random.next());
      const size = weather.active && weather.random.chance(0.3) ? weather.random.int(1, batchSize) : batchSize;
      const batch = due.slice(0, size);
      const taken = new Set(batch);
      this.#waiting = this.#waiting.filter((message) => !taken.has(message));
      this.#deliver(batch.map((message) => ({ ...message, attempts: message.attempts + 1 })));
    }
    if (this.#running >= CONCURRENCY || this.#waiting.length === 0) return; // Polled again when one ends.
    this.#pollIn(Math.min(...this.#waiting.map(({ from }) => from)) - scheduler.now);
  }

  #deliver(batch: readonly Waiting[]): void {
    const { scheduler, weather } = this.#network;
    const process = new Process(`${this.name}#${++this.#invocations}`);
    if (this.#strikes("skew")) process.skewMs = weather.random.int(-90_000, 90_000);
    this.#running++;
    const settled = batch.map((): Settled | null => null);
    let over = false;
    const end = (outcome: "ok" | "failed" | "died") => {
      if (over) return;
      over = true;
      limit.cancelled = true;
      this.#running--;
      batch.forEach((message, i) => {
        const said = outcome === "died" ? null : settled[i];
        const acked = said?.kind === "ack" || (!said && outcome === "ok");
        if (!acked) this.#again(message, said?.kind === "retry" ? said.delaySeconds : undefined);
        else if (this.#strikes("ack_lost")) this.#again(message, weather.random.int(0, 120));
      });
      if (this.#waiting.length > 0) this.#pollIn(0);
    };
    process.onDeath.push(() => end("died"));
    process.onStuck = (ms, withAll) => {
      if (withAll || this.#strikes("paused"))
        this.#pausedUntil = Math.max(this.#pausedUntil, scheduler.now + ms + 60_000);
    };
    if (this.#strikes("crash")) {
      const inMs = weather.random.wait(weather.random.chance(0.5) ? 15 : 150);
      scheduler.after(inMs, null, `crash ${process.name}`, () => process.kill());
    }
    const limit = scheduler.after(INVOCATION_MS, process, `end of time for ${process.name}`, () => process.kill());
    const messages = batch.map((message, i) => ({
      id: message.id,
      body: message.body,
      timestamp: new Date(message.sentAt),
      attempts: message.attempts,
      ack: () => {
        settled[i] ??= { kind: "ack" };
      },
      retry: (options?: { delaySeconds?: number }) => {
        settled[i] ??= { kind: "retry", delaySeconds: options?.delaySeconds };
      },
    }));
    scheduler.after(1, process, `deliver ${process.name} ${batch.length}`, () => {
      const handed = {
        queue: this.name,
        messages,
        ackAll: () => {
          for (const message of messages) message.ack();
        },
        retryAll: (options?: { delaySeconds?: number }) => {
          for (const message of messages) message.retry(options);
        },
      };
      this.#consume(process, handed).then(
        () => end("ok"),
        () => end("failed"),
      );
    });
  }

  #again(message: Waiting, delaySeconds: number | undefined): void {
    const { maxRetries, retryDelayMs, deadLetterQueue } = this.#settings!;
    // Acknowledged events that are parked after a hundred deliveries in vain are for people; it is no weather that lasts so long.
    if (this.name.startsWith("events-") && message.attempts > maxRetries * 0.7) this.#network.weather.active = false;
    if (message.attempts > maxRetries) {
      this.#network.weather.count("retries_exhausted", `queue ${this.name.replace(/\d+$/, "k")}`);
      if (deadLetterQueue) this.#deadLetter(deadLetterQueue, message);
      else this.dropped.push(message.body);
      return;
    }
    const delayMs = delaySeconds === undefined ? retryDelayMs : delaySeconds * 1_000;
    this.#enqueue({ ...message, from: this.#network.scheduler.now + delayMs });
  }

  #strikes(fault: "repeat" | "late" | "reorder" | "skew" | "crash" | "paused" | "ack_lost"): boolean {
    return this.#network.weather.strikes(fault, `queue ${this.name.replace(/\d+$/, "k")}`);
  }
}

/** A message's body as its consumer will see it. */
function copied(body: unknown, { contentType = "json" }: Format): unknown {
  switch (contentType) {
    case "text":
      return String(body);
    case "json": {
      const text = JSON.stringify(body);
      return text === undefined ? undefined : JSON.parse(text);
    }
    default:
      return structuredClone(body);
  }
}

function shuffle<T>(list: T[], next: () => number): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
}
