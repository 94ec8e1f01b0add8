/** Whether what the parser made of a request is what it promises for any bytes. */
import { type Column, EVENT_COLUMNS, QUARANTINE_COLUMNS } from "../../r2-layout/event-columns.ts";
import { shardOf } from "../../r2-layout/event-id.ts";
import { INGEST } from "../../r2-layout/limits.ts";
import { eventRow, quarantineRow, readLogLine } from "../../r2-layout/log-line.ts";
import { err } from "../../r2-layout/result.ts";
import { inflate } from "../../workers/edge/body.ts";
import { type DropCause, type KeptEvent, parseEvents, readBody } from "../../workers/edge/parse-events.ts";
import { type RequestFacts, requestFacts } from "../../workers/edge/request-facts.ts";
import type { FuzzRequest } from "./requests.ts";

export const RECEIVED_AT = Date.UTC(2026, 10, 22, 5) * 1_000;
const SHARDS = 4;
/** Refusals of a whole body; each is a 4xx. */
const REFUSALS = new Set([
  "empty_body",
  "body_too_large",
  "bad_gzip",
  "bad_json",
  "json_too_complex",
  "too_many_events",
]);
const DROPS: ReadonlySet<string> = new Set<DropCause>([
  "not_json",
  "not_an_object",
  "event_too_large",
  "event_too_deep",
  "id_too_long",
]);
const RANDOM = "0123456789abcdef0123456789abcdef";

export type Tally = Record<string, number>;

/** @returns what is wrong with it, null where nothing is; whatever the parser throws is wrong. Counts what came out. */
export function checkParser(request: FuzzRequest, tally: Tally = {}): string | null {
  try {
    return check(request, tally);
  } catch (error) {
    return `threw ${(error as Error).stack}`;
  }
}

function check({ call, body, headers }: FuzzRequest, tally: Tally): string | null {
  const inflated: ReturnType<typeof inflate> =
    body.length > INGEST.bodyBytes
      ? err({ reason: "body_too_large", limit_bytes: INGEST.bodyBytes })
      : inflate(body, INGEST.inflatedBytes);
  const read = inflated.ok ? readBody(inflated.value, call) : inflated;
  if (!read.ok) {
    count(tally, `refused ${read.error.reason}`);
    return REFUSALS.has(read.error.reason) ? null : `refused as ${read.error.reason}`;
  }
  const parsed = parseEvents(
    read.value,
    factsOf(call, headers),
    (row) => shardOf(row, SHARDS),
    () => RANDOM,
  );
  if (parsed.kept.length + parsed.dropped.length !== parsed.count) return "outcomes do not add up";
  if (parsed.count > INGEST.eventsPerRequest) return `${parsed.count} events in one request`;
  let last = -1;
  for (const event of parsed.kept) {
    if (event.index <= last || event.index >= parsed.count) return `index ${event.index} out of order`;
    last = event.index;
    count(tally, event.quarantine ? `warning ${event.quarantine.cause}` : "ok");
    const wrong = wrongEvent(event);
    if (wrong !== null) return wrong;
  }
  for (const { cause } of parsed.dropped) {
    count(tally, `drop ${cause}`);
    if (!DROPS.has(cause)) return `dropped as ${cause}`;
  }
  return null;
}

const count = (tally: Tally, name: string) => {
  tally[name] = (tally[name] ?? 0) + 1;
};

/** As `requestFacts` reads it: anything with headers, without the cost of a Request. */
function factsOf(call: RequestFacts["call"], given: FuzzRequest["headers"]): RequestFacts {
  const headers = { get: (name: string) => given[name] ?? null, has: (name: string) => given[name] !== undefined };
  const request = { headers } as unknown as Request;
  return requestFacts(request, { source: "fuzz", call, receivedAt: RECEIVED_AT, local: true });
}

function wrongEvent(event: KeptEvent): string | null {
  const { line, quarantine, event_id, shard } = event;
  if (!(shard >= 0 && shard < SHARDS)) return `shard ${shard}`;
  if (line.includes("\n")) return `a line feed in the line: ${line}`;
  const entry = readLogLine(line);
  if ((entry.q === undefined) !== (quarantine === undefined)) return `the mark of ${event_id} was lost`;
  const at = { shard, seq: 1 };
  if (entry.row.event_id !== event_id) return `${entry.row.event_id} is not ${event_id}`;
  if (event_id === "" || event_id.length > INGEST.eventIdChars) return `the id ${event_id}`;
  if (entry.q) return wrongRow(quarantineRow(entry, at), QUARANTINE_COLUMNS);
  const row = eventRow(entry, at);
  const skew = RECEIVED_AT - row.event_time;
  if (row.event_time < INGEST.oldestEventTimeMs * 1_000 || -skew > INGEST.futureSkewMs * 1_000)
    return `event_time ${row.event_time}`;
  return wrongRow(row, EVENT_COLUMNS);
}

function wrongRow(row: object, columns: Readonly<Record<string, Column>>): string | null {
  for (const name in columns) {
    const column = columns[name]!;
    const value = (row as Record<string, unknown>)[name];
    if (value === null || value === undefined) {
      if (column.required) return `${name} is missing`;
    } else if (!fits(value, column, name)) return `${name} does not fit: ${JSON.stringify(value)}`;
  }
  for (const name in row) if (columns[name] === undefined) return `${name} is no column`;
  return null;
}

function fits(value: unknown, { type, maxBytes = Number.POSITIVE_INFINITY }: Column, name: string): boolean {
  switch (type) {
    case "utf8":
      // Ids are bounded in characters, not cut.
      return (
        typeof value === "string" &&
        (name === "event_id" || 3 * value.length <= maxBytes || Buffer.byteLength(value) <= maxBytes)
      );
    case "timestamp_us":
    case "int64":
      return Number.isSafeInteger(value);
    case "int32":
      return Number.isInteger(value) && Math.abs(value as number) < 2 ** 31;
    case "float64":
      return typeof value === "number" && Number.isFinite(value);
    case "boolean":
      return typeof value === "boolean";
    case "list_utf8":
      return Array.isArray(value) && value.every((item) => typeof item === "string");
    case "map_utf8":
      return fitsMap(value);
  }
}

function fitsMap(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  let members = 0;
  for (const key in value) {
    const text = (value as Record<string, unknown>)[key];
    if (typeof text !== "string" || text.length > INGEST.propertyValueBytes) return false;
    members++;
  }
  // What stands beside the properties of a call comes on top (log-line.ts).
  return members <= INGEST.propertiesPerEvent + 5;
}
