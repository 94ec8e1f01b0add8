/**
 * Identity of an event in the dedup window: 16 bytes of SHA-256 over its space, source and id. A quarantined event
 * owns its id in a space of its own, and a queue message owns one too, so that a redelivery is told from a duplicate.
 */
import { createHash } from "node:crypto";

export type IdSpace = "event" | "quarantine" | "message";

/** @returns 16 bytes. `owner` is the source of an event, the edge instance of a message. */
export function idHash(space: IdSpace, owner: string, id: string): Uint8Array {
  const digest = createHash("sha256").update(`${space}\n${owner}\n${id}`).digest();
  return new Uint8Array(digest.buffer, digest.byteOffset, 16);
}

const NOBODY: ReadonlySet<string> = new Set();

/**
 * The home of an event: hash(source, anonymous_id ?? user_id ?? event_id) modulo the number of shards, so that
 * doubling the number sends half of shard k to k + N and moves nothing else. FNV-1a, 32 bits, then a final mix.
 *
 * @param spread identities too hot for one shard: theirs go by event id. A repeat of an event has its id, so it still
 * meets the first one in the same dedup window.
 */
export function shardOf(
  event: { source: string; anonymous_id?: string | null; user_id?: string | null; event_id: string },
  shards: number,
  spread: ReadonlySet<string> = NOBODY,
): number {
  if (shards === 1) return 0;
  const owner = event.anonymous_id ?? event.user_id;
  const identity = owner === null || owner === undefined || spread.has(owner) ? event.event_id : owner;
  let hash = 0x811c9dc5;
  for (const text of [event.source, "\n", identity]) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % shards;
}
