/**
 * What of a batch goes into the log: the whole decision of the fan-out stage, without a store. A message that the log
 * owns was delivered before and counts for nothing; of the others each line is kept unless its id is owned, or stands in
 * an earlier line of the batch: then it is a duplicate.
 */

import type { CommittedMessage } from "../../durable-objects/event-log/api.ts";
import { IdSet } from "../../durable-objects/event-log/id-set.ts";
import { ID_BYTES, toWords } from "../../durable-objects/event-log/packed-ids.ts";
import { messageIds } from "../../r2-layout/event-message.ts";
import { type PackedPrefixes, packPrefixes, unpackPrefixes } from "../../r2-layout/subjects.ts";
import type { RoutedMessage } from "./route.ts";
import { messageIdHash } from "./route.ts";

/** Messages of one shard, in the order of delivery, with the ids of all their lines and their own. */
export interface Group {
  readonly shard: number;
  readonly messages: readonly RoutedMessage[];
  /** Packed, line after line. */
  readonly ids: Uint8Array;
  /** Packed, message after message. */
  readonly messageIds: Uint8Array;
  /** Further ids that say of a message that it is owned: places in `messages`, and the packed ids. */
  readonly aliases: { readonly places: readonly number[]; readonly ids: Uint8Array };
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
  readonly republished: number;
  /** Microseconds; 0 where there is no line. */
  readonly minReceivedAt: number;
  readonly maxReceivedAt: number;
  readonly messages: readonly CommittedMessage[];
  readonly redelivered: number;
  /** `PackedPrefixes` of whom the lines may name; null where one of their messages does not say. */
  readonly subjects: PackedPrefixes | null;
  /** For each id and message above, its place in the group: an answer "owned" is told in places of the plan. */
  readonly idPlaces: readonly number[];
  readonly messagePlaces: readonly number[];
}

/**
 * Cuts a batch into groups of one shard and at most `eventsMax` events, one message at least. What was sent again under a
 * label is apart from what it replaces: an event's place is its segment and its id, so of two copies in one segment a
 * rule could not name the one that goes.
 */
export function groupMessages(messages: readonly RoutedMessage[], eventsMax: number): Group[] {
  const parts: RoutedMessage[][] = [];
  const open = new Map<string, { part: RoutedMessage[]; events: number }>();
  for (const message of messages) {
    const { shard, events, republish = "" } = message.header;
    const name = `${shard}/${republish}`;
    let current = open.get(name);
    if (!current || current.events + events > eventsMax) {
      current = { part: [], events: 0 };
      parts.push(current.part);
      open.set(name, current);
    }
    current.part.push(message);
    current.events += events;
  }
  return parts.map(groupOf);
}

/** @param messages of one shard, one at least. */
export function groupOf(messages: readonly RoutedMessage[]): Group {
  const ids = new Uint8Array(messages.reduce((sum, { header }) => sum + header.events, 0) * ID_BYTES);
  const ownIds = new Uint8Array(messages.length * ID_BYTES);
  let at = 0;
  messages.forEach(({ header, part }, i) => {
    ids.set(messageIds(header), at);
    at += header.events * ID_BYTES;
    ownIds.set(part?.id ?? messageIdHash(header), i * ID_BYTES);
  });
  return { shard: messages[0]!.header.shard, messages, ids, messageIds: ownIds, aliases: aliasesOf(messages) };
}

function aliasesOf(messages: readonly RoutedMessage[]): Group["aliases"] {
  const places = messages.flatMap(({ part }, i) =>
    part ? new Array<number>(part.aliases.byteLength / ID_BYTES).fill(i) : [],
  );
  const ids = new Uint8Array(places.length * ID_BYTES);
  let at = 0;
  for (const { part } of messages) {
    if (!part) continue;
    ids.set(part.aliases, at);
    at += part.aliases.byteLength;
  }
  return { places, ids };
}

/** What `filter` is asked about messages, and its answer folded: an alias that is owned says it of its message. */
export function askedMessageIds({ messageIds: own, aliases }: Group): Uint8Array {
  if (aliases.places.length === 0) return own;
  const all = new Uint8Array(own.byteLength + aliases.ids.byteLength);
  all.set(own);
  all.set(aliases.ids, own.byteLength);
  return all;
}

export function foldAliases({ messages, aliases }: Group, owned: Owned): Owned {
  if (aliases.places.length === 0) return owned;
  const folded = owned.messages.slice(0, messages.length);
  aliases.places.forEach((place, i) => {
    folded[place]! |= owned.messages[messages.length + i]!;
  });
  return { ids: owned.ids, messages: folded };
}

type BarredLines = (message: RoutedMessage) => ReadonlySet<number> | undefined;

const NOBODY: BarredLines = () => undefined;

/**
 * Pure. Applying it twice with more known as owned leaves out more, never something else.
 * @param barredOf lines about somebody whom a rule keeps out: they are counted, own no id, and stand nowhere.
 */
export function planCommit(group: Group, owned: Owned, barredOf: BarredLines = NOBODY): CommitPlan {
  const words = toWords(group.ids);
  const messageWords = toWords(group.messageIds);
  const seen = new IdSet();
  const seenMessages = new IdSet(128);
  const lines: string[] = [];
  const idPlaces: number[] = [];
  const messagePlaces: number[] = [];
  const messages: CommittedMessage[] = [];
  let quarantined = 0;
  let republished = 0;
  let minReceivedAt = Number.POSITIVE_INFINITY;
  let maxReceivedAt = 0;
  let redelivered = 0;
  let place = 0;
  const named: (PackedPrefixes | undefined)[] = [];
  group.messages.forEach((message, i) => {
    const { header, lines: given, movedOut = 0, part } = message;
    const first = place;
    place += header.events;
    // Seen before asked whether owned: the log names one place of an id that stands in several.
    if (!seenMessages.add(messageWords, i) || owned.messages[i] === 1) {
      if (!part) redelivered++; // A part's message is counted where it is at home.
      return;
    }
    const before = lines.length;
    const marked = header.quarantined && new Set(header.quarantined);
    const barred = barredOf(message);
    for (let line = 0; line < header.events; line++) {
      if (barred?.has(line)) continue;
      if (!seen.add(words, first + line) || owned.ids[first + line] === 1) continue;
      lines.push(given[line]!);
      idPlaces.push(first + line);
      if (marked?.has(line)) quarantined++;
    }
    const kept = lines.length - before;
    if (kept > 0) {
      minReceivedAt = Math.min(minReceivedAt, header.received_at);
      maxReceivedAt = Math.max(maxReceivedAt, header.received_at);
      named.push(header.who);
    }
    if (header.republish !== undefined) republished += kept;
    messagePlaces.push(i);
    messages.push({
      id: group.messageIds.slice(i * ID_BYTES, (i + 1) * ID_BYTES),
      edge: header.edge,
      n: header.n,
      source: header.source,
      events: header.events + movedOut,
      before: header.before,
      void: header.void ?? [],
      duplicates: header.events - kept - (barred?.size ?? 0),
      ...(barred && { suppressed: barred.size }),
      ...(header.late && { late: header.late }),
      ...(header.skewed && { clockSkewed: header.skewed }),
      ...(movedOut > 0 && { movedOut }),
      ...(part && { movedIn: part.aliases }),
    });
  });
  return {
    lines,
    ids: idPlaces.length * ID_BYTES === group.ids.byteLength ? group.ids : pick(group.ids, idPlaces),
    quarantined,
    republished,
    minReceivedAt: lines.length > 0 ? minReceivedAt : 0,
    maxReceivedAt,
    messages,
    redelivered,
    subjects: allPrefixes(named),
    idPlaces,
    messagePlaces,
  };
}

function allPrefixes(named: readonly (PackedPrefixes | undefined)[]): PackedPrefixes | null {
  const known = named.filter((who) => who !== undefined);
  if (known.length < named.length) return null;
  return known.length === 1 ? known[0]! : packPrefixes(known.flatMap(unpackPrefixes));
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
