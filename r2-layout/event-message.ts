/**
 * A queue message: the events of one accepted request for one shard. Text: one line of JSON (the header), then one
 * log line per event. The fan-out stage copies the lines as they are; only after a split it reads whose they are.
 */
import type { Result } from "./result.ts";
import { err, ok } from "./result.ts";
import { epochOf, isShardHistory } from "./shards.ts";

export interface MessageHeader {
  readonly v: 1;
  /** The edge instance that sent it, and the message's running number there for this shard, from 1. */
  readonly edge: string;
  readonly n: number;
  readonly shard: number;
  readonly epoch: number;
  /** The numbers of shards up to this epoch (shards.ts); absent in epoch 0. */
  readonly shards?: readonly number[];
  readonly source: string;
  /** Microseconds, the edge's clock. */
  readonly received_at: number;
  /** Events in this message, and events this instance had accepted for this shard before it: a lost message shows. */
  readonly events: number;
  readonly before: number;
  /** Indexes of lines that are quarantined. */
  readonly quarantined?: readonly number[];
  /** Events in this message that came long after they happened, and from a clock that cannot be right; absent: none. */
  readonly late?: number;
  readonly skewed?: number;
  /** The label under which all of these events were sent again to replace earlier ones. */
  readonly republish?: string;
  /** Numbers of earlier messages whose send failed, with their event counts: they are not owed. */
  readonly void?: readonly (readonly [n: number, events: number])[];
  /**
   * Whom its events may name (subjects.ts): `PackedPrefixes` of their users, devices and addresses. Quarantined lines are not
   * in it. Absent: nobody has looked.
   */
  readonly who?: string;
  /** 16 bytes an event, in line order, base64: see `eventIdHash`. */
  readonly ids: string;
}

export interface EventMessage {
  readonly header: MessageHeader;
  /** Log lines, without line ends. */
  readonly lines: readonly string[];
}

export const ID_BYTES = 16;

export function encodeMessage(message: EventMessage): string {
  return `${JSON.stringify(message.header)}\n${message.lines.join("\n")}`;
}

export type MalformedMessage = { readonly reason: "malformed_message"; readonly detail: string };

/** Reads a message of unknown origin. The number of lines and of ids must agree with the header. */
export function parseMessage(body: unknown): Result<EventMessage, MalformedMessage> {
  const malformed = (detail: string) => err({ reason: "malformed_message" as const, detail });
  if (typeof body !== "string") return malformed("body is not text");
  const [first, ...lines] = body.split("\n");
  let header: MessageHeader;
  try {
    header = JSON.parse(first ?? "");
  } catch {
    return malformed("header is not JSON");
  }
  if (header === null || typeof header !== "object" || header.v !== 1) return malformed("unknown version");
  if (typeof header.edge !== "string" || typeof header.source !== "string") return malformed("edge or source missing");
  for (const key of ["n", "shard", "epoch", "received_at", "events", "before"] as const) {
    if (!Number.isSafeInteger(header[key]) || header[key] < 0) return malformed(`${key} is not a count`);
  }
  if (header.shards !== undefined && !(isShardHistory(header.shards) && epochOf(header.shards) === header.epoch)) {
    return malformed("shards do not match epoch");
  }
  for (const key of ["late", "skewed"] as const) {
    const value = header[key];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0)) return malformed(`${key} is not a count`);
  }
  if (header.who !== undefined && !(typeof header.who === "string" && BASE64.test(header.who))) {
    return malformed("who is not base64");
  }
  if (lines.length !== header.events) return malformed(`${lines.length} lines for ${header.events} events`);
  if (
    typeof header.ids !== "string" ||
    base64Bytes(header.ids) !== header.events * ID_BYTES ||
    !BASE64.test(header.ids)
  ) {
    return malformed("ids do not match events");
  }
  return ok({ header, lines });
}

/** The packed ids of a message. */
export function messageIds(header: MessageHeader): Uint8Array {
  const binary = atob(header.ids);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

export function packIds(ids: readonly Uint8Array[]): string {
  let binary = "";
  for (const id of ids) for (const byte of id) binary += String.fromCharCode(byte);
  return btoa(binary);
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function base64Bytes(text: string): number {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  return (text.length / 4) * 3 - padding;
}
