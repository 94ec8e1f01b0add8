/**
 * What clients may say: which topics they want from now on, and how far they have read. `ping` is answered by the runtime;
 * anything else wakes the hub for nothing, so it is bounded.
 */
import { LIVE } from "../../r2-layout/limits.ts";
import { parseTopics, type Topic } from "./topics.ts";

export type ClientMessage =
  /** Instead of those that it had. */
  | { readonly kind: "subscribe"; readonly topics: readonly Topic[] }
  /** All frames up to this number have arrived. */
  | { readonly kind: "ack"; readonly seq: number }
  | { readonly kind: "other" }
  /** With a code of RFC 6455, section 7.4.1. */
  | { readonly kind: "close"; readonly code: 1003 | 1008 | 1009; readonly reason: string };

export function parseClientMessage(message: string | ArrayBuffer): ClientMessage {
  if (typeof message !== "string") return { kind: "close", code: 1003, reason: "text only" };
  if (message.length > LIVE.clientMessageBytes) return { kind: "close", code: 1009, reason: "message too long" };
  const said = parseObject(message);
  if (said?.type === "ack" && Number.isSafeInteger(said.seq)) return { kind: "ack", seq: said.seq as number };
  if (said?.type !== "subscribe") return { kind: "other" };
  const topics = parseTopics(said.topics);
  return topics ? { kind: "subscribe", topics } : { kind: "close", code: 1008, reason: "no such topics" };
}

function parseObject(text: string): { type?: unknown; seq?: unknown; topics?: unknown } | null {
  if (!text.startsWith("{")) return null;
  try {
    return JSON.parse(text) as object;
  } catch {
    return null;
  }
}
