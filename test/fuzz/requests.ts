/**
 * Requests as a hostile or broken sender would make them: events of the right structure with odd values in odd places,
 * bodies around them that are cut, mixed up, packed and damaged, all around the limits. Request i of a seed is always the
 * same one, so that a failure can be looked at alone.
 */
import { deflateSync, gzipSync } from "node:zlib";
import { INGEST } from "../../r2-layout/limits.ts";
import { Random } from "../../scripts/demo/random.ts";
import type { Call } from "../../workers/edge/request-facts.ts";
import { type JsonText, oddObject, oddText, oddTime, oddValue } from "./odd-values.ts";

export interface FuzzRequest {
  readonly call: Call;
  readonly body: Uint8Array;
  /** Besides the authorization. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface FuzzOptions {
  /** Ids begin with this: it tells one run's events from another's. */
  readonly prefix: string;
  /** Share of requests that lie at a limit of some megabytes. */
  readonly largeShare: number;
}

const CALLS: readonly Call[] = [
  "batch",
  "batch",
  "batch",
  "events",
  "events",
  "events",
  "track",
  "page",
  "screen",
  "identify",
  "group",
  "alias",
];

export function fuzzRequest(seed: number, index: number, options: FuzzOptions): FuzzRequest {
  const random = new Random(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35));
  random.next();
  const call = random.pick(CALLS);
  const ids = new Ids(random, `${options.prefix}-${index}`);
  if (random.chance(options.largeShare))
    return { call: "events", body: largeBody(random, ids), headers: drawHeaders(random) };
  const text = random.chance(0.03) ? garbage(random) : bodyText(random, call, ids);
  return { call, body: damaged(random, text), headers: drawHeaders(random) };
}

/** Ids that a sender gives: new ones, one twice in a request, none, and ids that are none. */
class Ids {
  readonly #random: Random;
  readonly #prefix: string;
  #count = 0;

  constructor(random: Random, prefix: string) {
    this.#random = random;
    this.#prefix = prefix;
  }

  next(): JsonText | null {
    const dice = this.#random.next();
    if (dice < 0.8) return `"${this.#prefix}-${this.#count++}"`;
    if (dice < 0.86) return `"${this.#prefix}-0"`;
    if (dice < 0.94) return null;
    if (dice < 0.97) {
      const length = this.#random.pick([INGEST.eventIdChars - 1, INGEST.eventIdChars, INGEST.eventIdChars + 1, 5_000]);
      return `"${`${this.#prefix}-${this.#count++}-`.padEnd(length, this.#random.pick(["x", "é", "€"]))}"`;
    }
    return this.#random.pick(["", "null", "{}", '""', `"${this.#prefix}-\\ud800-${this.#count++}"`, "true"]) || null;
  }
}

function bodyText(random: Random, call: Call, ids: Ids): string {
  if (call !== "batch" && call !== "events")
    return random.chance(0.02) ? "[]" : event(random, ids, call === "identify");
  const isOwn = call === "events";
  const count = random.chance(0.75) ? random.int(0, 2) : random.int(0, 7);
  const list: string[] = [];
  for (let i = 0; i < count; i++) list.push(random.chance(0.03) ? oddValue(random) : event(random, ids, isOwn));
  if (isOwn && random.chance(0.35)) {
    const end = random.pick(["\n", "\n", "\r\n", "\n\n", "\n \n"]);
    if (random.chance(0.1))
      list.splice(random.int(0, count), 0, random.pick(['{"cut":', "}", "null", "\u0000", "{,}"]));
    return list.join(end) + (random.chance(0.7) ? end : "");
  }
  const items = `[${list.join(",")}]`;
  if (random.chance(isOwn ? 0.5 : 0.05)) return items;
  const name = isOwn && random.chance(0.7) ? "events" : random.chance(0.97) ? "batch" : "batsch";
  const members = [`"${name}":${random.chance(0.98) ? items : oddValue(random)}`];
  if (random.chance(0.5)) members.push(`"sentAt":${time(random)}`);
  if (random.chance(0.15)) members.push(`"context":${random.chance(0.8) ? context(random) : oddValue(random)}`);
  if (random.chance(0.05)) members.push(`"writeKey":${random.pick(['"dev"', '"nobody"', "1", "null"])}`);
  if (random.chance(0.05)) members.unshift(`"${name}":${oddValue(random)}`);
  return `{${members.join(",")}}`;
}

const TYPES = ["page", "screen", "track", "track", "track", "identify", "group", "alias"] as const;
const KNOWN_NAMES = ["Clicked", "Order Completed", "Added", "page", "track"] as const;
/** Own names of columns, and names that Segment's API has; all of them take odd values now and then. */
const OWN_FIELDS = [
  "event_type",
  "event_name",
  "user_id",
  "anonymous_id",
  "event_time",
  "client_time",
  "sent_at",
  "session_id",
  "client_seq",
  "contract_version",
  "page_url",
  "country",
  "revenue",
  "currency",
  "app_version",
  "user_agent",
  "log_seq",
  "flags",
  "received_at",
  "source",
] as const;
const SEGMENT_FIELDS = [
  "originalTimestamp",
  "groupId",
  "previousId",
  "name",
  "category",
  "integrations",
  "ip",
  "userAgent",
  "options",
  "_metadata",
  "__proto__",
  "traits",
] as const;

function event(random: Random, ids: Ids, isOwn: boolean): JsonText {
  const type = random.pick(TYPES);
  const odd = random.chance(0.3) ? 0.25 : 0.01;
  const given = (text: () => JsonText): JsonText => (random.chance(odd) ? oddValue(random) : text());
  const parts: string[] = [`"type":${given(() => `"${type}"`)}`];
  if (type === "track") parts.push(`"event":${given(() => `"${random.pick(KNOWN_NAMES)}"`)}`);
  const id = ids.next();
  if (id !== null) parts.push(isOwn && random.chance(0.5) ? `"event_id":${id}` : `"messageId":${id}`);
  if (random.chance(0.6)) parts.push(`"userId":${given(() => `"user-${random.int(0, 9)}"`)}`);
  if (random.chance(0.8)) parts.push(`"anonymousId":${given(() => `"device-${random.int(0, 9)}"`)}`);
  if (random.chance(0.7)) parts.push(`"timestamp":${time(random)}`);
  if (random.chance(0.5)) parts.push(`"properties":${given(() => properties(random))}`);
  if (random.chance(0.4)) parts.push(`"context":${given(() => context(random))}`);
  if (isOwn && random.chance(0.3)) parts.push(`"${random.pick(OWN_FIELDS)}":${oddValue(random)}`);
  if (random.chance(0.15)) parts.push(`"${random.pick(SEGMENT_FIELDS)}":${oddValue(random)}`);
  // The same key again: the last one counts.
  if (random.chance(0.03)) parts.push(random.pick(parts));
  return `{${parts.join(random.chance(0.05) ? " ,\n\t" : ",")}}`.replaceAll(random.chance(0.5) ? "\n" : "\r", " ");
}

function time(random: Random): JsonText {
  return random.chance(0.4) ? oddTime(random) : `"2026-11-${random.int(10, 28)}T05:02:51.${random.int(100, 999)}Z"`;
}

function properties(random: Random): JsonText {
  if (random.chance(0.2)) return oddObject(random, random.int(0, 6));
  if (random.chance(0.004))
    return oddObject(random, random.pick([INGEST.propertiesPerEvent, INGEST.propertiesPerEvent + 1]) >> 2);
  return `{"plan":"pro","revenue":${random.chance(0.3) ? oddValue(random) : "12.5"},"currency":${random.chance(0.3) ? oddText(random) : '"EUR"'}}`;
}

const CONTEXT_FIELDS = [
  "ip",
  "userAgent",
  "locale",
  "page",
  "campaign",
  "screen",
  "os",
  "app",
  "device",
  "library",
  "location",
  "sessionId",
  "timezone",
] as const;

function context(random: Random): JsonText {
  const parts = [
    '"page":{"url":"https://shop.example/a?utm_source=x#y","path":"/a","title":"A"}',
    '"library":{"name":"analytics.js","version":"2.1"}',
  ];
  for (let i = random.int(0, 2); i > 0; i--) {
    const field = random.pick(CONTEXT_FIELDS);
    parts.push(`"${field}":${random.chance(0.6) ? oddValue(random) : oddObject(random, 2)}`);
  }
  return `{${parts.join(",")}}`;
}

const GARBAGE = [
  "",
  " ",
  "\n",
  "null",
  "true",
  "0",
  '""',
  "[]",
  "{}",
  "[",
  "{",
  "]",
  '{"batch"',
  "undefined",
  "<html></html>",
  "a=b&c=d",
  "--boundary\r\n",
  "\u0000",
  "[1,2",
  '{"batch":{}}',
  "\ufeff",
  "{}{}",
  "{}\n{}",
  "[[[]]]",
] as const;

function garbage(random: Random): string {
  if (random.chance(0.6)) return random.pick(GARBAGE);
  return Array.from({ length: random.int(1, 60) }, () => String.fromCharCode(random.int(0, 0x7f))).join("");
}

const encoder = new TextEncoder();
/** No UTF-8: lone continuation, overlong, a surrogate, beyond Unicode, cut short. */
const BAD_BYTES = [
  [0x80],
  [0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xe2, 0x82],
  [0xff],
  [0xfe, 0xff],
  [0x00],
] as const;

/** Most bodies leave as they are. */
function damaged(random: Random, text: string): Uint8Array {
  const dice = random.next();
  if (dice < 0.82) return encoder.encode(text);
  let bytes: Uint8Array = encoder.encode(dice < 0.84 ? `\ufeff${text}` : text);
  if (dice < 0.88) bytes = spliced(bytes, random.int(0, bytes.length), random.pick(BAD_BYTES));
  else if (dice < 0.91) bytes = bytes.slice(0, random.int(0, bytes.length));
  else if (dice < 0.94) bytes = flipped(random, bytes);
  else if (dice < 0.95) bytes = new Uint8Array(Buffer.from(text, "utf16le"));
  if (dice < 0.96) return bytes;
  const packed = gzipSync(bytes, { level: 1 });
  switch (random.int(0, 7)) {
    case 0:
      return packed.subarray(0, random.int(2, packed.length));
    case 1:
      return flipped(random, packed, 2);
    case 2:
      return gzipSync(packed, { level: 1 });
    case 3:
      return deflateSync(bytes, { level: 1 });
    case 4:
      return Buffer.concat([packed, random.chance(0.5) ? packed : Buffer.from("trailing")]);
    default:
      return packed;
  }
}

const spliced = (bytes: Uint8Array, at: number, inserted: readonly number[]): Uint8Array =>
  Buffer.concat([bytes.subarray(0, at), new Uint8Array(inserted), bytes.subarray(at)]);

function flipped(random: Random, bytes: Uint8Array, from = 0): Uint8Array {
  const copy = new Uint8Array(bytes);
  if (copy.length > from) copy[random.int(from, copy.length - 1)]! ^= 1 << random.int(0, 7);
  return copy;
}

/** At a limit, one below it or one beyond it. */
function largeBody(random: Random, ids: Ids): Uint8Array {
  const off = random.int(-1, 1);
  const one = `{"type":"track","event":"Large","messageId":${ids.next() ?? '"x"'}`;
  switch (random.int(0, 5)) {
    case 0: {
      const head = `${one},"properties":{"p":"`;
      return encoder.encode(`${head}${"x".repeat(INGEST.eventBytes + off - head.length - 3)}"}}`);
    }
    case 1:
      return encoder.encode(`${" ".repeat(INGEST.bodyBytes + off - 1 - one.length)}${one}}`);
    case 2:
      return gzipSync(`${" ".repeat(INGEST.inflatedBytes + off - 1 - one.length)}${one}}`, { level: 1 });
    case 3:
      return encoder.encode(`[${`${'{"type":"page"}'},`.repeat(INGEST.eventsPerRequest - 1 + off)}${one}}]`);
    case 4:
      return gzipSync(`[${"[],".repeat(INGEST.jsonValues - 3 + off)}${one}}]`, { level: 1 });
    default:
      return encoder.encode("[".repeat(random.int(100_000, 300_000)));
  }
}

const AGENTS = [
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15",
  "okhttp/4.9",
  "",
  "Googlebot/2.1",
] as const;
/** Too long to be remembered: parsed each time. */
const LONG_AGENT = "Mozilla/5.0 (".repeat(50);
const TYPES_OF_CONTENT = [
  "application/json",
  "text/plain",
  "application/x-ndjson",
  "application/json; charset=utf-16",
  "multipart/form-data",
  "x",
  "application/gzip",
] as const;

function drawHeaders(random: Random): Record<string, string> {
  const headers: Record<string, string> = {};
  if (random.chance(0.7)) headers["content-type"] = random.pick(TYPES_OF_CONTENT);
  if (random.chance(0.5)) headers["user-agent"] = random.chance(0.01) ? LONG_AGENT : random.pick(AGENTS);
  if (random.chance(0.15)) headers["content-encoding"] = random.pick(["gzip", "identity", "br", "gzip, gzip", "x"]);
  if (random.chance(0.1)) headers["idempotency-key"] = random.pick(["k", "k".repeat(1_000), "k k", "1"]);
  if (random.chance(0.1)) headers["x-eventpile-country"] = random.pick(["DE", "de", "XX", "T1", "Germany", ""]);
  if (random.chance(0.1)) headers.origin = random.pick(["https://shop.example", "null", "x"]);
  if (random.chance(0.05)) headers["x-retry-count"] = random.pick(["1", "-1", "x"]);
  return headers;
}
