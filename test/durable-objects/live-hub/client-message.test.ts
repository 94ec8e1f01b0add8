import { describe, expect, it } from "vitest";
import { parseClientMessage } from "../../../durable-objects/live-hub/client-message.ts";
import { parseLiveRequest, parseTopics } from "../../../durable-objects/live-hub/topics.ts";
import { Unread } from "../../../durable-objects/live-hub/unread.ts";
import { LIVE } from "../../../r2-layout/limits.ts";

const tile = (n: number) => `tile:t${n.toString(16).padStart(16, "0")}`;
const tiles = (count: number) => Array.from({ length: count }, (_, n) => tile(n));

describe("what a client says (promise 9)", () => {
  it("is its topics, how far it has read, or nothing of interest", () => {
    expect(parseClientMessage(JSON.stringify({ type: "subscribe", topics: ["minutes", tile(1), "minutes"] }))).toEqual({
      kind: "subscribe",
      topics: ["minutes", tile(1)],
    });
    expect(parseClientMessage('{"type":"ack","seq":7}')).toEqual({ kind: "ack", seq: 7 });
    for (const text of ["hello", "", "{", "[]", '{"type":"ack","seq":"7"}', '{"type":"ack","seq":1.5}', "null"]) {
      expect(parseClientMessage(text), text).toEqual({ kind: "other" });
    }
  });

  it("closes the socket where it is bytes, longer than LIVE.clientMessageBytes, or names no topics", () => {
    expect(parseClientMessage(new ArrayBuffer(1))).toMatchObject({ kind: "close", code: 1003 });
    expect(parseClientMessage("x".repeat(LIVE.clientMessageBytes))).toEqual({ kind: "other" });
    expect(parseClientMessage("x".repeat(LIVE.clientMessageBytes + 1))).toMatchObject({ kind: "close", code: 1009 });
    for (const topics of [[], ["hours"], ["tile:x"], "minutes", [1], undefined]) {
      expect(parseClientMessage(JSON.stringify({ type: "subscribe", topics }))).toMatchObject({ code: 1008 });
    }
  });
});

describe("what a socket asks for", () => {
  const parse = (query: string) => parseLiveRequest(new URLSearchParams(query));

  it("is the minutes, where it does not say, and everything from the beginning", () => {
    expect(parse("")).toEqual({ ok: true, value: { topics: ["minutes"], resume: null } });
    expect(parse(`topics=minutes,${tile(2)}&resume=1700000000000000`)).toEqual({
      ok: true,
      value: { topics: ["minutes", tile(2)], resume: 1_700_000_000_000_000 },
    });
  });

  it.each(["topics=hours", "topics=minutes,", "topics=tile:t1"])("names `topics` for %s", (query) => {
    expect(parse(query)).toMatchObject({ ok: false, error: { parameter: "topics" } });
  });

  it.each(["resume=-1", "resume=1.5", "resume=x", "resume=9999999999999999"])("names `resume` for %s", (query) => {
    expect(parse(query)).toMatchObject({ ok: false, error: { parameter: "resume" } });
  });

  it("has LIVE.topics topics and no more, which a message still has room for", () => {
    expect(parseTopics(tiles(LIVE.topics))).toHaveLength(LIVE.topics);
    expect(parseTopics(tiles(LIVE.topics + 1))).toBeNull();
    const message = JSON.stringify({ type: "subscribe", topics: tiles(LIVE.topics) });
    expect(parseClientMessage(message)).toMatchObject({ kind: "subscribe" });
  });
});

describe("what is unread", () => {
  it("may be LIVE.unread characters, and LIVE.unreadSilent of a client that never says what it read", () => {
    const silent = new Unread(0);
    silent.sent(LIVE.unreadSilent, 1);
    expect(silent.isTooMuch).toBe(false);
    silent.sent(1, 2);
    expect(silent.isTooMuch).toBe(true);
    const telling = new Unread(0);
    telling.sent(10, 1);
    expect(telling.read(1)).toBe(true);
    telling.sent(LIVE.unread, 2);
    expect(telling.isTooMuch).toBe(false);
    telling.sent(1, 3);
    expect(telling.isTooMuch).toBe(true);
  });

  it("shrinks with what was read, is nothing once the last frame was, and an old number is no news", () => {
    const unread = new Unread(5);
    for (let seq = 1; seq <= 48; seq++) unread.sent(LIVE.unread / 16, seq);
    expect(unread.characters).toBe(3 * LIVE.unread);
    expect(unread.read(24)).toBe(true);
    expect(unread.characters).toBeLessThanOrEqual(1.6 * LIVE.unread);
    expect(unread.characters).toBeGreaterThanOrEqual(1.5 * LIVE.unread);
    expect(unread.read(23)).toBe(false);
    expect(unread.read(24)).toBe(false);
    expect(unread.read(10_000)).toBe(true);
    expect(unread.characters).toBe(0);
    expect(unread.read(20_000)).toBe(false);
  });
});
