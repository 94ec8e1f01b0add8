/**
 * Which log a message's lines belong to, once a shard was split. An edge that grouped by an older number of shards puts
 * lines of both halves into one message for the old shard, its home. The lines of other shards become parts: messages of
 * their own, without edge arithmetic, which stays the home's. Children are committed first, the home last, with the number
 * of lines that have gone; so what a home owns is whole:
 *
 *     crash between the child's and the home's commit    the message comes again: the child owns the part, nothing is left
 *                                                        of it; the home is told how many have moved, once
 *     another split in between                           the lines are divided anew, into other parts: each names the ids
 *                                                        of the parts it may have been in before, and of the message
 *     the home took the whole message before its split   it owns the message's id, and the child asks for that one too
 *     a part is divided otherwise (SPREAD_IDENTITIES     its id is made of its lines' ids, so it is not taken for the old
 *     was changed)                                       one: its lines are looked at one by one, none is lost
 *
 * Reading a line costs its JSON's parse; only messages from before a split are read.
 */
import type { ShardedEvent } from "../../r2-layout/event-id.ts";
import { idHash, shardHash } from "../../r2-layout/event-id.ts";
import type { EventMessage, MessageHeader } from "../../r2-layout/event-message.ts";
import { ID_BYTES, messageIds, packIds } from "../../r2-layout/event-message.ts";
import { readLogLine } from "../../r2-layout/log-line.ts";
import type { ShardHistory } from "../../r2-layout/shards.ts";
import { countOf, epochOf } from "../../r2-layout/shards.ts";

/** A message, or what of it belongs to one shard. */
export interface RoutedMessage extends EventMessage {
  /** Of a home: lines that went to other shards. The header counts those that stay. */
  readonly movedOut?: number;
  /** Of a part: its own id, and ids any of which says that these lines are accounted for. */
  readonly part?: { readonly id: Uint8Array; readonly aliases: Uint8Array };
}

/** A message's identity in the dedup window. An edge numbers its messages for each shard. */
export const messageIdHash = ({ edge, shard, n }: { edge: string; shard: number; n: number }): Uint8Array =>
  idHash("message", edge, `${shard}/${n}`);

/**
 * The home's messages in their order, and those of other shards by shard. Pure.
 * @param messages of one home, none from a later epoch than the last of `shards`.
 */
export function routeMessages(
  messages: readonly EventMessage[],
  shards: ShardHistory,
  spread: ReadonlySet<string>,
): { home: readonly RoutedMessage[]; parts: ReadonlyMap<number, readonly RoutedMessage[]> } {
  const parts = new Map<number, RoutedMessage[]>();
  if (messages.every(({ header }) => header.epoch === epochOf(shards))) return { home: messages, parts };
  const home = messages.map((message): RoutedMessage => {
    if (message.header.epoch === epochOf(shards)) return message;
    const lines = divide(message, shards, spread);
    const { shard } = message.header;
    const here = lines.flatMap((hash, line) => (hash % countOf(shards) === shard ? line : []));
    if (here.length === lines.length) return message;
    for (const [target, places] of Map.groupBy(lines.keys(), (line) => lines[line]! % countOf(shards))) {
      if (target === shard) continue;
      const part = partOf(message, lines, places, target, shards);
      const known = parts.get(target);
      if (known) known.push(part);
      else parts.set(target, [part]);
    }
    return { ...only(message, here), movedOut: lines.length - here.length };
  });
  return { home, parts };
}

/** Each line's hash. A line that cannot be read, or was not sent here by its hash, stays: it is given the home's number. */
function divide({ header, lines }: EventMessage, shards: ShardHistory, spread: ReadonlySet<string>): number[] {
  const before = shards[header.epoch]!;
  return lines.map((line) => {
    const event = eventOf(line);
    const hash = event ? shardHash(event, spread) : header.shard;
    return hash % before === header.shard ? hash : header.shard;
  });
}

function eventOf(line: string): ShardedEvent | null {
  try {
    return readLogLine(line).row;
  } catch {
    return null;
  }
}

function partOf(
  message: EventMessage,
  hashes: readonly number[],
  places: readonly number[],
  target: number,
  shards: ShardHistory,
): RoutedMessage {
  const { header } = message;
  const ids = messageIds(header);
  const idUnder = (count: number): Uint8Array => {
    const shard = target % count;
    if (shard === header.shard) return messageIdHash(header);
    const inPart = hashes.flatMap((hash, line) =>
      hash % count === shard ? ids.subarray(line * ID_BYTES, (line + 1) * ID_BYTES) : [],
    );
    return idHash("message", header.edge, `${header.shard}/${header.n}>${shard}/${count}\n${packIds(inPart)}`);
  };
  const earlier = shards.slice(header.epoch, -1).map(idUnder);
  const aliases = new Uint8Array(earlier.length * ID_BYTES);
  earlier.forEach((id, i) => {
    aliases.set(id, i * ID_BYTES);
  });
  const { late: _late, skewed: _skewed, void: _void, ...rest } = header; // Counted where the message is at home.
  return {
    ...only({ ...message, header: { ...rest, shard: target } }, places),
    part: { id: idUnder(countOf(shards)), aliases },
  };
}

/** The message with these of its lines. */
function only({ header, lines }: EventMessage, places: readonly number[]): EventMessage {
  const ids = messageIds(header);
  const marked = new Set(header.quarantined);
  const { quarantined: _, ...rest } = header;
  const quarantined = places.flatMap((place, i) => (marked.has(place) ? i : []));
  const some: MessageHeader = {
    ...rest,
    events: places.length,
    ...(quarantined.length > 0 && { quarantined }),
    ids: packIds(places.map((place) => ids.subarray(place * ID_BYTES, (place + 1) * ID_BYTES))),
  };
  return { header: some, lines: places.map((place) => lines[place]!) };
}
