/**
 * Puts the events of a request on the queues of their shards, and knows what it has sent.
 *
 * Promise 1: an event counts as accepted when the queue has its message. Promise 3: each message carries this
 * instance's name, its running number in the shard and how many events went before, so that the log sees a gap where a
 * message was lost. Number and count are taken at the moment of the send, in one step with it, so messages leave in
 * the order of their numbers; but sends overlap, so one that fails leaves a hole that later messages have counted
 * over. It is named in the `void` list of the next messages until one that carries it is on the queue; then the log
 * will know, and it is forgotten here.
 *
 *     n=4 leaves (before 90, 10 events) ---- send fails ----> void [4,10] waits
 *     n=5 leaves (before 100) -- on the queue, says nothing of 4: the log sees a gap and waits for its word
 *     n=6 leaves (before 120, void [4,10]) -- on the queue: the log knows that 4 is not owed; forgotten here
 *
 * A send that failed here may have reached the queue all the same. Its events then arrive although they were declared
 * void, and so do those of the sender's retry: the ids make one of them a duplicate. If the instance dies before a void
 * is said, the gap stays and shows: the ledger says "owed" of what was never acknowledged, not the other way round.
 */
import type { EventFlag } from "../../r2-layout/event-columns.ts";
import { idHash } from "../../r2-layout/event-id.ts";
import { encodeMessage, packIds } from "../../r2-layout/event-message.ts";
import { INGEST, PLATFORM } from "../../r2-layout/limits.ts";
import { epochOf, type ShardHistory } from "../../r2-layout/shards.ts";
import { type PackedPrefixes, packPrefixes, prefixOf, type SubjectHasher } from "../../r2-layout/subjects.ts";
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

/** What the events of one request share. */
interface Sent {
  readonly source: string;
  /** Microseconds. */
  readonly receivedAt: number;
  readonly republish: string | undefined;
}

/** The events of one message, and an upper bound of its bytes. */
interface Part {
  readonly shard: number;
  readonly events: readonly KeptEvent[];
  readonly bytes: number;
}

interface Message {
  readonly number: number;
  readonly events: number;
  readonly voids: readonly (readonly [number, number])[];
  readonly body: string;
}

/** Bytes an event adds to a message's header: its id in base64 and, quarantined, its index. */
const HEADER_BYTES_PER_EVENT = 28;
/** And whom it names: a prefix in base64. */
const HEADER_BYTES_PER_NAME = 6;
const HEADER_BYTES = 1_280 + INGEST.voidsPerMessage * 16;

export class EventSender {
  readonly edge: string;
  readonly queues: readonly MessageQueue[];
  readonly #shards: ShardHistory;
  readonly #hash: SubjectHasher | undefined;
  readonly #outboxes: readonly Outbox[];

  /**
   * @param edge the name of this instance, never used again by another. @param queues one for each shard.
   * @param shards by whose last number events are grouped; who has an older one regroups them (queues/fan-out/route.ts).
   * @param hash to say in a message whom it names; without it who has to know reads its lines.
   */
  constructor(
    edge: string,
    queues: readonly MessageQueue[],
    shards: ShardHistory = [queues.length],
    hash?: SubjectHasher,
  ) {
    this.edge = edge;
    this.queues = queues;
    this.#shards = shards;
    this.#hash = hash;
    this.#outboxes = queues.map(() => ({ lastNumber: 0, events: 0, voids: new Map() }));
  }

  /** @returns the events that no queue has: the request must be sent again. Never throws for a failing queue. */
  async send(
    events: readonly KeptEvent[],
    source: string,
    receivedAt: number,
    republish?: string,
  ): Promise<readonly KeptEvent[]> {
    const calls = planCalls(byShard(events, this.queues.length));
    const unsent: KeptEvent[] = [];
    let next = 0;
    const worker = async () => {
      for (let parts = calls[next++]; parts !== undefined; parts = calls[next++]) {
        if (!(await this.#deliver(parts, { source, receivedAt, republish })))
          for (const part of parts) unsent.push(...part.events);
      }
    };
    await Promise.all(Array.from({ length: Math.min(INGEST.simultaneousSends, calls.length) }, worker));
    return unsent;
  }

  async #deliver(parts: readonly Part[], sent: Sent): Promise<boolean> {
    const { shard } = parts[0]!;
    const { voids } = this.#outboxes[shard]!;
    const queue = this.queues[shard]!;
    const messages = parts.map((part) => this.#message(part, sent));
    try {
      if (messages.length === 1) await queue.send(messages[0]!.body, { contentType: "text" });
      else await queue.sendBatch(messages.map(({ body }) => ({ body, contentType: "text" })));
    } catch (error) {
      for (const message of messages) voids.set(message.number, message.events);
      const lost = { shard, messages: messages.length, error: String(error) };
      console.error(JSON.stringify({ reason: "store_unavailable", ...lost }));
      return false;
    }
    for (const message of messages) for (const [number] of message.voids) voids.delete(number);
    return true;
  }

  #message({ shard, events }: Part, { source, receivedAt, republish }: Sent): Message {
    const outbox = this.#outboxes[shard]!;
    const number = ++outbox.lastNumber;
    const before = outbox.events;
    outbox.events += events.length;
    const voids = [...outbox.voids].slice(0, INGEST.voidsPerMessage);
    const quarantined = events.flatMap((event, line) => (event.quarantine ? [line] : []));
    const epoch = epochOf(this.#shards);
    const flagged = (flag: EventFlag) => events.filter(({ flags }) => flags?.includes(flag)).length;
    const late = flagged("late");
    const skewed = flagged("clock_skewed");
    const ids = events.map((event) =>
      idHash(event.quarantine ? "quarantine" : "event", source, event.event_id, republish),
    );
    const body = encodeMessage({
      header: {
        v: 1,
        edge: this.edge,
        n: number,
        shard,
        epoch,
        ...(epoch > 0 && { shards: this.#shards }),
        source,
        received_at: receivedAt,
        events: events.length,
        before,
        ...(quarantined.length > 0 && { quarantined }),
        ...(late > 0 && { late }),
        ...(skewed > 0 && { skewed }),
        ...(republish !== undefined && { republish }),
        ...(voids.length > 0 && { void: voids }),
        ...(this.#hash && { who: whoOf(events, this.#hash) }),
        ids: packIds(ids),
      },
      lines: events.map((event) => event.line),
    });
    return { number, events: events.length, voids, body };
  }
}

const whoOf = (events: readonly KeptEvent[], hash: SubjectHasher): PackedPrefixes =>
  packPrefixes(events.flatMap(({ names }) => names.map((subject) => prefixOf(hash(subject)))));

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

/** Which messages go in one call: as many of a shard as a call may carry. */
function planCalls(shards: Iterable<[number, readonly KeptEvent[]]>): Part[][] {
  const calls: Part[][] = [];
  for (const [shard, events] of shards) {
    let call: Part[] = [];
    let bytes = 0;
    for (const part of split(shard, events)) {
      const isFull =
        bytes + part.bytes > PLATFORM.queueSendBatchBytes || call.length === PLATFORM.queueSendBatchMessages;
      if (call.length === 0 || isFull) {
        call = [];
        bytes = 0;
        calls.push(call);
      }
      call.push(part);
      bytes += part.bytes;
    }
  }
  return calls;
}

/** Cuts a shard's events, in order, where a message is full. A line alone always fits: its parts are bounded. */
function* split(shard: number, events: readonly KeptEvent[]): Generator<Part> {
  let part: KeptEvent[] = [];
  let bytes = HEADER_BYTES;
  for (const event of events) {
    const headerBytes = HEADER_BYTES_PER_EVENT + event.names.length * HEADER_BYTES_PER_NAME;
    const eventBytes = Buffer.byteLength(event.line) + 1 + headerBytes;
    if (part.length > 0 && bytes + eventBytes > INGEST.messageBytes) {
      yield { shard, events: part, bytes };
      part = [];
      bytes = HEADER_BYTES;
    }
    part.push(event);
    bytes += eventBytes;
  }
  if (part.length > 0) yield { shard, events: part, bytes };
}
