/** A request that brings events: read it within its bounds, find whose it is, parse, send, answer event by event. */
import { INGEST } from "../../r2-layout/limits.ts";
import type { SubjectHasher } from "../../r2-layout/subjects.ts";
import { problem, type Rejection, storeUnavailable } from "../problem.ts";
import { readBytes } from "./body.ts";
import type { ContractBook } from "./contracts/contract-book.ts";
import { republishLabel } from "./event-ids.ts";
import type { EventSender } from "./event-sender.ts";
import {
  type DroppedEvent,
  finishEvents,
  type HomeOf,
  type KeptEvent,
  type ParsedRequest,
  parseEvents,
  readBody,
} from "./parse-events.ts";
import type { HeldBytes, Hold } from "./pressure.ts";
import { EventPrivacy } from "./privacy/event-privacy.ts";
import type { PrivacyKeys } from "./privacy/privacy-keys.ts";
import { type Call, requestFacts } from "./request-facts.ts";
import { type WriteKeys, writeKeyIn, writeKeyOf } from "./write-keys.ts";

export interface Ingest {
  readonly writeKeys: WriteKeys;
  readonly sender: EventSender;
  readonly held: HeldBytes;
  readonly contracts: Pick<ContractBook, "current">;
  readonly privacy: { readonly keys: PrivacyKeys; readonly hash: SubjectHasher };
  readonly homeOf: HomeOf;
  /** The local run: see `requestFacts`. */
  readonly local: boolean;
  /** Microseconds. */
  readonly now: () => number;
  /** 32 hexadecimal digits, new with each call. */
  readonly random: () => string;
}

/** What became of one event, as the answer lists it. */
export type Outcome = { readonly index: number; readonly event_id: string | null } & (
  | { readonly outcome: "ok" }
  | { readonly outcome: "warning"; readonly cause: string; readonly field?: string; readonly expected?: string }
  | { readonly outcome: "drop"; readonly cause: string; readonly field?: string; readonly expected?: string }
  | { readonly outcome: "retry"; readonly cause: "store_unavailable" }
);

/** What keeps a request's work alive when its sender hangs up. */
export type WaitUntil = (work: Promise<unknown>) => void;

export async function ingest(request: Request, call: Call, parts: Ingest, waitUntil: WaitUntil): Promise<Response> {
  const hold = parts.held.begin();
  try {
    return await answered(request, call, parts, hold, waitUntil);
  } finally {
    hold.release();
  }
}

async function answered(
  request: Request,
  call: Call,
  parts: Ingest,
  hold: Hold,
  waitUntil: WaitUntil,
): Promise<Response> {
  const receivedAt = parts.now();
  const query = new URL(request.url).searchParams;
  const early = writeKeyOf(request, query);
  // Before the body is read: strangers cost nothing.
  if (early !== null && !parts.writeKeys.has(early)) return problem({ reason: "unknown_write_key" });
  const republish = republishLabel(request.headers, query);
  if (!republish.ok) return problem(republish.error);
  const bytes = await readBytes(request, { ...INGEST, grow: hold.grow });
  if (!bytes.ok) return problem(bytes.error);
  const body = readBody(bytes.value, call);
  if (!body.ok) return problem(body.error);
  const key = early ?? writeKeyIn(body.value.list.envelope);
  if (key === null) return problem({ reason: "missing_write_key" });
  const source = parts.writeKeys.get(key);
  if (source === undefined) return problem({ reason: "unknown_write_key" });

  const facts = requestFacts(request, { source, call, receivedAt, local: parts.local, republish: republish.value });
  const checks = await parts.contracts.current(waitUntil);
  const privacy = new EventPrivacy(parts.privacy, receivedAt);
  const begun = parseEvents(body.value, facts, parts.homeOf, parts.random, checks, privacy);
  const parsed = begun.waiting.length === 0 ? begun : await withSecrets(begun, parts.privacy.keys);
  const sending = parts.sender.send(parsed.kept, source, receivedAt, republish.value);
  // Cut off in the middle, a message would be numbered and its fate unknown: a gap in the ledger for good.
  waitUntil(sending);
  const unsent = await sending;
  return answer(call, parsed, new Set(unsent));
}

async function withSecrets(parsed: ParsedRequest, keys: PrivacyKeys): Promise<ParsedRequest> {
  await keys.learn(parsed.waiting.map(({ needs }) => needs));
  return finishEvents(parsed, (needs) => keys.known(needs));
}

function answer(call: Call, parsed: ParsedRequest, unsent: ReadonlySet<KeptEvent>): Response {
  const warnings = parsed.kept.filter((event) => (event.quarantine ?? event.warning) && !unsent.has(event)).length;
  const counts = {
    accepted: parsed.kept.length - unsent.size,
    warnings,
    dropped: parsed.dropped.length,
    retry: unsent.size + parsed.waiting.length,
  };
  if (counts.retry > 0) return problem(storeUnavailable, { ...counts, outcomes: outcomes(parsed, unsent) });
  if (call === "events") return Response.json({ outcomes: outcomes(parsed, unsent), ...counts });
  if (call !== "batch" && parsed.dropped[0]) return problem(refusal(parsed.dropped[0]));
  // Segment's answer, and what went otherwise than asked: its SDKs ignore the rest.
  const all = warnings + parsed.dropped.length > 0 ? outcomes(parsed, unsent) : [];
  return Response.json({ success: true, ...counts, outcomes: all.filter(({ outcome }) => outcome !== "ok") });
}

function outcomes(parsed: ParsedRequest, unsent: ReadonlySet<KeptEvent>): Outcome[] {
  const list = new Array<Outcome>(parsed.count);
  for (const event of parsed.kept) {
    const { index, event_id } = event;
    const mark = event.quarantine ?? event.warning;
    if (unsent.has(event)) list[index] = { index, event_id, outcome: "retry", cause: "store_unavailable" };
    else if (mark) {
      const { cause, field, expected } = mark;
      list[index] = { index, event_id, outcome: "warning", cause, field, expected };
    } else list[index] = { index, event_id, outcome: "ok" };
  }
  for (const { index, event_id } of parsed.waiting) {
    list[index] = { index, event_id, outcome: "retry", cause: "store_unavailable" };
  }
  for (const { index, event_id, cause, field, expected } of parsed.dropped) {
    list[index] = { index, event_id, outcome: "drop", cause, ...(field !== undefined && { field, expected }) };
  }
  return list;
}

const REFUSALS: Record<DroppedEvent["cause"], string> = {
  not_json: "it is not JSON",
  not_an_object: "it is not an object",
  event_too_large: `it takes more than ${INGEST.eventBytes} bytes`,
  event_too_deep: `it nests deeper than ${INGEST.jsonDepth}`,
  id_too_long: `its id has more than ${INGEST.eventIdChars} characters`,
  contract_violated: "it does not keep to its contract",
};

const refusal = ({ cause, field, expected }: DroppedEvent): Rejection => ({
  reason: "event_refused",
  cause,
  detail: field === undefined ? REFUSALS[cause] : `${REFUSALS[cause]}: ${field} is to be ${expected}`,
});
