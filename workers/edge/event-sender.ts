/**
 * Puts the events of a request on the queues of their shards, and knows what it has sent.
 *
 * Promise 1: an event counts as accepted when the queue has its message. Promise 3: each message carries this
 * instance's name, its running number in the shard and how many events went before, so that the log sees a gap where a
 * message was lost. Number and count are taken before the send, and sends overlap, so a send that fails leaves a hole
 * that later messages have counted over. It is named in the `void` list of the next messages until one that
 * carries it is on the queue; then the log will know, and it is forgotten here.
 *
 *     n=4 taken (before 90, 10 events) ---- send fails ----> void [4,10] waits
 *     n=5 taken (before 100) -- on the queue, says nothing of 4: the log sees a gap and waits for its word
 *     n=6 taken (before 120, void [4,10]) -- on the queue: the log knows that 4 is not owed; forgotten here
 *
 * A send that failed here may have reached the queue all the same. Its events then arrive although they were
 * declared void, and the sender's retry comes as well: the ids make one of them a duplicate. If the instance dies with a void
 * unsaid, the gap stays and shows: the ledger says "owed" of what was never acknowledged, not the other way round.
 */
import { idHash } from "../../r2-layout/event-id.ts";
import { encodeMessage, packIds } from "../../r2-layout/event-message.ts";
import { INGEST, PLATFORM } from "../../r2-layout/limits.ts";
import type { KeptEvent } from "./parse-events.ts";

/** The slice of a queue that sending needs. */
export interface MessageQueue {
  send(body: string, options: { contentType: "text" }): Promise<unknown>;
  sendBatch(messages: readonly { body: string; contentType: "text" }[]): Promise<unknown>;
}

/** What one instance has sent to one shard. */
interface Outbox {
  lastNumber: number;
  events: number;
  /** Failed messages, by number, with their counts of events. */
  readonly voids: Map<number, number>;
}

interface Message {
  readonly shard: number;
  readonly number: number;
  readonly events: readonly KeptEvent[];
  readonly voids: readonly (readonly [number, number])[];
  readonly body: string;
}

/** Shards have not been split: the log says "moved" to messages of an older epoch. */
const EPOCH = 0;
/** Bytes an event adds to a message's header: its id in base64 and, quarantined, its index. */
const HEADER_BYTES_PER_EVENT = 28;
const HEADER_BYTES = 1_024 + INGEST.voidsPerMessage * 16;
/** Two full messages. */
const SEND_BYTES = Math.min(2 * INGEST.messageBytes, PLATFORM.queueSendBatchBytes);

export class EventSender {
  readonly edge: string;
  readonly queues: readonly MessageQueue[];
  readonly #outboxes: readonly Outbox[];

  /** @param edge the name of this instance, never used again by another. @param queues one for each shard. */
  constructor(edge: string, queues: readonly MessageQueue[]) {
    this.edge = edge;
    this.queues = queues;
    this.#outboxes = queues.map(() => ({ lastNumber: 0, events: 0, voids: new Map() }));
  }

  /** @returns the events that no queue has: the request must be sent again. Never throws for a failing queue. */
  async send(events: readonly KeptEvent[], source: string, receivedAt: number): Promise<readonly KeptEvent[]> {
    const sends = this.#plan(events, source, receivedAt);
    const unsent: KeptEvent[] = [];
    let next = 0;
    const worker = async () => {
      for (let send = sends[next++]; send !== undefined; send = sends[next++]) {
        if (!(await this.#deliver(send))) for (const message of send) unsent.push(...message.events);
      }
    };
    await Promise.all(Array.from({ length: Math.min(INGEST.simultaneousSends, sends.length) }, worker));
    return unsent;
  }

  /** Messages of one shard that go in one call. */
  #plan(events: readonly KeptEvent[], source: string, receivedAt: number): Message[][] {
    const sends: Message[][] = [];
    for (const [shard, ofShard] of byShard(events, this.queues.length)) {
      let send: Message[] = [];
      let sendBytes = 0;
      for (const part of split(ofShard)) {
        const message = this.#message(shard, part, source, receivedAt);
        const bytes = Buffer.byteLength(message.body);
        if (send.length > 0 && (sendBytes + bytes > SEND_BYTES || send.length === PLATFORM.queueSendBatchMessages)) {
          sends.push(send);
          send = [];
          sendBytes = 0;
        }
        send.push(message);
        sendBytes += bytes;
      }
      sends.push(send);
    }
    return sends;
  }

  #message(shard: number, events: readonly KeptEvent[], source: string, receivedAt: number): Message {
    const outbox = this.#outboxes[shard]!;
    const number = ++outbox.lastNumber;
    const before = outbox.events;
    outbox.events += events.length;
    const voids = [...outbox.voids].slice(0, INGEST.voidsPerMessage);
    const quarantined = events.flatMap((event, line) => (event.quarantine ? [line] : []));
    const ids = events.map((event) => idHash(event.quarantine ? "quarantine" : "event", source, event.event_id));
    const body = encodeMessage({
      header: {
        v: 1,
        edge: this.edge,
        n: number,
        shard,
        epoch: EPOCH,
        source,
        received_at: receivedAt,
        events: events.length,
        before,
        ...(quarantined.length > 0 && { quarantined }),
        ...(voids.length > 0 && { void: voids }),
        ids: packIds(ids),
      },
      lines: events.map((event) => event.line),
    });
    return { shard, number, events, voids, body };
  }

  async #deliver(send: readonly Message[]): Promise<boolean> {
    const { shard } = send[0]!;
    const { voids } = this.#outboxes[shard]!;
    const queue = this.queues[shard]!;
    try {
      if (send.length === 1) await queue.send(send[0]!.body, { contentType: "text" });
      else await queue.sendBatch(send.map(({ body }) => ({ body, contentType: "text" })));
    } catch (error) {
      for (const message of send) voids.set(message.number, message.events.length);
      console.error(
        JSON.stringify({ reason: "store_unavailable", shard, messages: send.length, error: String(error) }),
      );
      return false;
    }
    for (const message of send) for (const [number] of message.voids) voids.delete(number);
    return true;
  }
}

function byShard(events: readonly KeptEvent[], shards: number): Iterable<[number, readonly KeptEvent[]]> {
  if (events.length === 0) return [];
  if (shards === 1) return [[0, events]];
  const groups = new Map<number, KeptEvent[]>();
  for (const event of events) {
    const group = groups.get(event.shard);
    if (group) group.push(event);
    else groups.set(event.shard, [event]);
  }
  return groups;
}

/** Cuts a shard's events, in order, where a message is full. A line alone always fits: its parts are bounded. */
function split(events: readonly KeptEvent[]): readonly (readonly KeptEvent[])[] {
  const room = INGEST.messageBytes - HEADER_BYTES;
  const parts: KeptEvent[][] = [];
  let part: KeptEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const eventBytes = Buffer.byteLength(event.line) + 1 + HEADER_BYTES_PER_EVENT;
    if (part.length > 0 && bytes + eventBytes > room) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(event);
    bytes += eventBytes;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}
