/** Clients listen. `ping` is answered by the runtime; anything else wakes the hub for nothing, so it is bounded. */
import { LIVE } from "../../r2-layout/limits.ts";

/** Kept with the socket through hibernation. */
export interface SocketAttachment {
  /** Milliseconds. */
  readonly since: number;
  /** Messages that were ignored. */
  readonly messages: number;
}

export type Verdict =
  | { readonly kind: "ignore"; readonly attachment: SocketAttachment }
  /** With a code of RFC 6455, section 7.4.1. */
  | { readonly kind: "close"; readonly code: 1003 | 1008 | 1009; readonly reason: string };

export function clientMessageVerdict(message: string | ArrayBuffer, attachment: SocketAttachment | null): Verdict {
  if (typeof message !== "string") return { kind: "close", code: 1003, reason: "text only" };
  if (message.length > LIVE.clientMessageBytes) return { kind: "close", code: 1009, reason: "message too long" };
  const messages = (attachment?.messages ?? 0) + 1;
  if (messages > LIVE.clientMessages) return { kind: "close", code: 1008, reason: "too many messages" };
  return { kind: "ignore", attachment: { since: attachment?.since ?? 0, messages } };
}
