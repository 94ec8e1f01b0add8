import { describe, expect, it } from "vitest";
import { parseLogLine } from "../../../../r2-layout/log-line.ts";
import { parseOne, RECEIVED_AT } from "../facts.ts";

describe("an event that cannot be read into columns is kept in quarantine, with its cause", () => {
  it.each([
    ["a track call without a name", { type: "track" }, { cause: "missing_name", field: "event" }],
    ["a track call whose name is empty", { type: "track", event: "" }, { cause: "missing_name", field: "event" }],
    ["a name that is a list", { type: "track", event: ["e"] }, { cause: "wrong_type", field: "event" }],
    ["a type of no call", { type: "click", event: "e" }, { cause: "unknown_type", field: "type" }],
    ["no type", { event: "e" }, { cause: "unknown_type", field: "type" }],
    [
      "a user that is an object",
      { type: "track", event: "e", userId: { id: 1 } },
      { cause: "wrong_type", field: "userId" },
    ],
    [
      "a device that is a truth",
      { type: "track", event: "e", anonymousId: true },
      { cause: "wrong_type", field: "anonymousId" },
    ],
    [
      "a time that is none",
      { type: "track", event: "e", timestamp: "yesterday" },
      { cause: "bad_time", field: "timestamp" },
    ],
    [
      "a time that is an object",
      { type: "track", event: "e", timestamp: {} },
      { cause: "bad_time", field: "timestamp" },
    ],
    [
      "properties that are a text",
      { type: "track", event: "e", properties: "p" },
      { cause: "wrong_type", field: "properties" },
    ],
    [
      "traits that are a list",
      { type: "identify", userId: "u", traits: [1] },
      { cause: "wrong_type", field: "traits" },
    ],
    [
      "a context that is a number",
      { type: "track", event: "e", context: 5 },
      { cause: "wrong_type", field: "context" },
    ],
  ])("%s", (_, call, mark) => {
    const event = parseOne({ ...call, messageId: "m" });
    const line = parseLogLine(event.line);
    expect(event.quarantine).toMatchObject(mark);
    expect(line.q).toEqual(event.quarantine);
    expect(line.row).toMatchObject({ event_id: "m", source: "shop", received_at: RECEIVED_AT });
    expect(line.raw).toEqual({ ...call, messageId: "m" });
  });

  it.each([
    [
      "a column given with another type",
      { event_name: "e", client_seq: "many" },
      { cause: "wrong_type", field: "client_seq" },
    ],
    [
      "a fraction where numbers run",
      { event_name: "e", client_seq: 1.5 },
      { cause: "wrong_type", field: "client_seq" },
    ],
    ["a country that is no code", { event_name: "e", country: "Germany" }, { cause: "wrong_type", field: "country" }],
    ["a revenue in words", { event_name: "e", revenue: "much" }, { cause: "wrong_type", field: "revenue" }],
    ["no name", { user_id: "u" }, { cause: "missing_name", field: "event_name" }],
  ])("under the columns' own names: %s", (_, event, mark) => {
    expect(parseOne(event, { call: "events" }).quarantine).toMatchObject(mark);
  });

  it("shows what came, cut to what a table can show", () => {
    const { quarantine } = parseOne({ type: "track", event: "e", userId: { note: "x".repeat(10_000) } });
    expect(quarantine?.actual).toMatch(/^object \{"note":"x+$/);
    expect(quarantine?.actual?.length).toBeLessThanOrEqual(500);
  });
});

describe("decoration that cannot be read is left out, and the event is well", () => {
  it.each([
    ["a locale that is a list", { context: { locale: ["de"] } }],
    ["a page that is a text", { context: { page: "/" } }],
    ["a revenue in words", { properties: { revenue: "much" } }],
    ["a sentAt that is no time", { sentAt: "soon" }],
    ["a message id that is an object", { messageId: {} }],
    ["null everywhere", { userId: null, properties: null, context: null, timestamp: null }],
  ])("%s", (_, more) => {
    expect(parseOne({ type: "track", event: "e", ...more }).quarantine).toBeUndefined();
  });
});
