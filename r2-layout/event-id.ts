/**
 * Identity of an event in the dedup window: 16 bytes of SHA-256 over its space, source and id. A quarantined event
 * owns its id in a space of its own, and a queue message owns one too, so that a redelivery is told from a duplicate.
 */
import { createHash } from "node:crypto";

export type IdSpace = "event" | "quarantine" | "message";

/**
 * @param owner the source of an event, the edge instance of a message.
 * @param label of a republish: the same event under another label is another id, so that it is stored and can take the
 * place of the first. Labels have no line feed, and no space has a plus: no two kinds of id are the same text.
 * @returns 16 bytes.
 */
export function idHash(space: IdSpace, owner: string, id: string, label?: string): Uint8Array {
  const inSpace = label === undefined ? space : `${space}+${label}`;
  const digest = createHash("sha256").update(`${inSpace}\n${owner}\n${id}`).digest();
  return new Uint8Array(digest.buffer, digest.byteOffset, 16);
}

const NOBODY: ReadonlySet<string> = new Set();

/** @throws RangeError where SPREAD_IDENTITIES is no JSON list of texts. */
export function parseSpreadIdentities(text = "[]"): ReadonlySet<string> {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list) || !list.every((id) => typeof id === "string")) {
    throw new RangeError("SPREAD_IDENTITIES is no list of texts");
  }
  return new Set(list);
}

/** What of an event decides its shard. */
export interface ShardedEvent {
  readonly source: string;
  readonly anonymous_id?: string | null;
  readonly user_id?: string | null;
  readonly event_id: string;
}

/**
 * The home of an event: hash(source, anonymous_id ?? user_id ?? event_id) modulo the number of shards, so that
 * doubling the number sends half of shard k to k + N and moves nothing else.
 *
 * @param spread identities too hot for one shard: theirs go by event id. A repeat of an event has its id, so it still
 * meets the first one in the same dedup window.
 */
export const shardOf = (event: ShardedEvent, shards: number, spread: ReadonlySet<string> = NOBODY): number =>
  shards === 1 ? 0 : shardHash(event, spread) % shards;

/** The hash alone: 32 bits of FNV-1a, then a final mix. */
export function shardHash(event: ShardedEvent, spread: ReadonlySet<string> = NOBODY): number {
  const owner = event.anonymous_id ?? event.user_id;
  const identity = owner === null || owner === undefined || spread.has(owner) ? event.event_id : owner;
  let hash = 0x811c9dc5;
  for (const text of [event.source, "\n", identity]) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
