/**
 * What of a batch goes into the log: the whole decision of the fan-out stage, without a store. A message that the log
 * owns was delivered before and counts for nothing; of the others each line is kept unless its id is owned, or stands in
 * an earlier line of the batch: then it is a duplicate.
 */

import type { CommittedMessage } from "../../durable-objects/event-log/api.ts";
import { IdSet } from "../../durable-objects/event-log/id-set.ts";
import { ID_BYTES, toWords } from "../../durable-objects/event-log/packed-ids.ts";
import { idHash } from "../../r2-layout/event-id.ts";
import type { EventMessage } from "../../r2-layout/event-message.ts";
import { messageIds } from "../../r2-layout/event-message.ts";

/** Messages of one shard, in the order of delivery, with the ids of all their lines and their own. */
export interface Group {
  readonly shard: number;
  readonly messages: readonly EventMessage[];
  /** Packed, line after line. */
  readonly ids: Uint8Array;
  /** Packed, message after message. */
  readonly messageIds: Uint8Array;
}

/** What is known to be owned already: one byte for each id of the group. */
export interface Owned {
  readonly ids: Uint8Array;
  readonly messages: Uint8Array;
}

export interface CommitPlan {
  /** Lines to write, and their ids. */
  readonly lines: readonly string[];
  readonly ids: Uint8Array;
  readonly quarantined: number;
  /** Microseconds; 0 where there is no line. */
  readonly minReceivedAt: number;
  readonly maxReceivedAt: number;
  readonly messages: readonly CommittedMessage[];
  readonly redelivered: number;
  /** For each id and message above, its place in the group: an answer "owned" is told in places of the plan. */
  readonly idPlaces: readonly number[];
  readonly messagePlaces: readonly number[];
}

/** A message's identity in the dedup window. An edge numbers its messages for each shard. */
export const messageIdHash = ({ edge, shard, n }: { edge: string; shard: number; n: number }): Uint8Array =>
  idHash("message", edge, `${shard}/${n}`);

/** Cuts a batch into groups of one shard and at most `eventsMax` events, one message at least. */
export function groupMessages(messages: readonly EventMessage[], eventsMax: number): Group[] {
  const parts: EventMessage[][] = [];
  const open = new Map<number, { part: EventMessage[]; events: number }>();
  for (const message of messages) {
    const { shard, events } = message.header;
    let current = open.get(shard);
    if (!current || current.events + events > eventsMax) {
      current = { part: [], events: 0 };
      parts.push(current.part);
      open.set(shard, current);
    }
    current.part.push(message);
    current.events += events;
  }
  return parts.map(groupOf);
}

function groupOf(messages: readonly EventMessage[]): Group {
  const ids = new Uint8Array(messages.reduce((sum, { header }) => sum + header.events, 0) * ID_BYTES);
  const ownIds = new Uint8Array(messages.length * ID_BYTES);
  let at = 0;
  messages.forEach(({ header }, i) => {
    ids.set(messageIds(header), at);
    at += header.events * ID_BYTES;
    ownIds.set(messageIdHash(header), i * ID_BYTES);
  });
  return { shard: messages[0]!.header.shard, messages, ids, messageIds: ownIds };
}

/** Pure. Applying it twice with more known as owned leaves out more, never something else. */
export function planCommit(group: Group, owned: Owned): CommitPlan {
  const words = toWords(group.ids);
  const messageWords = toWords(group.messageIds);
  const seen = new IdSet();
  const seenMessages = new IdSet(128);
  const lines: string[] = [];
  const idPlaces: number[] = [];
  const messagePlaces: number[] = [];
  const messages: CommittedMessage[] = [];
  let quarantined = 0;
  let minReceivedAt = Number.POSITIVE_INFINITY;
  let maxReceivedAt = 0;
  let redelivered = 0;
  let place = 0;
  group.messages.forEach(({ header, lines: given }, i) => {
    const first = place;
    place += header.events;
    // Seen before asked whether owned: the log names one place of an id that stands in several.
    if (!seenMessages.add(messageWords, i) || owned.messages[i] === 1) {
      redelivered++;
      return;
    }
    const before = lines.length;
    const marked = header.quarantined && new Set(header.quarantined);
    for (let line = 0; line < header.events; line++) {
      if (!seen.add(words, first + line) || owned.ids[first + line] === 1) continue;
      lines.push(given[line]!);
      idPlaces.push(first + line);
      if (marked?.has(line)) quarantined++;
    }
    const kept = lines.length - before;
    if (kept > 0) {
      minReceivedAt = Math.min(minReceivedAt, header.received_at);
      maxReceivedAt = Math.max(maxReceivedAt, header.received_at);
    }
    messagePlaces.push(i);
    messages.push({
      id: group.messageIds.slice(i * ID_BYTES, (i + 1) * ID_BYTES),
      edge: header.edge,
      n: header.n,
      source: header.source,
      events: header.events,
      before: header.before,
      void: header.void ?? [],
      duplicates: header.events - kept,
    });
  });
  return {
    lines,
    ids: idPlaces.length * ID_BYTES === group.ids.byteLength ? group.ids : pick(group.ids, idPlaces),
    quarantined,
    minReceivedAt: lines.length > 0 ? minReceivedAt : 0,
    maxReceivedAt,
    messages,
    redelivered,
    idPlaces,
    messagePlaces,
  };
}

/** What is owned after the log's answer "owned" to a plan. */
export function withOwned(
  owned: Owned,
  plan: CommitPlan,
  answer: { ids: readonly number[]; messages: readonly number[] },
): Owned {
  const ids = owned.ids.slice();
  const messages = owned.messages.slice();
  for (const i of answer.ids) ids[plan.idPlaces[i]!] = 1;
  for (const i of answer.messages) messages[plan.messagePlaces[i]!] = 1;
  return { ids, messages };
}

function pick(ids: Uint8Array, places: readonly number[]): Uint8Array {
  const picked = new Uint8Array(places.length * ID_BYTES);
  places.forEach((place, i) => {
    picked.set(ids.subarray(place * ID_BYTES, (place + 1) * ID_BYTES), i * ID_BYTES);
  });
  return picked;
}
