import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EVENT_COLUMNS, QUARANTINE_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { shardOf } from "../../../r2-layout/event-id.ts";
import { INGEST } from "../../../r2-layout/limits.ts";
import { eventRow, formatLogLine, parseLogLine, quarantineRow, readLogLine } from "../../../r2-layout/log-line.ts";
import { inflate } from "../../../workers/edge/body.ts";
import { type ParsedRequest, parseEvents, readBody } from "../../../workers/edge/parse-events.ts";
import type { Call } from "../../../workers/edge/request-facts.ts";
import { reaching } from "../../reaching.ts";
import { facts, parse, RECEIVED_AT } from "./facts.ts";

const CALLS: readonly Call[] = ["track", "page", "screen", "identify", "group", "alias", "batch", "events"];

/** Keys that something looks for, and some that break objects. */
const KEYS = [
  ...["type", "event", "messageId", "userId", "anonymousId", "timestamp", "sentAt", "properties", "traits", "context"],
  ...["page", "url", "path", "campaign", "os", "device", "screen", "width", "userAgent", "ip", "location", "library"],
  ...["event_id", "event_name", "event_type", "client_time", "client_seq", "country", "revenue", "currency", "flags"],
  ...["batch", "events", "integrations", "writeKey", "__proto__", "constructor", "toString", "", "\ud800"],
];
const TEXTS = [
  ...[
    "track",
    "page",
    "2026-11-22T11:00:00Z",
    "1970-01-01",
    "https://a.example/b?utm_source=c#d",
    "DE",
    "\ud800 \udc00",
  ],
  ...["\u0000\u2028\n", "😀".repeat(300), "x".repeat(5_000), "1e999", "-", " "],
];

/**
 * Any but a backslash alone: after an object that has it, V8 13 takes a key that is one escape sequence, in the same place
 * of an object of the same shape, for a backslash (`JSON.parse('{"e":1,"\\\\":2}')`, then `'{"e":1,"\\n":2}'`). Nothing
 * that parses JSON can help it, and it says nothing about our lines.
 */
const anyKey = fc.string().filter((key) => key !== "\\");

const leaf = fc.oneof(
  fc.constantFrom(...TEXTS),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.double(),
  fc.maxSafeInteger(),
  fc.constantFrom(null, true, 1e308, -0, 1_795_348_798_000),
);
const { value: junk, event: junkEvent } = fc.letrec<{ value: unknown; event: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    tie("event"),
  ),
  event: fc
    .array(
      fc.tuple(
        fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...KEYS) }, { weight: 1, arbitrary: anyKey }),
        tie("value"),
      ),
      { maxLength: 8 },
    )
    .map((entries) => Object.fromEntries(entries)),
}));

const encoder = new TextEncoder();
const PAGE_KEYS = ["url", "title", "referrer", "path"];

/** Requests of known names with values of any kind, as JSON in all the shapes a body may have. */
const requestJson = fc.oneof(
  junk.map((value) => JSON.stringify(value) ?? "null"),
  fc.array(junkEvent, { maxLength: 6 }).map((batch) => JSON.stringify({ batch, sentAt: "2026-11-22T12:00:00Z" })),
  fc.tuple(fc.array(junkEvent, { maxLength: 6 }), junk).map(([batch, context]) => JSON.stringify({ batch, context })),
  fc.array(junkEvent, { maxLength: 6 }).map((events) => JSON.stringify(events)),
  fc.array(junkEvent, { maxLength: 6 }).map((events) => events.map((e) => JSON.stringify(e)).join("\n")),
);

/** One of them as it was meant, then cut short, with a byte changed, behind a byte order mark, packed, packed and damaged. */
function variants(json: string, at: number, byte: number): Uint8Array[] {
  const bytes = encoder.encode(json);
  const place = at % Math.max(1, bytes.length);
  const packed = new Uint8Array(gzipSync(bytes, { level: 1 }));
  return [
    bytes,
    bytes.slice(0, place),
    damaged(bytes, place, byte),
    damaged(damaged(bytes, place, byte), (place * 7) % Math.max(1, bytes.length), 0xff),
    encoder.encode(`\ufeff ${json}`),
    packed,
    damaged(packed, at % packed.length, byte),
    encoder.encode(json.replaceAll("{", '{"event":"e","type":"track","userId":"u",')),
  ];
}

function damaged(bytes: Uint8Array, at: number, byte: number): Uint8Array {
  return bytes.length === 0 ? bytes : bytes.with(at, byte);
}

/** What holds of every request that was read, whatever it held. */
function check(parsed: ParsedRequest, shards: number): void {
  const indexes = [...parsed.kept, ...parsed.dropped].map(({ index }) => index).sort((a, b) => a - b);
  if (indexes.length !== parsed.count || indexes.some((index, i) => index !== i))
    throw new Error("an event has no outcome");
  for (const event of parsed.kept) {
    const line = parseLogLine(event.line);
    if (event.line.includes("\n")) throw new Error("a line holds a line end");
    if (formatLogLine(line) !== event.line && !/__proto__/.test(event.line))
      throw new Error(`not a log line: ${event.line}`);
    const { row } = line;
    if (row.event_id !== event.event_id || row.source !== "shop" || row.received_at !== RECEIVED_AT)
      throw new Error("not its row");
    if (event.shard !== shardOf(row, shards)) throw new Error("not its shard");
    if (Buffer.byteLength(event.line) > INGEST.messageBytes - 10_000) throw new Error("a line does not fit a message");
    const at = { shard: event.shard, seq: 1 };
    const columns = line.q ? QUARANTINE_COLUMNS : EVENT_COLUMNS;
    const entry = readLogLine(event.line);
    expect(entry).toEqual({ row, q: line.q, rawText: line.q ? JSON.stringify(line.raw) : null });
    checkRow(entry.q ? quarantineRow(entry, at) : eventRow(entry, at), columns);
  }
}

function checkRow(row: object, columns: typeof EVENT_COLUMNS | typeof QUARANTINE_COLUMNS): void {
  for (const [name, column] of Object.entries(columns)) {
    const value = (row as Record<string, unknown>)[name];
    const { type, required } = column;
    if (value === undefined || value === null) {
      if (required) throw new Error(`${name} is missing`);
      continue;
    }
    const fits =
      type === "utf8"
        ? typeof value === "string" &&
          (name === "event_id" || Buffer.byteLength(value) <= column.maxBytes) &&
          (name === "raw" || value.isWellFormed())
        : type === "list_utf8"
          ? Array.isArray(value)
          : type === "map_utf8"
            ? typeof value === "object"
            : typeof value === "number" &&
              Number.isFinite(value) &&
              (type === "float64" || Number.isSafeInteger(value));
    if (!fits) throw new Error(`${name} cannot be ${JSON.stringify(value)}`);
  }
  for (const name of Object.keys(row)) if (!(name in columns)) throw new Error(`${name} is no column`);
}

describe("any bytes at all", () => {
  it("are refused as a whole or give every event an outcome and every kept one a row that fits (promises 1, 9)", async () => {
    await reaching(() => {
      let requests = 0;
      let kept = 0;
      let quarantined = 0;
      let refused = 0;
      fc.assert(
        fc.property(requestJson, fc.nat(), fc.nat(255), fc.constantFrom(...CALLS), (json, at, byte, call) => {
          for (const [i, bytes] of variants(json, at, byte).entries())
            parseJunk(bytes, i % 2 ? call : "events", i < 4 ? 1 : 4);
        }),
        { numRuns: 2_500 },
      );
      expect(requests).toBe(20_000);
      // Every outcome is to be met, and often.
      return {
        "more than 1,000 events that are kept as they are": kept - quarantined > 1_000,
        "more than 1,000 events in quarantine": quarantined > 1_000,
        "more than 1,000 refused requests": refused > 1_000,
      };

      function parseJunk(bytes: Uint8Array, call: Call, shards: number): void {
        requests++;
        const inflated = inflate(bytes, INGEST.inflatedBytes);
        const body = inflated.ok ? readBody(inflated.value, call) : inflated;
        if (!body.ok) {
          refused++;
          return;
        }
        const parsed = parseEvents(
          body.value,
          facts({ call, userAgent: "Mozilla/5.0" }),
          (row) => shardOf(row, shards),
          () => "0".repeat(32),
        );
        check(parsed, shards);
        kept += parsed.kept.length;
        quarantined += parsed.kept.filter((event) => event.quarantine).length;
      }
    }, 5);
  }, 60_000);

  it("come to the same lines when they are sent again (promise 2)", () => {
    fc.assert(
      fc.property(fc.array(junkEvent, { maxLength: 5 }), (events) => {
        const lines = () =>
          parse({ events, sent_at: "2026-11-22T12:00:00Z" }, { call: "events" }).kept.map(({ line }) => line);
        expect(lines()).toEqual(lines());
      }),
      { numRuns: 500 },
    );
  });
});

describe("hostile JSON", () => {
  it("does not reach an object's prototype", () => {
    const parsed = parse(
      '{"batch":[{"type":"track","event":"e","__proto__":{"userId":"ghost"},"context":{"__proto__":{"ip":"x"}},"constructor":5}]}',
    );
    const line = parsed.kept[0]!.line;
    expect(parseLogLine(line).row).not.toHaveProperty("user_id");
    expect(line).toContain('"__proto__":{"userId":"ghost"}');
    expect(({} as Record<string, unknown>).userId).toBeUndefined();
  });

  it("drops an event that only grows when it is written down again", () => {
    // "1e20" is four characters and becomes 21.
    const grows = `{"type":"track","event":"e","properties":{"n":[${Array(5_000).fill("1e20").join(",")}]}}`;
    expect(grows.length).toBeLessThan(INGEST.eventBytes);
    expect(parse(`{"batch":[${grows}]}`).dropped).toEqual([expect.objectContaining({ cause: "event_too_large" })]);
  });

  it("keeps an event whose every column is as large and as escaped as it can be within one message", () => {
    const text = "\u0001".repeat(2_600);
    const call = {
      type: "page",
      userId: text,
      context: { page: { url: text, title: text, referrer: text }, campaign: { source: text, term: text } },
    };
    const parsed = parse({ batch: [{ ...call, context: { ...call.context, page: { url: text } } }] });
    expect(parsed.kept).toHaveLength(0);
    const smaller = parse({ batch: [{ type: "page", userId: text, context: { page: { url: text } } }] });
    expect(Buffer.byteLength(smaller.kept[0]!.line)).toBeLessThan(INGEST.messageBytes);
  });

  it.each([
    ["quotes in lists, escaped anew as texts of the map", (i: number) => [`k${i}`, ['"'.repeat(2_040)]], 7],
    ["controls that are columns and properties", (i: number) => [PAGE_KEYS[i]!, "\u0001".repeat(1_300)], 4],
  ] as const)("keeps an event of %s within one message", (_, member, members) => {
    const properties = Object.fromEntries(Array.from({ length: members }, (_, i) => member(i)));
    const [event] = parse({ batch: [{ type: "page", userId: "u", properties }] }).kept;
    expect(Buffer.byteLength(event!.line)).toBeGreaterThan(80_000);
    expect(Buffer.byteLength(event!.line)).toBeLessThan(INGEST.messageBytes - 10_000);
  });

  it("cuts a column at a character, not within one", () => {
    const title = `${"x".repeat(511)}😀`;
    const { row } = parseLogLine(
      parse({ batch: [{ type: "page", userId: "u", properties: { title } }] }).kept[0]!.line,
    );
    expect(row.page_title).toBe("x".repeat(511));
  });
});

describe("a shared context", () => {
  const batch = (calls: number, context: string) =>
    `{"batch":[${Array(calls).fill('{"type":"track","event":"e"}').join(",")}],"context":${context}}`;

  it("may not make a small body a large one: it counts with every call (promise 9)", () => {
    const context = JSON.stringify({ text: "x".repeat(10_000) });
    const most = Math.floor(INGEST.inflatedBytes / (context.length + 30));
    expect(parse(batch(most, context)).kept).toHaveLength(most);
    expect(() => parse(batch(most + 10, context))).toThrow("body_too_large");
  });

  it("is refused when it nests too deep to be written down", () => {
    expect(() => parse(batch(1, `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`))).toThrow("json_too_complex");
    const deepest = `${'{"a":'.repeat(INGEST.jsonDepth - 1)}1${"}".repeat(INGEST.jsonDepth - 1)}`;
    expect(parse(batch(1, deepest)).kept).toHaveLength(1);
    // With its event around it, it is one level deeper.
    expect(parse(batch(1, `{"a":${deepest}}`)).dropped).toMatchObject([{ cause: "event_too_deep" }]);
  });
});

describe("lines of JSON", () => {
  const line = (id: string) => JSON.stringify({ event_name: "e", event_id: id });

  it("lose only the broken ones", () => {
    const parsed = parse([line("a"), '{"event_name":', line("b"), line("c")].join("\n"), { call: "events" });
    expect(parsed.kept.map(({ index, event_id }) => [index, event_id])).toEqual([
      [0, "a"],
      [2, "b"],
      [3, "c"],
    ]);
    expect(parsed.dropped).toEqual([{ index: 1, event_id: null, cause: "not_json" }]);
  });

  it.each([
    ["a document cut short", `{"events":[\n${line("a")},\n${line("b")}\n`],
    ["text", "{hello}\n{world}"],
  ])("are not guessed at in %s", (_, text) => {
    expect(() => parse(text, { call: "events" })).toThrow("bad_json");
  });
});
