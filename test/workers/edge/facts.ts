/** A request to parse events from, for tests without HTTP. */
import { shardOf } from "../../../r2-layout/event-id.ts";
import { parseLogLine } from "../../../r2-layout/log-line.ts";
import { type KeptEvent, type ParsedRequest, parseEvents, readBody } from "../../../workers/edge/parse-events.ts";
import type { RequestFacts } from "../../../workers/edge/request-facts.ts";

/** 2026-11-22T12:00:00Z, microseconds. */
export const RECEIVED_AT = Date.UTC(2026, 10, 22, 12) * 1_000;

export const facts = (more: Partial<RequestFacts> = {}): RequestFacts => ({
  source: "shop",
  receivedAt: RECEIVED_AT,
  country: "DE",
  region: "Hesse",
  city: "Frankfurt",
  address: "198.51.100.1",
  userAgent: null,
  idempotencyKey: null,
  call: "batch",
  ...more,
});

const encoder = new TextEncoder();

export function parse(body: unknown, more: Partial<RequestFacts> = {}, shards = 1): ParsedRequest {
  const request = facts(more);
  const bytes = encoder.encode(typeof body === "string" ? body : JSON.stringify(body));
  const read = readBody(bytes, request.call);
  if (!read.ok) throw new Error(read.error.reason);
  let minted = 0;
  return parseEvents(
    read.value,
    request,
    (row) => shardOf(row, shards),
    () => String(minted++).padStart(32, "0"),
  );
}

/** The one event of a batch that holds just this call. */
export function parseOne(call: Record<string, unknown>, more: Partial<RequestFacts> = {}, envelope = {}): KeptEvent {
  const parsed = parse(more.call === "events" ? { ...envelope, events: [call] } : { ...envelope, batch: [call] }, more);
  if (parsed.kept.length !== 1) throw new Error(JSON.stringify(parsed));
  return parsed.kept[0]!;
}

export const rowOf = (event: KeptEvent) => parseLogLine(event.line).row;
