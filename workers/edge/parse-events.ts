/**
 * A request's body -> what becomes of each event in it, and the lines for the log. Pure: no bindings, no clock. It
 * takes any bytes: what cannot be read into columns is quarantined, what cannot be kept is dropped with its cause, and
 * only what cannot be told apart into events is refused as a whole.
 */
import type { DerivedEvent } from "../../r2-layout/event-columns.ts";
import { INGEST } from "../../r2-layout/limits.ts";
import { DERIVATION_VERSION, joinLogLine, type QuarantineMark } from "../../r2-layout/log-line.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import { isLongerThan } from "../../r2-layout/utf8.ts";
import type { Rejection } from "../problem.ts";
import { deriveEvent } from "./derive/derive-event.ts";
import { readTime } from "./derive/event-times.ts";
import { isDeeperThan, isObject, type JsonObject } from "./derive/json.ts";
import { carriesTime, givenId, type Mint, minting } from "./event-ids.ts";
import { holdsMoreValues } from "./json-bounds.ts";
import { type EventList, readEvents } from "./read-events.ts";
import type { RequestFacts } from "./request-facts.ts";

/** Why an event cannot be kept. Short and stable. */
export type DropCause = "not_json" | "not_an_object" | "event_too_large" | "event_too_deep" | "id_too_long";

/** An event that can be kept: `ok` as its columns say, or with a `quarantine` mark where it does not fit them. */
export interface KeptEvent {
  readonly index: number;
  readonly event_id: string;
  readonly shard: number;
  readonly quarantine: QuarantineMark | undefined;
  /** As its row has them; none when absent. */
  readonly flags?: DerivedEvent["flags"];
  /** Its line of the log, without a line end. */
  readonly line: string;
}

export interface DroppedEvent {
  readonly index: number;
  readonly event_id: string | null;
  readonly cause: DropCause;
}

export interface ParsedRequest {
  readonly count: number;
  readonly kept: readonly KeptEvent[];
  readonly dropped: readonly DroppedEvent[];
}

/** A body that was read as far as its events: the write key may stand in its envelope. */
export interface ReadBody {
  readonly bytes: Uint8Array;
  readonly list: EventList;
}

const decoder = new TextDecoder();

/** @param bytes inflated. Bytes that are no UTF-8 become U+FFFD. */
export function readBody(bytes: Uint8Array, call: RequestFacts["call"]): Result<ReadBody, Rejection> {
  if (bytes.length === 0) return err({ reason: "empty_body" });
  if (holdsMoreValues(bytes, INGEST.jsonValues)) {
    return err({ reason: "json_too_complex", limit: `${INGEST.jsonValues} values` });
  }
  const list = readEvents(decoder.decode(bytes), call);
  if (!list.ok) return list;
  const refusal = refusedContext(list.value, bytes.length);
  return refusal ? err(refusal) : ok({ bytes, list: list.value });
}

/** A shared context is written down with every event: together they may take no more than if each had brought its own. */
function refusedContext({ items, envelope }: EventList, bodyBytes: number): Rejection | null {
  const { context } = envelope;
  if (!isObject(context) || items[0] === envelope) return null;
  if (isDeeperThan(context, INGEST.jsonDepth)) {
    return { reason: "json_too_complex", limit: `nesting of ${INGEST.jsonDepth}` };
  }
  const bytes = bodyBytes + items.length * Buffer.byteLength(JSON.stringify(context));
  return bytes > INGEST.inflatedBytes ? { reason: "body_too_large", limit_bytes: INGEST.inflatedBytes } : null;
}

/** What of a row decides its shard. */
export type HomeOf = (row: Pick<DerivedEvent, "source" | "anonymous_id" | "user_id" | "event_id">) => number;

/** @param random 32 hexadecimal digits, new with each call. */
export function parseEvents(body: ReadBody, facts: RequestFacts, homeOf: HomeOf, random: () => string): ParsedRequest {
  const { items, envelope } = body.list;
  const hasTime = () => carriesTime(envelope) || items.some((item) => isObject(item) && carriesTime(item));
  const request: ReadRequest = {
    facts,
    homeOf,
    envelope,
    sentAt: readTime(envelope.sentAt ?? envelope.sent_at) ?? undefined,
    mint: minting(facts, body.bytes, hasTime, random),
  };
  const kept: KeptEvent[] = [];
  const dropped: DroppedEvent[] = [];
  items.forEach((item, index) => {
    const result = parseEvent(item, index, request);
    if ("line" in result) kept.push(result);
    else dropped.push(result);
  });
  return { count: items.length, kept, dropped };
}

/** What the events of one request share. */
interface ReadRequest {
  readonly facts: RequestFacts;
  readonly homeOf: HomeOf;
  readonly envelope: JsonObject;
  /** Of the envelope, microseconds. */
  readonly sentAt: number | undefined;
  readonly mint: Mint;
}

function parseEvent(item: unknown, index: number, request: ReadRequest): KeptEvent | DroppedEvent {
  const { facts, homeOf, envelope, sentAt, mint } = request;
  if (item === undefined) return { index, event_id: null, cause: "not_json" };
  if (!isObject(item)) return { index, event_id: null, cause: "not_an_object" };
  const given = givenId(item, facts.call === "events");
  if (given === null) return { index, event_id: null, cause: "id_too_long" };
  const event_id = given ?? mint(index);
  const raw = withSharedContext(item, envelope);
  // Before anything that recurses without a bound, as JSON.stringify does.
  if (isDeeperThan(raw, INGEST.jsonDepth)) return { index, event_id, cause: "event_too_deep" };
  const { row, quarantine } = deriveEvent(raw, event_id, sentAt, facts);
  hidePrivate(raw);
  const rawText = JSON.stringify(raw);
  if (isLongerThan(rawText, INGEST.eventBytes)) return { index, event_id, cause: "event_too_large" };
  const line = joinLogLine(row, DERIVATION_VERSION, quarantine, rawText);
  return { index, event_id, shard: homeOf(row), quarantine, line, ...(row.flags && { flags: row.flags }) };
}

/** A batch may carry a context for all its calls; a call's own members stand above it. */
function withSharedContext(item: JsonObject, envelope: JsonObject): JsonObject {
  if (item === envelope || !isObject(envelope.context)) return item;
  if (item.context !== undefined && !isObject(item.context)) return item;
  return { ...item, context: { ...envelope.context, ...item.context } };
}

const PRIVATE = ["ip", "userAgent", "user_agent", "writeKey", "write_key"] as const;
const PRIVATE_IN_CONTEXT = ["ip", "userAgent", "userAgentData"] as const;

/**
 * Addresses, user agents and write keys are not kept: what is derived from them is in the row. The event was parsed for
 * this request and is written down next, so it is changed in place: undefined members are left out of JSON.
 */
function hidePrivate(raw: Record<string, unknown>): void {
  for (const key of PRIVATE) if (raw[key] !== undefined) raw[key] = undefined;
  if (!isObject(raw.context)) return;
  const context = raw.context as Record<string, unknown>;
  for (const key of PRIVATE_IN_CONTEXT) if (context[key] !== undefined) context[key] = undefined;
}
