/**
 * The text of a body -> the events in it, still unread, and the envelope around them. Content-Type is not asked:
 * browsers send JSON as `text/plain`, and many senders send it as nothing at all.
 */
import { INGEST } from "../../r2-layout/limits.ts";
import { err, ok, type Result } from "../../r2-layout/result.ts";
import type { Rejection } from "../problem.ts";
import { isObject, type JsonObject } from "./derive/json.ts";
import type { Call } from "./request-facts.ts";

export interface EventList {
  /** What stands in each event's place. `undefined` where an NDJSON line is not JSON. */
  readonly items: readonly unknown[];
  /** `sentAt`, `writeKey` and a shared `context`, where the body has an envelope; for a single call, the call itself. */
  readonly envelope: JsonObject;
}

export function readEvents(text: string, call: Call): Result<EventList, Rejection> {
  const start = text.trimStart();
  if (start === "") return err({ reason: "empty_body" });
  const parsed = parse(text);
  if (call === "events" && parsed === undefined && start.startsWith("{")) return readLines(start);
  if (parsed === undefined) return bad("it is not JSON");
  if (Array.isArray(parsed)) {
    return call === "batch" || call === "events" ? counted(parsed, {}) : bad("one call is one object");
  }
  if (!isObject(parsed)) return bad("it is neither an object nor a list");
  if (call !== "batch" && call !== "events") return ok({ items: [parsed], envelope: parsed });
  const list = parsed.batch ?? parsed.events;
  if (Array.isArray(list)) return counted(list, parsed);
  if (list !== undefined || call === "batch") return bad("`batch` is not a list");
  return ok({ items: [parsed], envelope: parsed });
}

/** Newline-delimited JSON: some lines may be broken without harm to their neighbours, but not most of them. */
function readLines(text: string): Result<EventList, Rejection> {
  const items: unknown[] = [];
  let readable = 0;
  let from = 0;
  while (from < text.length) {
    const end = text.indexOf("\n", from);
    const line = text.slice(from, end < 0 ? text.length : end);
    from = end < 0 ? text.length : end + 1;
    if (line.trim() === "") continue;
    if (items.length === INGEST.eventsPerRequest) return tooMany;
    const item = parse(line);
    if (isObject(item)) readable++;
    items.push(item);
  }
  return readable * 2 > items.length ? ok({ items, envelope: {} }) : bad("it is neither JSON nor lines of JSON");
}

function counted(items: readonly unknown[], envelope: JsonObject): Result<EventList, Rejection> {
  return items.length > INGEST.eventsPerRequest ? tooMany : ok({ items, envelope });
}

const tooMany = err<Rejection>({ reason: "too_many_events", limit: INGEST.eventsPerRequest });
const bad = (detail: string) => err<Rejection>({ reason: "bad_json", detail });

/** `undefined` for what is not JSON: JSON itself cannot say that. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
