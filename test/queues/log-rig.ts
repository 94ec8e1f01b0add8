/** What tests of the queue stages share: messages as the edge sends them, batches that record outcomes, faults. */
import { idHash } from "../../r2-layout/event-id.ts";
import type { MessageHeader } from "../../r2-layout/event-message.ts";
import { encodeMessage, packIds } from "../../r2-layout/event-message.ts";
import { formatLogLine } from "../../r2-layout/log-line.ts";

export const RECEIVED_AT = Date.UTC(2026, 10, 22, 5) * 1_000;

export interface TestMessage {
  readonly edge: string;
  readonly n: number;
  readonly before: number;
  /** Event numbers; the same number is the same event. */
  readonly events: readonly number[];
  readonly shard?: number;
  readonly quarantined?: readonly number[];
  readonly header?: Partial<MessageHeader>;
}

export function bodyOf(message: TestMessage): string {
  const { edge, n, before, events, shard = 0, quarantined = [] } = message;
  const marked = new Set(quarantined);
  return encodeMessage({
    header: {
      v: 1,
      edge,
      n,
      shard,
      epoch: 0,
      source: "shop",
      received_at: RECEIVED_AT + n,
      events: events.length,
      before,
      ...(quarantined.length > 0 && { quarantined }),
      ids: packIds(events.map((event, i) => idHash(marked.has(i) ? "quarantine" : "event", "shop", `event-${event}`))),
      ...message.header,
    },
    lines: events.map((event, i) => lineOf(event, marked.has(i))),
  });
}

export function lineOf(event: number, quarantined = false): string {
  return formatLogLine({
    raw: { type: "track", event: "Clicked", messageId: `event-${event}`, properties: { number: event } },
    row: {
      event_id: `event-${event}`,
      event_name: "Clicked",
      event_type: "track",
      source: "shop",
      event_time: RECEIVED_AT,
      received_at: RECEIVED_AT,
      anonymous_id: `device-${event % 7}`,
      properties: { number: String(event) },
    },
    d: 1,
    ...(quarantined && { q: { cause: "column_mismatch", field: "revenue" } }),
  });
}

export type Outcome = "ack" | "retry" | "none";

/** A batch whose messages remember what became of them. */
export function batchOf(queue: string, bodies: readonly unknown[]) {
  const outcomes: Outcome[] = bodies.map(() => "none");
  const delays: (number | undefined)[] = [];
  const messages = bodies.map((body, i) => ({
    id: `m${i}`,
    timestamp: new Date(),
    attempts: 1,
    body,
    ack: () => {
      outcomes[i] = "ack";
    },
    retry: (options?: QueueRetryOptions) => {
      outcomes[i] = "retry";
      delays.push(options?.delaySeconds);
    },
  }));
  const batch = { queue, messages, ackAll: () => {}, retryAll: () => {} } as unknown as MessageBatch<unknown>;
  return { batch, outcomes, delays };
}

/** Throws once, before or after the effect, when the call of this number comes. */
export class Fault {
  #left: number;
  readonly when: "before" | "after";
  fired = false;

  constructor(call: number, when: "before" | "after") {
    this.#left = call;
    this.when = when;
  }

  async around<T>(effect: () => Promise<T>): Promise<T> {
    const now = --this.#left === 0;
    if (now && this.when === "before") this.#fire();
    const result = await effect();
    if (now && this.when === "after") this.#fire();
    return result;
  }

  #fire(): never {
    this.fired = true;
    throw new Error("injected");
  }
}
