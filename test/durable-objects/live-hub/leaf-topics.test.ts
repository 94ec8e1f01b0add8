import { describe, expect, it } from "vitest";
import type { FeedPart, Followed } from "../../../durable-objects/live-hub/api.ts";
import type { Frame } from "../../../durable-objects/live-hub/frames.ts";
import { LeafTopics } from "../../../durable-objects/live-hub/leaf-topics.ts";
import type { Topic } from "../../../durable-objects/live-hub/topics.ts";
import { MINUTE_MS } from "../../../r2-layout/limits.ts";
import { NOW, TILE } from "./fake-screens.ts";

const part = (topic: Topic, items: Readonly<Record<string, number>>): FeedPart => ({
  topic,
  since: 1,
  grainMs: MINUTE_MS,
  items: Object.entries(items).map(([id, seq]) => ({ id, start: NOW, seq, body: `{"id":"${id}"}`, gone: false })),
});

/** A leaf whose root answers when the test says so. */
function leafOf() {
  const answers: PromiseWithResolvers<Followed>[] = [];
  const told: Frame[] = [];
  const topics = new LeafTopics({
    name: "live:1",
    root: () => ({
      follow: () => {
        const answer = Promise.withResolvers<Followed>();
        answers.push(answer);
        return answer.promise;
      },
    }),
    told: { seq: 0 },
    watched: () => new Set<Topic>(["minutes"]),
    sockets: () => 1,
    tell: (frames) => void told.push(...frames),
  });
  const answer = (seq: number, feeds: FeedPart[]) =>
    answers.shift()!.resolve({ generation: 1, seq, feeds, refused: [] });
  return { topics, told, answer, answers };
}

describe("a hub below the root", () => {
  it("tells what came in one delivery in the order of its numbers, over all topics", async () => {
    const { topics, told, answer } = leafOf();
    const opened = topics.open(["minutes", TILE], 0);
    await Promise.resolve();
    answer(10, [part("minutes", { one: 10 }), part(TILE, { a: 9 })]);
    await opened;
    told.length = 0;
    const feeds = [part("minutes", { one: 11, two: 14 }), part(TILE, { a: 12, b: 12, c: 13 })];
    await topics.deliver({ generation: 1, prev: 10, seq: 14, feeds });
    expect(told.map(({ topic, seq }) => [topic, seq])).toEqual([
      ["minutes", 11],
      [TILE, 12],
      [TILE, 13],
      ["minutes", 14],
    ]);
  });

  it("lets a delivery wait that overtakes the answer to what it asked for", async () => {
    const { topics, answer } = leafOf();
    const first = topics.open(["minutes"], 0);
    await Promise.resolve();
    answer(10, [part("minutes", { one: 10 })]);
    await first;
    const second = topics.open([TILE], 0);
    const delivered = topics.deliver({ generation: 1, prev: 10, seq: 11, feeds: [part(TILE, { b: 11 })] });
    await new Promise(setImmediate);
    answer(10, [part("minutes", { one: 10 }), part(TILE, { a: 9, b: 8 })]);
    expect(await second).toEqual(new Map());
    await delivered;
    expect(
      topics
        .feed(TILE)!
        .all()
        .map(({ id, seq }) => [id, seq]),
    ).toEqual([
      ["a", 9],
      ["b", 11],
    ]);
    expect(topics.seq).toBe(11);
  });
});
