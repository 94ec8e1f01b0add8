/**
 * The end of the road: what the fan-out stage was handed a hundred times in vain, could not read at all, or the log
 * refuses, is parked in R2 with its cause, so that it can be looked at and sent again (quarantine/). A dead-letter queue
 * alone forgets after four days.
 */
import { ulid } from "ulidx";
import { parseMessage } from "../r2-layout/event-message.ts";
import { poisonKey } from "../r2-layout/keys.ts";
import { LOG } from "../r2-layout/limits.ts";

/** The slice of R2 that writing an object needs. */
export interface ObjectWriter {
  put(key: string, body: string | Uint8Array, options: R2PutOptions): Promise<unknown>;
}

export interface Poison {
  /** Where it came from, and is to go back to. */
  readonly queue: string;
  readonly messageId: string;
  readonly body: unknown;
  /** Short and stable: it is searched for. */
  readonly cause: string;
  readonly detail?: string;
  /** Deliveries in vain. */
  readonly attempts?: number;
}

/** What a parked object's metadata says; all of it text, and absent in objects of an earlier version but for the first three. */
export interface PoisonMetadata {
  readonly cause: string;
  readonly detail: string;
  readonly message: string;
  readonly attempts?: string;
  /** Events in it; absent where it cannot be read. */
  readonly events?: string;
  readonly redriven_at?: string;
}

/** R2 keeps at most 8 kB of custom metadata. */
const DETAIL_CHARS = 1_000;

/** @returns the key under which the body is kept. */
export async function park(store: ObjectWriter, poison: Poison, nowMs: number): Promise<string> {
  const key = poisonKey({ atMs: nowMs, queue: poison.queue, ulid: ulid(nowMs) });
  const read = parseMessage(poison.body);
  const customMetadata = {
    cause: poison.cause,
    // Metadata travels as headers do.
    detail: (poison.detail ?? "").slice(0, DETAIL_CHARS).replace(/[^ -~]/g, "?"),
    message: poison.messageId,
    ...(poison.attempts !== undefined && { attempts: String(poison.attempts) }),
    ...(read.ok && { events: String(read.value.header.events) }),
  } satisfies PoisonMetadata;
  await store.put(key, bodyBytes(poison.body), { customMetadata });
  return key;
}

/** Consumer of `events-dead`: parks each body, then acks it. What cannot be parked is retried. */
export async function parkDeadLetters(batch: MessageBatch<unknown>, store: ObjectWriter): Promise<void> {
  for (const message of batch.messages) {
    const { id: messageId, body } = message;
    try {
      const cause = "retries_exhausted";
      const poison = { queue: homeOf(body) ?? batch.queue, messageId, body, cause, attempts: LOG.deliveries };
      const key = await park(store, poison, Date.now());
      console.error(JSON.stringify({ at: "dead-letter", reason: cause, key }));
      message.ack();
    } catch (error) {
      console.error(JSON.stringify({ at: "dead-letter", reason: "store_unavailable", error: String(error) }));
      message.retry({ delaySeconds: 60 });
    }
  }
}

/** A dead-letter queue does not say where a message came from; its header does. */
function homeOf(body: unknown): string | null {
  const read = parseMessage(body);
  return read.ok ? `events-${read.value.header.shard}` : null;
}

function bodyBytes(body: unknown): string | Uint8Array {
  if (typeof body === "string" || body instanceof Uint8Array) return body;
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  return JSON.stringify(body) ?? String(body);
}
