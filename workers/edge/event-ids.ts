/**
 * The id of an event, minted where the sender gave none. A retry must come to the same id, so it is made from what a
 * retry repeats: the Idempotency-Key, or the body where a time in it sets it apart from every other. Without either,
 * two equal bodies may well be two events (heartbeats), and the id is random.
 */
import { createHash } from "node:crypto";
import { INGEST } from "../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import type { Rejection } from "../problem.ts";
import { type JsonObject, textOf } from "./derive/json.ts";
import type { RequestFacts } from "./request-facts.ts";

/** The id the sender gave. Undefined where there is none, null where it is too long: a cut id would merge events. */
export function givenId(raw: JsonObject, isOwn: boolean): string | undefined | null {
  const given = (isOwn ? textOf(raw.event_id) : undefined) ?? textOf(raw.messageId);
  if (given === undefined) return undefined;
  if (given.length > INGEST.eventIdChars) return null;
  return given.isWellFormed() ? given : given.toWellFormed();
}

const LABEL = /^[A-Za-z0-9._-]+$/;

/**
 * The label of a republish: `?republish=` or the header `Eventpile-Republish`. Events of one label replace what was stored
 * under their ids before, once each; without it a repeated id is a duplicate. @returns undefined where there is none.
 */
export function republishLabel(
  headers: Headers,
  query: URLSearchParams,
): Result<string | undefined, Extract<Rejection, { reason: "bad_parameter" }>> {
  const label = query.get("republish") ?? headers.get("eventpile-republish");
  if (label === null) return ok(undefined);
  if (label.length <= INGEST.republishLabelChars && LABEL.test(label)) return ok(label);
  const detail = `1 to ${INGEST.republishLabelChars} letters, digits, dots, underscores and hyphens`;
  return err({ reason: "bad_parameter", parameter: "republish", detail });
}

export type Mint = (index: number) => string;

/**
 * @param body as it was inflated.
 * @param hasTime whether anything in it carries a time.
 * @param random 32 hexadecimal digits.
 */
export function minting(facts: RequestFacts, body: Uint8Array, hasTime: () => boolean, random: () => string): Mint {
  let seed: string | null | undefined;
  return (index) => {
    // Once a request: null is an answer too, and to find it every event has been looked at.
    if (seed === undefined) seed = seedOf(facts, body, hasTime);
    return seed === null ? `minted-${random()}` : `minted-${hex(`${facts.source}\n${seed}\n${index}`)}`;
  };
}

function seedOf(facts: RequestFacts, body: Uint8Array, hasTime: () => boolean): string | null {
  if (facts.idempotencyKey) return `key ${facts.idempotencyKey}`;
  return hasTime() ? `body ${createHash("sha256").update(body).digest("hex")}` : null;
}

const hex = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 32);

const TIME_FIELDS = ["timestamp", "sentAt", "originalTimestamp", "sent_at", "client_time", "event_time"] as const;

/** Whether an event, or the envelope around events, says when. */
export const carriesTime = (value: JsonObject): boolean =>
  TIME_FIELDS.some((field) => value[field] !== undefined && value[field] !== null && value[field] !== "");
