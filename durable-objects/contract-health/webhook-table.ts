/**
 * Receivers, and what is to be sent to each: a row a message and receiver, from when it happened until it was taken, or given up. An
 * attempt is counted before it is made and its next one set, so one that is cut off is one that failed.
 */
import { WEBHOOKS } from "../../r2-layout/limits.ts";
import type { Delivery, MessageType, NewWebhook, WebhookState } from "./api.ts";

type WebhookRow = {
  id: string;
  url: string;
  description: string;
  secret: string;
  created_at: number;
  failures: number;
  rest_until: number;
  delivered: number;
  given_up: number;
  last_error: string | null;
  last_delivered_at: number | null;
};
type DeliveryRow = {
  n: number;
  id: string;
  webhook: string;
  break: number | null;
  type: MessageType;
  body: string;
  created_at: number;
  attempts: number;
  next_at: number | null;
  state: Delivery["state"];
  last_error: string | null;
};

export interface Message {
  readonly type: MessageType;
  /** JSON. */
  readonly body: string;
  /** The break that it is about: of one break, messages go in their order. */
  readonly break: number | null;
}

/** One attempt that has been counted. */
export interface Attempt {
  readonly n: number;
  readonly id: string;
  readonly url: string;
  readonly secret: string;
  readonly body: string;
}

const TOO_MANY = "too many messages wait for this receiver";

export class WebhookTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS webhook (
      id TEXT PRIMARY KEY, url TEXT NOT NULL, description TEXT NOT NULL, secret TEXT NOT NULL, created_at INTEGER NOT NULL,
      failures INTEGER NOT NULL DEFAULT 0, rest_until INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0,
      given_up INTEGER NOT NULL DEFAULT 0, last_error TEXT, last_delivered_at INTEGER) WITHOUT ROWID`);
    sql.exec(`CREATE TABLE IF NOT EXISTS delivery (
      n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, webhook TEXT NOT NULL, break INTEGER, type TEXT NOT NULL,
      body TEXT NOT NULL, created_at INTEGER NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER, state TEXT NOT NULL,
      last_error TEXT)`);
    sql.exec("CREATE INDEX IF NOT EXISTS delivery_of ON delivery (webhook, state, next_at)");
  }

  /** @returns whether there was room. */
  add({ url, description }: NewWebhook, id: string, secret: string, now: number): boolean {
    if (this.ids.length >= WEBHOOKS.webhooks) return false;
    const query = "INSERT INTO webhook (id, url, description, secret, created_at) VALUES (?, ?, ?, ?, ?)";
    this.#sql.exec(query, id, url, description, secret, now);
    return true;
  }

  remove(id: string): boolean {
    this.#sql.exec("DELETE FROM delivery WHERE webhook = ?", id);
    return this.#sql.exec("DELETE FROM webhook WHERE id = ? RETURNING id", id).toArray().length > 0;
  }

  get ids(): string[] {
    return this.#sql
      .exec<{ id: string }>("SELECT id FROM webhook ORDER BY created_at, id")
      .toArray()
      .map(({ id }) => id);
  }

  list(): WebhookState[] {
    return this.#sql
      .exec<WebhookRow>("SELECT * FROM webhook ORDER BY created_at, id")
      .toArray()
      .map((row) => ({
        ...{ id: row.id, url: row.url, description: row.description, createdAt: row.created_at },
        ...{ waiting: this.#waiting(row.id), delivered: row.delivered, givenUp: row.given_up },
        ...{ lastError: row.last_error, lastDeliveredAt: row.last_delivered_at },
      }));
  }

  /** The newest first. */
  deliveries(webhook: string): Delivery[] {
    return this.#sql
      .exec<DeliveryRow>(
        "SELECT * FROM delivery WHERE webhook = ? ORDER BY n DESC LIMIT ?",
        webhook,
        WEBHOOKS.remembered,
      )
      .toArray()
      .map(({ id, type, state, attempts, created_at, next_at, last_error, body }) => ({
        ...{ id, type, state, attempts, body },
        ...{ createdAt: created_at, nextAt: next_at, lastError: last_error },
      }));
  }

  /** For one receiver. Where too much waits for it, the message is given up at once, visibly. */
  send(webhook: string, { type, body, break: of }: Message, id: string, now: number): void {
    const isFull = this.#waiting(webhook) >= WEBHOOKS.waiting;
    this.#sql.exec(
      `INSERT INTO delivery (id, webhook, break, type, body, created_at, attempts, next_at, state, last_error)
       VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
      ...[id, webhook, of, type, body, now],
      ...(isFull ? [null, "given_up", TOO_MANY] : [now, "waiting", null]),
    );
    if (isFull) this.#fail(webhook, TOO_MANY, "given_up");
  }

  /** What is due for a receiver, unless it rests: counted as an attempt, and as one that will be made again. */
  take(webhook: string, now: number): Attempt | null {
    const [row] = this.#sql
      .exec<DeliveryRow & Pick<WebhookRow, "url" | "secret">>(
        `SELECT delivery.*, url, secret FROM delivery JOIN webhook ON webhook.id = delivery.webhook
         WHERE webhook = ? AND next_at <= ? AND rest_until <= ? AND ${IS_NEXT} ORDER BY next_at, n LIMIT 1`,
        webhook,
        now,
        now,
      )
      .toArray();
    if (!row) return null;
    const wait = WEBHOOKS.retryMs[row.attempts] ?? 0;
    this.#sql.exec(
      "UPDATE delivery SET attempts = attempts + 1, next_at = ?, last_error = 'no answer yet' WHERE n = ?",
      now + WEBHOOKS.answerMs + wait,
      row.n,
    );
    const { n, id, url, secret, body } = row;
    return { n, id, url, secret, body };
  }

  /** @param error null where it was taken. */
  settle(attempt: Pick<Attempt, "n">, error: string | null, now: number): void {
    const [row] = this.#sql.exec<DeliveryRow>("SELECT * FROM delivery WHERE n = ?", attempt.n).toArray();
    // The receiver is gone, or another attempt was taken meanwhile.
    if (row?.state !== "waiting") return;
    const waitMs = WEBHOOKS.retryMs[row.attempts - 1];
    const state = error === null ? "delivered" : waitMs === undefined ? "given_up" : "waiting";
    const nextAt = state === "waiting" ? now + waitMs! : null;
    this.#sql.exec(
      "UPDATE delivery SET state = ?, next_at = ?, last_error = ? WHERE n = ?",
      state,
      nextAt,
      error,
      row.n,
    );
    if (error === null) {
      const query = `UPDATE webhook SET failures = 0, rest_until = 0, delivered = delivered + 1, last_error = NULL,
        last_delivered_at = ? WHERE id = ?`;
      this.#sql.exec(query, now, row.webhook);
    } else {
      this.#fail(row.webhook, error, state);
      this.#rest(row.webhook, now);
    }
    if (state !== "waiting") this.#forget(row.webhook);
  }

  /** When the next attempt is due, milliseconds; null: nothing waits. */
  get nextAt(): number | null {
    const query = `SELECT min(max(next_at, rest_until)) AS at FROM delivery JOIN webhook ON webhook.id = delivery.webhook
      WHERE ${IS_NEXT}`;
    return this.#sql.exec<{ at: number | null }>(query).one().at;
  }

  #waiting(webhook: string): number {
    const query = "SELECT count(*) AS n FROM delivery WHERE webhook = ? AND state = 'waiting'";
    return this.#sql.exec<{ n: number }>(query, webhook).one().n;
  }

  #fail(webhook: string, error: string, state: Delivery["state"]): void {
    const query = "UPDATE webhook SET last_error = ?, given_up = given_up + ? WHERE id = ?";
    this.#sql.exec(query, error, Number(state === "given_up"), webhook);
  }

  /** A receiver that fails is left alone for a while, whatever waits for it. */
  #rest(webhook: string, now: number): void {
    const { failures } = this.#sql
      .exec<{ failures: number }>("UPDATE webhook SET failures = failures + 1 WHERE id = ? RETURNING failures", webhook)
      .one();
    const restMs = Math.min(WEBHOOKS.restMaxMs, WEBHOOKS.restMs * 2 ** Math.min(failures - 1, 16));
    this.#sql.exec("UPDATE webhook SET rest_until = ? WHERE id = ?", now + restMs, webhook);
  }

  #forget(webhook: string): void {
    this.#sql.exec(
      `DELETE FROM delivery WHERE webhook = ?1 AND state <> 'waiting' AND n NOT IN
       (SELECT n FROM delivery WHERE webhook = ?1 AND state <> 'waiting' ORDER BY n DESC LIMIT ?2)`,
      webhook,
      WEBHOOKS.remembered,
    );
  }
}

/** It waits, and nothing about the same break waits before it. */
const IS_NEXT = `delivery.state = 'waiting' AND NOT EXISTS (SELECT 1 FROM delivery AS before
  WHERE before.webhook = delivery.webhook AND before.state = 'waiting' AND before.break = delivery.break AND before.n < delivery.n)`;
