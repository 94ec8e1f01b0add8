/**
 * A request's body -> what becomes of each event in it, and the lines for the log. Pure: no bindings, no clock. It
 * takes any bytes: what cannot be read into columns is quarantined, what cannot be kept is dropped with its cause, and
 * only what cannot be told apart into events is refused as a whole.
 */
import type { Secrets } from "../../r2-layout/contracts/pii-policy.ts";
import type { DerivedEvent } from "../../r2-layout/event-columns.ts";
import { INGEST } from "../../r2-layout/limits.ts";
import { DERIVATION_VERSION, joinLogLine, type QuarantineMark } from "../../r2-layout/log-line.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import { type Subject, subjectsOf } from "../../r2-layout/subjects.ts";
import { isLongerThan } from "../../r2-layout/utf8.ts";
import type { Rejection } from "../problem.ts";
import type { ContractChecks } from "./contracts/contract-checks.ts";
import { type Derivation, deriveEvent } from "./derive/derive-event.ts";
import { readTime } from "./derive/event-times.ts";
import { isDeeperThan, isObject, type JsonObject } from "./derive/json.ts";
import { carriesTime, givenId, type Mint, minting } from "./event-ids.ts";
import { holdsMoreValues } from "./json-bounds.ts";
import { type EventPrivacy, withoutValue } from "./privacy/event-privacy.ts";
import type { Needs } from "./privacy/privacy-keys.ts";
import { type EventList, readEvents } from "./read-events.ts";
import type { RequestFacts } from "./request-facts.ts";

/** Why an event cannot be kept. Short and stable. */
export type DropCause =
  | "not_json"
  | "not_an_object"
  | "event_too_large"
  | "event_too_deep"
  | "id_too_long"
  | "contract_violated";

/** An event that can be kept: `ok` as its columns say, or with a `quarantine` mark where it does not fit them. */
export interface KeptEvent {
  readonly index: number;
  readonly event_id: string;
  readonly shard: number;
  readonly quarantine: QuarantineMark | undefined;
  /** It is kept, and does not keep to its contract, which is only told yet. */
  readonly warning?: QuarantineMark;
  /** As its row has them; none when absent. */
  readonly flags?: DerivedEvent["flags"];
  /** Whom it names; of a quarantined one nobody has looked. */
  readonly names: readonly Subject[];
  /** Its line of the log, without a line end. */
  readonly line: string;
}

export interface DroppedEvent {
  readonly index: number;
  readonly event_id: string | null;
  readonly cause: DropCause;
  /** Of a contract. */
  readonly field?: string | undefined;
  readonly expected?: string | undefined;
}

/** An event with fields that may not be written down as they are, for which a secret has to be asked for first. */
export interface WaitingEvent {
  readonly index: number;
  readonly event_id: string;
  readonly needs: Needs;
  finish(secrets: Secrets): KeptEvent | DroppedEvent;
}

export interface ParsedRequest {
  readonly count: number;
  readonly kept: readonly KeptEvent[];
  readonly dropped: readonly DroppedEvent[];
  readonly waiting: readonly WaitingEvent[];
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
export function parseEvents(
  body: ReadBody,
  facts: RequestFacts,
  homeOf: HomeOf,
  random: () => string,
  checks: Checks = UNCHECKED,
  privacy?: EventPrivacy,
): ParsedRequest {
  const { items, envelope } = body.list;
  const hasTime = () => carriesTime(envelope) || items.some((item) => isObject(item) && carriesTime(item));
  const request: ReadRequest = {
    facts,
    homeOf,
    checks,
    privacy,
    envelope,
    sentAt: readTime(envelope.sentAt ?? envelope.sent_at) ?? undefined,
    mint: minting(facts, body.bytes, hasTime, random),
  };
  const kept: KeptEvent[] = [];
  const dropped: DroppedEvent[] = [];
  const waiting: WaitingEvent[] = [];
  items.forEach((item, index) => {
    const result = parseEvent(item, index, request);
    if ("line" in result) kept.push(result);
    else if ("finish" in result) waiting.push(result);
    else dropped.push(result);
  });
  return { count: items.length, kept, dropped, waiting };
}

/** @param secretsOf null where they cannot be had: the event goes on waiting. */
export function finishEvents(parsed: ParsedRequest, secretsOf: (needs: Needs) => Secrets | null): ParsedRequest {
  const kept = [...parsed.kept];
  const dropped = [...parsed.dropped];
  const waiting: WaitingEvent[] = [];
  for (const event of parsed.waiting) {
    const secrets = secretsOf(event.needs);
    const result = secrets ? event.finish(secrets) : event;
    if ("line" in result) kept.push(result);
    else if ("finish" in result) waiting.push(result);
    else dropped.push(result);
  }
  // As they were sent: a sink takes the lines of a message in their order.
  kept.sort((one, other) => one.index - other.index);
  return { count: parsed.count, kept, dropped, waiting };
}

type Checks = Pick<ContractChecks, "check" | "policy">;

/** What the events of one request share. */
interface ReadRequest {
  readonly facts: RequestFacts;
  readonly homeOf: HomeOf;
  readonly checks: Checks;
  readonly privacy: EventPrivacy | undefined;
  readonly envelope: JsonObject;
  /** Of the envelope, microseconds. */
  readonly sentAt: number | undefined;
  readonly mint: Mint;
}

function parseEvent(item: unknown, index: number, request: ReadRequest): KeptEvent | DroppedEvent | WaitingEvent {
  const { facts, envelope, sentAt, mint } = request;
  if (item === undefined) return { index, event_id: null, cause: "not_json" };
  if (!isObject(item)) return { index, event_id: null, cause: "not_an_object" };
  const given = givenId(item, facts.call === "events");
  if (given === null) return { index, event_id: null, cause: "id_too_long" };
  const event_id = given ?? mint(index);
  const raw = withSharedContext(item, envelope);
  // Before anything that recurses without a bound, as JSON.stringify does.
  if (isDeeperThan(raw, INGEST.jsonDepth)) return { index, event_id, cause: "event_too_deep" };
  const derived = deriveEvent(raw, event_id, sentAt, facts);
  const event = checked(derived, raw, request.checks);
  if (event.refusal) {
    const { field, expected } = event.refusal;
    return { index, event_id, cause: "contract_violated", field, expected };
  }
  const policy = request.checks.policy(facts.source, derived.row.event_name);
  if (!policy) return written(index, event_id, event, raw, request);
  const { privacy } = request;
  // Rather no events than plain ones.
  if (!privacy) throw new TypeError("an event has a PII policy, and nobody is there to ask for its secrets");
  const needs = privacy.needs(policy, derived.row);
  const finish = (secrets: Secrets) => {
    const treated = treatedEvent(event, policy.applied(raw, secrets), event_id, request);
    return written(index, event_id, treated.event, treated.raw, request);
  };
  const secrets = privacy.known(needs);
  return secrets ? finish(secrets) : { index, event_id, needs, finish };
}

/** The event once more from what its policy has left of it, so that no column has more; how it was judged stays. */
function treatedEvent(
  event: CheckedEvent,
  raw: Record<string, unknown>,
  eventId: string,
  { facts, sentAt }: ReadRequest,
): { event: CheckedEvent; raw: Record<string, unknown> } {
  const { row } = deriveEvent(raw, eventId, sentAt, facts);
  const { contract_version, flags } = event.row;
  const more = { ...(contract_version !== undefined && { contract_version }), ...(flags && { flags }) };
  const quarantine = event.quarantine && withoutValue(event.quarantine);
  const whole = { ...row, ...more, ...(quarantine && { properties: undefined }) };
  return { event: { row: whole, quarantine, ...(event.warning && { warning: event.warning }) }, raw };
}

function written(
  index: number,
  event_id: string,
  { row, quarantine, warning }: CheckedEvent,
  raw: Record<string, unknown>,
  { homeOf }: ReadRequest,
): KeptEvent | DroppedEvent {
  hidePrivate(raw);
  const rawText = JSON.stringify(raw);
  if (isLongerThan(rawText, INGEST.eventBytes)) return { index, event_id, cause: "event_too_large" };
  const line = joinLogLine(row, DERIVATION_VERSION, quarantine, rawText);
  const more = { ...(warning && { warning }), ...(row.flags && { flags: row.flags }) };
  return { index, event_id, shard: homeOf(row), quarantine, names: quarantine ? [] : subjectsOf(row), line, ...more };
}

const UNCHECKED: Checks = { check: () => null, policy: () => null };

interface CheckedEvent extends Derivation {
  readonly warning?: QuarantineMark;
  readonly refusal?: QuarantineMark;
}

/** An event that does not even fit its columns is in quarantine for that. */
function checked({ row, quarantine }: Derivation, raw: JsonObject, checks: ReadRequest["checks"]): CheckedEvent {
  const found = quarantine ? null : checks.check(row.source, row.event_name, raw);
  if (!found) return { row, quarantine };
  const { version, mode, violation } = found;
  const named = { ...row, contract_version: version };
  if (!violation) return { row: named, quarantine };
  if (mode === "reject") return { row: named, quarantine, refusal: violation };
  // In quarantine properties stand in the sender's JSON only.
  if (mode === "quarantine") return { row: { ...named, properties: undefined }, quarantine: violation };
  return { row: { ...named, flags: [...(row.flags ?? []), "off_contract"] }, quarantine, warning: violation };
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
