import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DerivedEvent } from "../../r2-layout/event-columns.ts";
import { EVENT_COLUMNS, QUARANTINE_COLUMNS } from "../../r2-layout/event-columns.ts";
import { INGEST } from "../../r2-layout/limits.ts";
import { lineNames } from "../../r2-layout/line-subjects.ts";
import {
  erasedKind,
  erasedLine,
  formatLogLine,
  joinLogLine,
  parseLogLine,
  propertiesOf,
  readLogLine,
} from "../../r2-layout/log-line.ts";
import { decodeEachLine, decodeSegment, encodeSegment } from "../../r2-layout/segment.ts";

const row: DerivedEvent = {
  event_id: "1",
  event_name: "page",
  event_type: "page",
  source: "web",
  event_time: 1,
  received_at: 2,
};

describe("a segment", () => {
  it("gives back every event with its properties and its place in the log", () => {
    fc.assert(
      fc.property(fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { minLength: 1 }), (all) => {
        const raws = all.map((properties) => ({
          properties: JSON.parse(JSON.stringify(properties)) as Record<string, unknown>,
        }));
        const bytes = encodeSegment(
          raws.map((raw) => formatLogLine({ raw, row: { ...row, properties: propertiesOf(raw) }, d: 1 })),
        );
        const rows = decodeSegment(bytes, { shard: 3, seq: 7 });
        expect(rows.events).toEqual(
          raws.map((raw) => ({ ...row, properties: propertiesOf(raw), log_shard: 3, log_seq: 7 })),
        );
        expect(rows.quarantine).toEqual([]);
      }),
    );
  });

  it("keeps quarantined events apart, whole", () => {
    const raw = { type: "track", properties: { a: 1 } };
    const bytes = encodeSegment([formatLogLine({ raw, row, d: 1, q: { cause: "event_missing", field: "event" } })]);
    expect(decodeSegment(bytes, { shard: 0, seq: 1 })).toMatchObject({
      events: [],
      quarantine: [{ event_id: "1", cause: "event_missing", field: "event", raw: JSON.stringify(raw), log_seq: 1 }],
    });
  });

  it("fails loudly when it is damaged", () => {
    const bytes = encodeSegment([formatLogLine({ raw: {}, row, d: 1 })]);
    expect(() => decodeSegment(bytes.slice(0, -9), { shard: 0, seq: 1 })).toThrow();
    expect(() => decodeSegment(encodeSegment(["{"]), { shard: 0, seq: 1 })).toThrow();
  });
});

/** Texts that look like the seams of a line. */
const seam = fc.constantFrom(
  '},"d":1,"raw":',
  '}},"d":1,"raw":{}}',
  '},"d":1,"q":',
  '},"raw":',
  '"},"d":1,"raw":{"',
  "\\",
  '\\"},"d":1,"raw":{}}',
  "{",
  "}",
);
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  seam,
  fc.tuple(fc.string(), seam).map((both) => both.join("")),
);
const member = fc.oneof(text, fc.constantFrom("d", "raw", "row", "q", "__proto__", "properties"));
const anyRow = fc
  .record({
    page_url: fc.option(text),
    flags: fc.array(text),
    properties: fc.option(fc.dictionary(member, text)),
    revenue: fc.double({ noNaN: true, noDefaultInfinity: true }),
  })
  .map((part) => JSON.parse(JSON.stringify({ ...row, ...part })) as DerivedEvent);
const anyRaw = fc
  .oneof(fc.jsonValue(), fc.dictionary(member, fc.oneof(text, fc.dictionary(member, text))))
  .map((raw) => JSON.stringify(raw));
const anyMark = fc.option(fc.record({ cause: fc.constant("wrong_type"), field: text, actual: text }), {
  nil: undefined,
});

describe("a line", () => {
  it("is cut where its row ends, whatever texts and names stand in it, and keeps the sender's JSON to the byte", () => {
    fc.assert(
      fc.property(anyRow, anyMark, anyRaw, fc.nat(1_000), (given, q, rawText, d) => {
        const line = joinLogLine(given, d, q, rawText);
        expect(line).not.toContain("\n");
        // A text that is not JSON stands where the sender's JSON is: a line parsed whole would throw.
        for (const raw of [rawText, '{"not": JSON}']) {
          const entry = readLogLine(joinLogLine(given, d, q, raw));
          expect(JSON.stringify(entry.row)).toBe(JSON.stringify(given));
          expect(entry.q).toEqual(q);
          expect(entry.rawText).toBe(q ? raw : null);
        }
        expect(JSON.parse(line)).toEqual({ row: given, d, ...(q && { q }), raw: JSON.parse(rawText) });
      }),
      { numRuns: 1_000 },
    );
  });

  it("with a row that nests, or with its members in another order, is parsed whole", () => {
    const raw = { type: "track", properties: { a: 1 } };
    const nested = { ...row, more: { of: { it: 1 }, d: 1, raw: 2 }, properties: null } as DerivedEvent;
    expect(readLogLine(formatLogLine({ row: nested, d: 1, raw })).row).toEqual(nested);
    expect(readLogLine(JSON.stringify({ raw, row, d: 1 }))).toEqual({
      row: { ...row, properties: { a: "1" } },
      rawText: null,
    });
    const q = { cause: "wrong_type" };
    expect(readLogLine(JSON.stringify({ raw, row, d: 1, q }))).toEqual({ row, q, rawText: JSON.stringify(raw) });
  });

  it("is read as it was written", () => {
    const line = { row: { ...row, properties: { a: "1" } }, d: 1, q: { cause: "x" }, raw: { properties: { a: 1 } } };
    expect(parseLogLine(formatLogLine(line))).toEqual(line);
  });
});

describe("properties", () => {
  it("are texts: strings as they are, other values as JSON, nulls left out", () => {
    expect(propertiesOf({ properties: { a: "x", b: 1.5, c: true, d: { e: [1] }, f: null } })).toEqual({
      a: "x",
      b: "1.5",
      c: "true",
      d: '{"e":[1]}',
    });
    expect(propertiesOf({ traits: { plan: "pro" }, groupId: "g" })).toEqual({ plan: "pro", group_id: "g" });
    expect(propertiesOf({ name: "Basket", category: "Shop", properties: { category: "x" } })).toEqual({
      name: "Basket",
      category: "x",
    });
    expect(propertiesOf({ properties: [] })).toBeNull();
    expect(JSON.stringify(propertiesOf({ properties: JSON.parse('{"__proto__":"x"}') }))).toBe('{"__proto__":"x"}');
  });
});

it("a property is as long as its bound allows, cut between characters (promise 9)", () => {
  const long = "€".repeat(INGEST.propertyValueBytes);
  const { text, list } = propertiesOf({ properties: { text: long, list: [long] } }) as { text: string; list: string };
  expect(text).toBe("€".repeat(Math.floor(INGEST.propertyValueBytes / 3)));
  expect(Buffer.byteLength(list)).toBeLessThanOrEqual(INGEST.propertyValueBytes);
});

describe("promise 6: the columns", () => {
  it.each([
    ["events", EVENT_COLUMNS],
    ["quarantine", QUARANTINE_COLUMNS],
  ] as const)("of %s never share a field id", (_, columns) => {
    const ids = Object.values(columns).flatMap(({ id, type }: { id: number; type: string }) =>
      type === "list_utf8" ? [id, id + 1] : type === "map_utf8" ? [id, id + 1, id + 2] : [id],
    );
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("keep name, id and type for ever: a change here is a change to files that are already written", () => {
    const shape = (columns: object) =>
      Object.entries(columns).map(
        ([name, { id, type, required }]) => `${id} ${name} ${type}${required ? " required" : ""}`,
      );
    expect(shape(EVENT_COLUMNS)).toMatchInlineSnapshot(`
      [
        "1 event_id utf8 required",
        "2 event_name utf8 required",
        "3 event_type utf8 required",
        "4 source utf8 required",
        "5 user_id utf8",
        "6 anonymous_id utf8",
        "7 session_id utf8",
        "8 event_time timestamp_us required",
        "9 received_at timestamp_us required",
        "10 sent_at timestamp_us",
        "11 client_time timestamp_us",
        "12 client_seq int64",
        "13 contract_version int32",
        "14 app_name utf8",
        "15 app_version utf8",
        "16 sdk utf8",
        "17 flags list_utf8",
        "19 page_url utf8",
        "20 page_path utf8",
        "21 page_host utf8",
        "22 page_title utf8",
        "23 referrer utf8",
        "24 utm_source utf8",
        "25 utm_medium utf8",
        "26 utm_campaign utf8",
        "27 utm_term utf8",
        "28 utm_content utf8",
        "29 locale utf8",
        "30 screen utf8",
        "31 os utf8",
        "32 os_version utf8",
        "33 browser utf8",
        "34 browser_version utf8",
        "35 device_type utf8",
        "36 country utf8",
        "37 region utf8",
        "38 city utf8",
        "39 revenue float64",
        "40 currency utf8",
        "41 properties map_utf8",
        "44 log_shard int32 required",
        "45 log_seq int64 required",
      ]
    `);
    expect(shape(QUARANTINE_COLUMNS)).toMatchInlineSnapshot(`
      [
        "1 event_id utf8 required",
        "2 source utf8 required",
        "3 received_at timestamp_us required",
        "4 event_name utf8",
        "5 event_type utf8",
        "6 user_id utf8",
        "7 anonymous_id utf8",
        "8 cause utf8 required",
        "9 field utf8",
        "10 expected utf8",
        "11 actual utf8",
        "12 contract_version int32",
        "13 app_name utf8",
        "14 app_version utf8",
        "15 sdk utf8",
        "16 raw utf8 required",
        "17 log_shard int32 required",
        "18 log_seq int64 required",
      ]
    `);
  });
});

describe("a line whose people were erased (promise 7)", () => {
  const event = formatLogLine({ raw: { userId: "ada" }, row: { ...row, user_id: "ada" }, d: 1 });
  const quarantined = formatLogLine({ raw: { note: "of ada" }, row, d: 1, q: { cause: "wrong_type" } });

  it("keeps its number and its kind, and nothing of what it said", () => {
    const whole = formatLogLine({ raw: {}, row: { ...row, event_id: "2" }, d: 1 });
    const lines = [erasedLine(event), whole, erasedLine(quarantined)];
    expect(lines.join()).not.toContain("ada");
    const rows = decodeSegment(encodeSegment(lines), { shard: 0, seq: 1 });
    expect(rows.events.map(({ event_id }) => event_id)).toEqual(["2"]);
    expect(rows).toMatchObject({ quarantine: [], erased: { events: 1, quarantined: 1 } });
    const each = decodeEachLine(encodeSegment(lines), { shard: 0, seq: 1 });
    expect(each).toMatchObject([{ erased: "event" }, { event: { event_id: "2" } }, { erased: "quarantined" }]);
  });

  it("stays what it is, and names nobody", () => {
    for (const line of [event, quarantined]) {
      const erased = erasedLine(line);
      expect(erasedLine(erased)).toBe(erased);
      expect(lineNames(line, ({ id }) => id === "ada" || id === "of ada")).toBe(true);
      expect(lineNames(erased, () => true)).toBe(false);
    }
    expect(erasedLine("no line", "quarantined")).toBe(erasedLine(quarantined));
  });

  it("is not to be had from a sender: what begins like it is damage", () => {
    expect(erasedKind('{"erased":"event","row":{}}')).toBeNull();
    expect(decodeEachLine(encodeSegment(['{"erased":"event","row":{}}']), { shard: 0, seq: 1 })[0]).toHaveProperty(
      "damage",
    );
  });
});

describe("whom a line names", () => {
  it("is what the columns of an event say, and any text of one that has none", () => {
    const naming = (id: string) => (subject: { id: string }) => subject.id === id;
    const line = formatLogLine({ raw: { deep: ["ada"] }, row, d: 1 });
    expect(lineNames(line, naming("ada"))).toBe(false);
    const broken = formatLogLine({ raw: { deep: ["ada"] }, row, d: 1, q: { cause: "wrong_type" } });
    expect(lineNames(broken, naming("ada"))).toBe(true);
    expect(lineNames(line.slice(1), naming("ada"))).toBe(true);
    expect(lineNames('"ad\\u0061" cut', naming("ada"))).toBe(true);
    expect(lineNames(broken, naming("bob"))).toBe(false);
  });
});

it("promise 7: what is told of a line that cannot be read quotes nothing of it", () => {
  const texts = [
    '{"row":{"user_id":"ada"},,',
    '{"row":nada}',
    '"ada"',
    "null",
    "ada",
    '{"row":{"user_id":"ada"},"d":1,"raw":{}}',
  ];
  const told = decodeEachLine(encodeSegment(texts), { shard: 0, seq: 1 });
  expect(told.map((line) => "damage" in line && line.damage)).toEqual([
    ...["it is no JSON", "it is no JSON", "it is no line of the log", "it is no line of the log", "it is no JSON"],
    "its row lacks what every row has",
  ]);
});
