import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Position } from "../../../durable-objects/user-timeline/event-order.ts";
import {
  comparePositions,
  formatCursor,
  parseCursor,
  positionOf,
  startOf,
  tieBytes,
  tieOfBytes,
} from "../../../durable-objects/user-timeline/event-order.ts";
import {
  decodeEvent,
  encodeEvent,
  packLines,
  unpackLines,
} from "../../../durable-objects/user-timeline/event-packing.ts";
import { loggedEvents, plainEvent, START } from "./events.ts";
import { present } from "./reference.ts";

/** Half surrogates included: an id is any string that JSON can say. */
const text = fc.string({ unit: "binary", maxLength: 12 });
const position: fc.Arbitrary<Position> = fc.record({ time: fc.integer({ min: START, max: START + 3 }), tie: text });

describe("a position", () => {
  it("comes back from the cursor that a client passes on", () => {
    fc.assert(
      fc.property(position, (one) => {
        expect(parseCursor(formatCursor(one))).toEqual(one);
      }),
    );
    expect(formatCursor(positionOf(plainEvent({ event_id: 'a/"\u{1F600}' })))).toMatch(/^[\w-]+$/);
  });

  it("is not read from what is no cursor", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          text,
          fc.json().map((json) => Buffer.from(json).toString("base64url")),
        ),
        (cursor) => {
          const read = parseCursor(cursor);
          if (read) expect(typeof read.tie).toBe("string");
        },
      ),
    );
    const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    for (const bad of [
      "",
      "[]",
      encoded([1]),
      encoded(["1", "a"]),
      encoded([1.5, "a"]),
      encoded([1, "a", 2]),
      "A".repeat(5_000),
    ]) {
      expect(parseCursor(bad)).toBeNull();
    }
  });

  it("has the same order in SQLite's bytes as here, where emoji sort below some letters and not by their code point", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        const order = Math.sign(comparePositions({ time: 1, tie: a }, { time: 1, tie: b }));
        expect(Buffer.compare(tieBytes(a), tieBytes(b))).toBe(order);
        expect(tieOfBytes(tieBytes(a))).toBe(a);
      }),
    );
    expect(comparePositions({ time: 1, tie: "\u{1F600}" }, { time: 1, tie: "\uffee" })).toBeLessThan(0);
  });

  it("orders events by time, then id, and the start of a time comes before its events", () => {
    const [a, b, later] = [
      plainEvent({ event_id: "a", source: "z" }),
      plainEvent({ event_id: "a!", source: "a" }),
      plainEvent({ event_id: "A", event_time: START + 1 }),
    ].map(positionOf);
    expect(comparePositions(a!, b!)).toBeLessThan(0);
    expect(comparePositions(b!, later!)).toBeLessThan(0);
    expect(comparePositions(startOf(START), a!)).toBeLessThan(0);
  });
});

describe("a packed event", () => {
  it("is read as it was, less columns without a value", () => {
    fc.assert(
      fc.property(loggedEvents, (events) => {
        const lines = events.map(encodeEvent);
        expect(lines.map(decodeEvent)).toEqual(events.map(present));
        expect(unpackLines(packLines(lines))).toEqual(lines);
      }),
    );
  });

  it("is smaller than its JSON with names, and does without a field that it does not know", () => {
    const event = plainEvent({
      event_id: "1",
      page_url: "https://example.com/",
      browser_version: "1",
      device_type: "tv",
    });
    expect(encodeEvent(event).length).toBeLessThan(JSON.stringify(event).length * 0.7);
    expect(decodeEvent('{"1":"id","9999":"from the future"}')).toEqual({ event_id: "id" });
  });
});
