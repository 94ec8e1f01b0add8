/**
 * The end of the road: what the fan-out stage was handed a hundred times in vain, or could not read at all, is parked in
 * R2 with its cause, so that it can be looked at and sent again. A dead-letter queue alone forgets after four days.
 */
import { ulid } from "ulidx";
import { poisonKey } from "../r2-layout/keys.ts";

/** The slice of R2 that writing an object needs. */
export interface ObjectWriter {
  put(key: string, body: string | Uint8Array, options: R2PutOptions): Promise<unknown>;
}

export interface Poison {
  readonly queue: string;
  readonly messageId: string;
  readonly body: unknown;
  /** Short and stable: it is searched for. */
  readonly cause: string;
  readonly detail?: string;
}

/** R2 keeps at most 8 kB of custom metadata. */
const DETAIL_CHARS = 1_000;

/** @returns the key under which the body is kept. */
export async function park(store: ObjectWriter, poison: Poison, nowMs: number): Promise<string> {
  const key = poisonKey({ day: new Date(nowMs).toISOString().slice(0, 10), queue: poison.queue, ulid: ulid(nowMs) });
  await store.put(key, bodyBytes(poison.body), {
    customMetadata: {
      cause: poison.cause,
      detail: (poison.detail ?? "").slice(0, DETAIL_CHARS),
      message: poison.messageId,
    },
  });
  return key;
}

/** Consumer of `events-dead`: parks each body, then acks it. What cannot be parked is retried. */
export async function parkDeadLetters(batch: MessageBatch<unknown>, store: ObjectWriter): Promise<void> {
  for (const message of batch.messages) {
    try {
      const poison = { queue: batch.queue, messageId: message.id, body: message.body, cause: "retries_exhausted" };
      const key = await park(store, poison, Date.now());
      console.error(JSON.stringify({ at: "dead-letter", reason: "retries_exhausted", key }));
      message.ack();
    } catch (error) {
      console.error(JSON.stringify({ at: "dead-letter", reason: "store_unavailable", error: String(error) }));
      message.retry({ delaySeconds: 60 });
    }
  }
}

function bodyBytes(body: unknown): string | Uint8Array {
  if (typeof body === "string" || body instanceof Uint8Array) return body;
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  return JSON.stringify(body) ?? String(body);
}
