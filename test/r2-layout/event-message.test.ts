import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { idHash, shardOf } from "../../r2-layout/event-id.ts";
import { encodeMessage, messageIds, packIds, parseMessage } from "../../r2-layout/event-message.ts";

const ids = (count: number) => Array.from({ length: count }, (_, i) => idHash("event", "web", String(i)));
const message = (lines: readonly string[]) => ({
  header: {
    v: 1,
    edge: "e1",
    n: 1,
    shard: 0,
    epoch: 0,
    source: "web",
    received_at: 1,
    events: lines.length,
    before: 0,
    ids: packIds(ids(lines.length)),
  } as const,
  lines,
});

describe("queue messages", () => {
  it("reads back every message it writes", () => {
    fc.assert(
      fc.property(fc.array(fc.json(), { minLength: 1, maxLength: 20 }), (lines) => {
        const parsed = parseMessage(encodeMessage(message(lines)));
        expect(parsed).toEqual({ ok: true, value: message(lines) });
        if (parsed.ok)
          expect(messageIds(parsed.value.header)).toEqual(new Uint8Array(ids(lines.length).flatMap((id) => [...id])));
      }),
    );
  });

  it.each([
    ["no text", 17],
    ["an empty text", ""],
    ["no JSON", "nope\n{}"],
    ["null", "null\n{}"],
    ["another version", JSON.stringify({ ...message(["{}"]).header, v: 2 })],
    ["a negative count", encodeMessage(message(["{}"])).replace('"n":1', '"n":-1')],
    ["a line too few", encodeMessage(message(["{}", "{}"])).replace("\n{}", "")],
    ["a line too many", `${encodeMessage(message(["{}"]))}\n{}`],
    ["an id too few", encodeMessage({ ...message(["{}"]), header: { ...message(["{}"]).header, ids: "" } })],
  ])("promise 9: refuses %s by name", (_, body) => {
    expect(parseMessage(body)).toMatchObject({ ok: false, error: { reason: "malformed_message" } });
  });
});

describe("identity", () => {
  it("promise 2: tells spaces, sources and ids apart", () => {
    const all = [
      idHash("event", "a", "b"),
      idHash("quarantine", "a", "b"),
      idHash("event", "ab", ""),
      idHash("event", "a", "c"),
    ];
    expect(new Set(all.map((id) => id.join())).size).toBe(all.length);
  });

  it("keeps an identity in one shard, and doubling sends shard k to k and k + N only", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.integer({ min: 1, max: 512 }), (source, id, shards) => {
        const event = { source, anonymous_id: id, event_id: "x" };
        const home = shardOf(event, shards);
        expect(shardOf({ ...event, event_id: "y", user_id: "u" }, shards)).toBe(home);
        expect([home, home + shards]).toContain(shardOf(event, shards * 2));
      }),
    );
  });

  it("promise 2: sends a hot identity to many shards, and a repeat to the shard of the first", () => {
    const spread = new Set(["hot"]);
    const homes = Array.from({ length: 100 }, (_, i) =>
      shardOf({ source: "web", anonymous_id: "hot", event_id: `e${i}` }, 8, spread),
    );
    expect(new Set(homes).size).toBe(8);
    expect(shardOf({ source: "web", user_id: "hot", event_id: "e7" }, 8, spread)).toBe(homes[7]);
    expect(shardOf({ source: "web", anonymous_id: "cold", event_id: "a" }, 8, spread)).toBe(
      shardOf({ source: "web", anonymous_id: "cold", event_id: "b" }, 8),
    );
  });

  it("spreads identities evenly", () => {
    const counts = new Array<number>(8).fill(0);
    for (let i = 0; i < 80_000; i++)
      counts[shardOf({ source: "web", anonymous_id: `device-${i}`, event_id: "" }, 8)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });
});
