/**
 * A queue that survives a kill: one object per queue, its messages in SQLite. Miniflare's own queues live in memory,
 * and a local run would forget what it has acknowledged.
 *
 * A message is deleted after the consumer's outcome for it is known, in one transaction for the batch. Killed before
 * that, the message is still there and comes again: at least once, as in production. What is under way is known in
 * memory only, so that nothing stays hidden after a kill.
 */
import { DurableObject } from "cloudflare:workers";
import type { FetcherQueueResult, ServiceBindingQueueMessage } from "@cloudflare/workers-types/experimental";
import { PLATFORM } from "../../../r2-layout/limits.ts";
import { wait } from "../../../r2-layout/wait.ts";
import { Backlog, type Waiting } from "./backlog.ts";
import { RateWindow } from "./rate-window.ts";
import type { Chaos, ConsumerSettings, QueueStatus } from "./settings.ts";
import type { StoredMessage } from "./stored-message.ts";

export interface LocalQueueEnv {
  readonly LOCAL_QUEUES: DurableObjectNamespace<LocalQueue>;
  /** By queue. A queue without a consumer keeps its messages. */
  readonly CONSUMERS: Readonly<Record<string, ConsumerSettings>>;
  /** By queue, or `*`: the chaos to start with. */
  readonly CHAOS?: Readonly<Record<string, Chaos>>;
  readonly [consumer: string]: unknown;
}

interface MessageRow extends Record<string, SqlStorageValue> {
  id: number;
  content_type: string;
  body: string | ArrayBuffer | null;
  sent_at: number;
}

/** What `service_binding_extra_handlers` adds to a service binding. */
interface QueueConsumer {
  queue(queue: string, messages: ServiceBindingQueueMessage[]): Promise<FetcherQueueResult>;
}

/** An ack or a retry for each message of a batch. */
type Outcomes = ReadonlyMap<number, { readonly retry: false } | { readonly retry: true; readonly delayMs: number }>;

export class LocalQueue extends DurableObject<LocalQueueEnv> {
  readonly #queue: string;
  readonly #consumer: ConsumerSettings | null;
  readonly #backlog = new Backlog();
  readonly #arriving: StoredMessage[] = [];
  #arrival: Promise<void> | null = null;
  readonly #rate = new RateWindow(PLATFORM.queueMessagesPerSecond);
  #underWay = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #timerAt = Number.POSITIVE_INFINITY;
  #chaos: Chaos = {};
  #random: () => number = Math.random;
  readonly #counts = { sent: 0, delivered: 0, retried: 0, dead: 0 };
  readonly #fired = { twice: 0, dropAcks: 0, lateMs: 0, shuffle: 0, hold: 0 };

  constructor(ctx: DurableObjectState, env: LocalQueueEnv) {
    super(ctx, env);
    this.#queue = ctx.id.name ?? "";
    this.#consumer = scaled(env.CONSUMERS[this.#queue] ?? null);
    ctx.storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS messages (
         id INTEGER PRIMARY KEY AUTOINCREMENT, content_type TEXT NOT NULL, body,
         sent_at INTEGER NOT NULL, visible_at INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0)`,
    );
    this.#useChaos(ctx.storage.kv.get<Chaos>("chaos") ?? env.CHAOS?.[this.#queue] ?? env.CHAOS?.["*"] ?? {});
    const now = Date.now();
    for (const row of ctx.storage.sql.exec<{ id: number; attempts: number; visible_at: number }>(
      "SELECT id, attempts, visible_at FROM messages ORDER BY visible_at, id",
    )) {
      this.#backlog.add({ id: row.id, attempts: row.attempts, visibleAt: row.visible_at }, now);
    }
  }

  /**
   * Returns once the messages are on disk (the output gate holds the answer back until then).
   * @throws Error beyond the platform's messages per second.
   */
  async put(messages: readonly StoredMessage[]): Promise<void> {
    const now = Date.now();
    if (!this.#rate.take(messages.length, now)) {
      throw new Error(`Too Many Requests: queue ${this.#queue} takes ${PLATFORM.queueMessagesPerSecond} messages/s`);
    }
    for (const message of messages) this.#arriving.push(message);
    this.#counts.sent += messages.length;
    this.#arrival ??= scheduler.wait(0).then(() => this.#insertAll());
    await this.#arrival;
  }

  /** Those who send at once share a commit: a disk makes a few hundred of them a second. */
  #insertAll(): void {
    this.#arrival = null;
    const now = Date.now();
    const arrived = this.#arriving.splice(0);
    this.ctx.storage.transactionSync(() => {
      for (const message of arrived) this.#insert(message, now);
    });
    this.#pump();
  }

  /** Delivers what waits: after a start, and each minute in case a timer was lost. */
  async wake(): Promise<void> {
    this.#pump();
  }

  /** Kept across restarts; an empty object ends it. */
  async setChaos(chaos: Chaos): Promise<void> {
    this.ctx.storage.kv.put("chaos", chaos);
    this.#useChaos(chaos);
    this.#pump();
  }

  /** As the platform tells a producer: what waits, or is under way. */
  async metrics(): Promise<QueueMetrics> {
    const { count, bytes, oldest } = this.ctx.storage.sql
      .exec<{ count: number; bytes: number; oldest: number | null }>(
        "SELECT count(*) AS count, coalesce(sum(length(body)), 0) AS bytes, min(sent_at) AS oldest FROM messages",
      )
      .one();
    return {
      backlogCount: count,
      backlogBytes: bytes,
      ...(oldest !== null && { oldestMessageTimestamp: new Date(oldest) }),
    };
  }

  async status(): Promise<QueueStatus> {
    return {
      queue: this.#queue,
      ready: this.#backlog.ready,
      delayed: this.#backlog.delayed,
      underWay: this.#underWay,
      ...this.#counts,
      chaos: this.#chaos,
      fired: this.#fired,
    };
  }

  #useChaos(chaos: Chaos): void {
    this.#chaos = chaos;
    this.#random = chaos.seed === undefined ? Math.random : mulberry32(chaos.seed);
  }

  #insert(message: StoredMessage, now: number): void {
    const late = this.#chaos.lateMs ? Math.floor(this.#random() * this.#chaos.lateMs) : 0;
    if (late > 0) this.#fired.lateMs++;
    const visibleAt = now + wait(message.delayMs) + late;
    const isValue = message.contentType === "v8";
    const { id } = this.ctx.storage.sql
      .exec<{ id: number }>(
        "INSERT INTO messages (content_type, body, sent_at, visible_at) VALUES (?, ?, ?, ?) RETURNING id",
        message.contentType,
        isValue ? null : (message.body as string | ArrayBuffer),
        now,
        visibleAt,
      )
      .one();
    // Values that only a structured clone can carry live in the key-value table, written in the same transaction.
    if (isValue) this.ctx.storage.kv.put(`body:${id}`, message.body);
    this.#backlog.add({ id, attempts: 0, visibleAt }, now);
  }

  /** Starts as many batches as may be under way, and sets the timer for the next one. */
  #pump(): void {
    const consumer = this.#consumer;
    if (consumer === null) return;
    const now = Date.now();
    this.#backlog.ripen(now);
    if (this.#chaos.hold) {
      if (this.#backlog.ready > 0) this.#fired.hold++;
      return;
    }
    while (this.#underWay < consumer.concurrency && this.#isDue(consumer, now)) {
      const window = this.#chaos.shuffle ? this.#backlog.ready : consumer.concurrency * consumer.batchSize;
      // Batches start anywhere in the oldest part: what comes first is no promise of the platform.
      const offset = consumer.concurrency > 1 ? Math.floor(this.#random() * Math.min(window, this.#backlog.ready)) : 0;
      if (this.#chaos.shuffle && offset > 0) this.#fired.shuffle++;
      void this.#deliver(consumer, this.#backlog.take(consumer.batchSize, offset));
    }
    if (this.#underWay < consumer.concurrency) this.#setTimer(consumer, now);
  }

  #isDue(consumer: ConsumerSettings, now: number): boolean {
    if (this.#backlog.ready >= consumer.batchSize) return true;
    const since = this.#backlog.readySince;
    return since !== null && now >= since + consumer.waitMs;
  }

  #setTimer(consumer: ConsumerSettings, now: number): void {
    const since = this.#backlog.readySince;
    const at = Math.min(
      since === null ? Number.POSITIVE_INFINITY : since + consumer.waitMs,
      this.#backlog.nextVisibleAt ?? Number.POSITIVE_INFINITY,
    );
    if (at === this.#timerAt) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer =
      at === Number.POSITIVE_INFINITY
        ? null
        : setTimeout(
            () => {
              this.#timerAt = Number.POSITIVE_INFINITY;
              this.#timer = null;
              this.#pump();
            },
            Math.max(0, at - now),
          );
  }

  async #deliver(consumer: ConsumerSettings, batch: readonly Waiting[]): Promise<void> {
    this.#underWay++;
    try {
      const messages = this.#read(batch);
      const twice = this.#chaos.twice ? this.#random() < this.#chaos.twice : false;
      if (twice) this.#fired.twice++;
      const [outcomes] = await Promise.all(
        (twice ? [messages, messages] : [messages]).map((copy) => this.#dispatch(consumer, batch, copy)),
      );
      this.#counts.delivered += batch.length;
      const forget = this.#chaos.dropAcks ? this.#random() < this.#chaos.dropAcks : false;
      if (forget) this.#fired.dropAcks++;
      await this.#settle(consumer, batch, forget ? retryAll(batch, 0) : outcomes!);
    } catch (cause) {
      // Only this file's own failures come here: the batch is on disk and back in the backlog, so it comes again.
      console.error(`local queue ${this.#queue}: ${String(cause)}`);
      const now = Date.now();
      for (const message of batch) this.#backlog.add({ ...message, visibleAt: now + 1_000 }, now);
    } finally {
      this.#underWay--;
      this.#pump();
    }
  }

  #read(batch: readonly Waiting[]): ServiceBindingQueueMessage[] {
    const attempts = new Map(batch.map((message) => [message.id, message.attempts]));
    return this.ctx.storage.sql
      .exec<MessageRow>(
        "SELECT id, content_type, body, sent_at FROM messages WHERE id IN (SELECT value FROM json_each(?))",
        JSON.stringify([...attempts.keys()]),
      )
      .toArray()
      .map((row) => ({
        id: String(row.id),
        timestamp: new Date(row.sent_at),
        attempts: attempts.get(row.id)! + 1,
        body: this.#body(row),
      }));
  }

  #body(row: MessageRow): unknown {
    if (row.content_type === "json") return JSON.parse(row.body as string);
    if (row.content_type === "v8") return this.ctx.storage.kv.get(`body:${row.id}`);
    return row.body;
  }

  /** Calls the consumer. A batch whose handler failed is retried, less what it acked before, as in production. */
  async #dispatch(
    consumer: ConsumerSettings,
    batch: readonly Waiting[],
    messages: ServiceBindingQueueMessage[],
  ): Promise<Outcomes> {
    const service = this.env[consumer.binding] as QueueConsumer;
    let result: FetcherQueueResult;
    try {
      result = await service.queue(this.#queue, messages);
    } catch (cause) {
      console.error(`local queue ${this.#queue}: the consumer failed: ${String(cause)}`);
      return retryAll(batch, consumer.retryDelayMs);
    }
    const acked = new Set(result.explicitAcks);
    const retried = new Map(result.retryMessages.map((retry) => [retry.msgId, retry.delaySeconds]));
    const whole = result.retryBatch.retry || (result.outcome !== "ok" && !result.ackAll);
    const outcomes = new Map<number, { retry: false } | { retry: true; delayMs: number }>();
    for (const { id } of batch) {
      const key = String(id);
      if (retried.has(key) || (whole && !acked.has(key))) {
        const seconds = retried.get(key) ?? result.retryBatch.delaySeconds;
        outcomes.set(id, {
          retry: true,
          delayMs: seconds === undefined ? consumer.retryDelayMs : wait(seconds * 1_000),
        });
      } else outcomes.set(id, { retry: false });
    }
    return outcomes;
  }

  /** Records a batch's outcomes in one transaction; messages without a try left go to the dead-letter queue first. */
  async #settle(consumer: ConsumerSettings, batch: readonly Waiting[], outcomes: Outcomes): Promise<void> {
    const gone: number[] = [];
    const dead: Waiting[] = [];
    const again: Waiting[] = [];
    const now = Date.now();
    for (const message of batch) {
      const outcome = outcomes.get(message.id)!;
      if (!outcome.retry) gone.push(message.id);
      else if (message.attempts >= consumer.maxRetries) dead.push(message);
      else again.push({ id: message.id, attempts: message.attempts + 1, visibleAt: now + outcome.delayMs });
    }
    if (dead.length > 0) await this.#bury(consumer, dead);
    const { sql, kv } = this.ctx.storage;
    this.ctx.storage.transactionSync(() => {
      const remove = [...gone, ...dead.map((message) => message.id)];
      sql.exec("DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?))", JSON.stringify(remove));
      for (const id of remove) kv.delete(`body:${id}`);
      for (const { id, attempts, visibleAt } of again) {
        sql.exec("UPDATE messages SET attempts = ?, visible_at = ? WHERE id = ?", attempts, visibleAt, id);
      }
    });
    for (const message of again) this.#backlog.add(message, now);
    this.#counts.retried += again.length;
    this.#counts.dead += dead.length;
  }

  async #bury(consumer: ConsumerSettings, dead: readonly Waiting[]): Promise<void> {
    const to = consumer.deadLetterQueue;
    console.warn(`local queue ${this.#queue}: ${dead.length} messages out of retries, ${to ? `to ${to}` : "dropped"}`);
    if (to === null) return;
    const messages = this.ctx.storage.sql
      .exec<MessageRow>(
        "SELECT id, content_type, body, sent_at FROM messages WHERE id IN (SELECT value FROM json_each(?))",
        JSON.stringify(dead.map((message) => message.id)),
      )
      .toArray()
      .map((row) => ({
        contentType: row.content_type as StoredMessage["contentType"],
        body: row.content_type === "v8" ? this.#body(row) : row.body,
        bytes: 0,
        delayMs: 0,
      }));
    await this.env.LOCAL_QUEUES.getByName(to).put(messages);
  }
}

/** A queue's own waits are scaled here, so that nobody who sends or retries has to know. */
const scaled = (consumer: ConsumerSettings | null): ConsumerSettings | null =>
  consumer && { ...consumer, waitMs: wait(consumer.waitMs), retryDelayMs: wait(consumer.retryDelayMs) };

const retryAll = (batch: readonly Waiting[], delayMs: number): Outcomes =>
  new Map(batch.map((message) => [message.id, { retry: true, delayMs }]));

/** A small seeded generator: the same seed, the same dice. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
