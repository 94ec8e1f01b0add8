import { describe, expect, it } from "vitest";
import { ACK_AFTER_CHARS, LiveFeed, MINUTES_TOPIC, tileTopic } from "../../../../workers/console/live/feed.ts";

const A = tileTopic("ta");
const B = tileTopic("tb");
const AT = "2026-11-22T10:00:00.000Z";
const snapshot = (seq: number) => JSON.stringify({ type: "snapshot", seq, at: AT, minutes: [] });
const tileSnapshot = (tile: string, seq: number) =>
  JSON.stringify({ type: "tile_snapshot", seq, at: AT, tile, points: [] });
const changed = (seq: number) => JSON.stringify({ type: "tile", seq, at: AT, tile: "ta", points: [] });
const refused = (topic: string, reason: string) => JSON.stringify({ type: "refused", topic, reason });

describe("what an address asks for", () => {
  it("is every topic, and from the last number on once each has had its snapshot", () => {
    const feed = new LiveFeed([MINUTES_TOPIC, A]);
    expect(feed.params()).toEqual({ topics: `minutes,${A}` });
    feed.take(snapshot(7));
    expect(feed.params()).toEqual({ topics: `minutes,${A}` });
    feed.take(tileSnapshot("ta", 9));
    feed.take(changed(8));
    expect(feed.params()).toEqual({ topics: `minutes,${A}`, resume: "9" });
  });

  it("is all anew where a topic was added, or taken away and added again, since", () => {
    const feed = new LiveFeed([MINUTES_TOPIC, A]);
    for (const text of [snapshot(1), tileSnapshot("ta", 2)]) feed.take(text);
    feed.want([MINUTES_TOPIC, A, B]);
    expect(feed.params()).toEqual({ topics: `minutes,${A},${B}` });
    feed.want([MINUTES_TOPIC]);
    expect(feed.params()).toEqual({ topics: "minutes", resume: "2" });
    feed.want([MINUTES_TOPIC, A]);
    expect(feed.params()).toEqual({ topics: `minutes,${A}` });
  });

  it("is all anew where a tile that was told could not be had since: what changed of it meanwhile was told to nobody", () => {
    const feed = new LiveFeed([MINUTES_TOPIC, A]);
    for (const text of [snapshot(1), tileSnapshot("ta", 2), refused(A, "upstream_unavailable"), changed(9)])
      feed.take(text);
    expect(feed.params()).toEqual({ topics: `minutes,${A}` });
  });

  it("leaves out a tile that is not there, so that it does not cost all others their place", () => {
    const feed = new LiveFeed([MINUTES_TOPIC, A]);
    feed.take(snapshot(1));
    feed.take(refused(A, "unknown_tile"));
    expect(feed.params()).toEqual({ topics: "minutes", resume: "1" });
  });
});

describe("what is said over a connection", () => {
  it("is a change of topics, and nothing where there is none", () => {
    const feed = new LiveFeed([MINUTES_TOPIC]);
    feed.params();
    expect(feed.want([MINUTES_TOPIC])).toBeNull();
    expect(JSON.parse(feed.want([MINUTES_TOPIC, A])!)).toEqual({ type: "subscribe", topics: [MINUTES_TOPIC, A] });
  });

  it("is once more the topics that were wanted while nobody listened", () => {
    const feed = new LiveFeed([MINUTES_TOPIC]);
    feed.params();
    expect(feed.beat()).toEqual([]);
    const [lost] = [feed.want([MINUTES_TOPIC, A])!];
    feed.params();
    expect(feed.beat()).toEqual([]);
    expect(lost).toContain("subscribe");
  });

  it("is again and again a topic that cannot be had for now, and never one that is not there", () => {
    const feed = new LiveFeed([MINUTES_TOPIC, A]);
    feed.params();
    feed.take(refused(A, "too_many_tiles"));
    expect(feed.beat().map((text) => JSON.parse(text).type)).toEqual(["subscribe"]);
    feed.take(tileSnapshot("ta", 3));
    feed.beat();
    expect(feed.beat()).toEqual([]);
    feed.take(refused(A, "unknown_tile"));
    expect(feed.beat().filter((text) => text.includes("subscribe"))).toEqual([]);
  });

  it("acknowledges the highest number: after so much text, and with a ping where something was heard", () => {
    const feed = new LiveFeed([MINUTES_TOPIC]);
    feed.params();
    expect(feed.take(snapshot(5)).say).toBeNull();
    expect(feed.beat()).toEqual([JSON.stringify({ type: "ack", seq: 5 })]);
    const long = JSON.stringify({ ...JSON.parse(changed(6)), pad: "x".repeat(ACK_AFTER_CHARS) });
    expect(feed.take(long).say).toBe(JSON.stringify({ type: "ack", seq: 6 }));
    expect(feed.take(changed(6)).say).toBeNull();
  });

  it("takes no notice of frames that it does not know", () => {
    expect(new LiveFeed([MINUTES_TOPIC]).take('{"type":"weather","seq":99}')).toEqual({ frame: null, say: null });
  });
});
