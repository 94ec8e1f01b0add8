import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { PLATFORM } from "../../../r2-layout/limits.ts";
import type { ConsumerSettings } from "../../../scripts/local/queue/settings.ts";
import { type Decide, type Delivered, type QueueRig, startQueueRig, until } from "./queue-rig.ts";

let rig: QueueRig;
const folder = mkdtempSync(join(tmpdir(), "local-queue-test-"));
const batches: { queue: string; messages: readonly Delivered[] }[] = [];
const seen = () => batches.flatMap((batch) => batch.messages.map((message) => message.body));
const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => ({ body: from + i }));

async function start(decide: Decide, settings?: Partial<ConsumerSettings>, persist?: string): Promise<void> {
  rig = await startQueueRig(
    (queue, messages) => {
      batches.push({ queue, messages });
      return decide(queue, messages);
    },
    settings,
    persist,
  );
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));
const stop = async () => {
  batches.length = 0;
  await rig.stop();
};

describe("the local queue delivers", () => {
  afterEach(stop);

  it("each message once when all is well, whatever its content type", async () => {
    await start(() => ({}));
    await rig.send("a", [
      { body: "text, ünïcode", contentType: "text" },
      { body: { deep: [1, null, "x"] }, contentType: "json" },
      { value: "bytes", contentType: "bytes" },
      { value: "date", contentType: "v8" },
      { value: "map", contentType: "v8" },
      { body: "json by default" },
    ]);
    await until("all six", () => seen().length === 6);
    const found = batches.flatMap((batch) => batch.messages).toSorted((a, b) => Number(a.id) - Number(b.id));
    expect(found.map(({ type, body, attempts }) => [type, body, attempts])).toEqual([
      ["[object String]", "text, ünïcode", 1],
      ["[object Object]", { deep: [1, null, "x"] }, 1],
      ["[object ArrayBuffer]", [1, 2, 3], 1],
      ["[object Date]", "1970-01-01T00:00:00.000Z", 1],
      ["[object Map]", [["k", [1, 2]]], 1],
      ["[object String]", "json by default", 1],
    ]);
    await until("settled", async () => (await rig.status("a")).underWay === 0);
    expect(await rig.status("a")).toMatchObject({ ready: 0, delayed: 0, sent: 6, delivered: 6, retried: 0 });
  });

  it("and tells a producer how much waits, how many bytes, and since when", async () => {
    await start(() => ({}));
    await rig.chaos({ hold: true });
    expect(await rig.metrics("a")).toEqual({ backlogCount: 0, backlogBytes: 0 });
    const before = Date.now();
    await rig.send("a", [{ body: "12345", contentType: "text" }]);
    await rig.send("a", [{ body: "1234567", contentType: "text" }]);
    const { oldestMessageTimestamp, ...backlog } = await rig.metrics("a");
    expect(backlog).toEqual({ backlogCount: 2, backlogBytes: 12 });
    expect(Date.parse(oldestMessageTimestamp!)).toBeGreaterThanOrEqual(before);
    await rig.chaos({});
    await until("all gone", async () => (await rig.metrics("a")).backlogCount === 0);
  });

  it("full batches at once and a part of one after the wait", async () => {
    await start(() => ({}), { waitMs: 2_000, batchSize: 10, concurrency: 1 });
    const sentAt = Date.now();
    await rig.send("b", numbers(25));
    await until("two full batches", () => batches.length === 2);
    expect(batches.map((batch) => batch.messages.length)).toEqual([10, 10]);
    expect(Date.now() - sentAt).toBeLessThan(2_000);
    await until("the rest", () => batches.length === 3);
    expect(Date.now() - sentAt).toBeGreaterThanOrEqual(1_995);
    expect(seen()).toEqual(numbers(25).map(({ body }) => body));
  });

  it("four batches at once, and not in their order", async () => {
    const open: (() => void)[] = [];
    await start(
      async () => {
        await new Promise<void>((resolve) => open.push(resolve));
        return {};
      },
      { batchSize: 5 },
    );
    await rig.send("a", numbers(100));
    await until("four under way", () => open.length === 4);
    expect((await rig.status("a")).underWay).toBe(4);
    const timer = setInterval(() => open.shift()?.(), 1);
    await until("all", () => seen().length === 100);
    clearInterval(timer);
    for (const release of open) release();
    expect(seen()).not.toEqual(numbers(100).map(({ body }) => body));
    expect(seen().toSorted((a, b) => Number(a) - Number(b))).toEqual(numbers(100).map(({ body }) => body));
  });

  it("a delayed message when its time has come", async () => {
    await start(() => ({}));
    const sentAt = Date.now();
    await rig.send("a", [{ body: "later", delaySeconds: 1 }, { body: "now" }]);
    await until("both", () => seen().length === 2);
    expect(seen()).toEqual(["now", "later"]);
    expect(Date.now() - sentAt).toBeGreaterThanOrEqual(995);
  });
});

describe("the local queue retries", () => {
  afterEach(stop);

  it("what the consumer did not take, counting attempts, and nothing else", async () => {
    await start((_, messages) => ({ retry: messages.filter((m) => m.body === 1 && m.attempts < 3).map((m) => m.id) }));
    await rig.send("b", numbers(3));
    await until("three tries of one", () => seen().filter((body) => body === 1).length === 3);
    expect(batches.flatMap((b) => b.messages.map((m) => [m.body, m.attempts]))).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
      [1, 2],
      [1, 3],
    ]);
  });

  it("all but the acked ones of a batch whose handler threw, after the delay", async () => {
    await start((_, messages) => (messages.length === 3 ? { throws: true, ack: [messages[0]!.id] } : {}), {
      retryDelayMs: 200,
    });
    const sentAt = Date.now();
    await rig.send("b", numbers(3));
    await until("the second try", () => batches.length === 2);
    expect(batches[1]!.messages.map((m) => m.body)).toEqual([1, 2]);
    expect(Date.now() - sentAt).toBeGreaterThanOrEqual(195);
  });

  it("until the retries are used up, then hands over to the dead-letter queue", async () => {
    await start(() => ({ retryAll: true }), { maxRetries: 2, deadLetterQueue: "dead" });
    await rig.send("b", [
      { value: "map", contentType: "v8" },
      { body: "plain", contentType: "text" },
    ]);
    await until("both dead", async () => (await rig.status("dead")).ready === 2);
    expect(batches.map((batch) => batch.messages[0]!.attempts)).toEqual([1, 2, 3]);
    expect(await rig.status("b")).toMatchObject({ ready: 0, delayed: 0, dead: 2 });
  });
});

describe("the local queue survives", () => {
  afterEach(stop);

  it("the end of its process: what was sent and not acked comes after the restart (promise 1)", async () => {
    let stall = true;
    await start(async () => (stall ? new Promise(() => {}) : {}), { concurrency: 2 }, folder);
    await rig.send("a", numbers(30));
    await until("two batches under way", () => batches.length === 2);
    await rig.stop();
    batches.length = 0;
    stall = false;
    await start(() => ({}), {}, folder);
    await until("all thirty", () => new Set(seen()).size === 30);
    expect(seen().length).toBe(30);
  });
});

describe("chaos, switched on", () => {
  afterEach(stop);

  it.each([
    ["twice", { twice: 1, seed: 7 }, 2],
    ["dropAcks", { dropAcks: 1, seed: 7 }, 2],
  ] as const)("%s delivers messages again that were acked", async (_, chaos, times) => {
    await start(() => ({}));
    await rig.chaos(chaos);
    await rig.send("a", numbers(5));
    await until("again", () => seen().filter((body) => body === 3).length >= times);
    await rig.chaos({});
    await until("drained", async () => (await rig.status("a")).ready + (await rig.status("a")).underWay === 0);
  });

  it("lateMs and shuffle lose the order, hold stops deliveries until it is off", async () => {
    await start(() => ({}), { batchSize: 1, concurrency: 1 });
    await rig.chaos({ hold: true, lateMs: 50, shuffle: true, seed: 3 });
    await rig.send("b", numbers(40));
    expect(seen()).toEqual([]);
    await rig.chaos({ shuffle: true, seed: 3 });
    await until("all", () => seen().length === 40);
    expect(seen()).not.toEqual(numbers(40).map(({ body }) => body));
    expect(new Set(seen()).size).toBe(40);
  });
});

describe("promise 9: the local queue refuses what production would, and takes what it takes", () => {
  beforeAll(() => start(() => ({})));
  afterAll(stop);

  const text = (bytes: number) => ({ body: "x".repeat(bytes), contentType: "text" });

  it.each([
    ["a message of 128,000 bytes", [text(PLATFORM.queueMessageBytes)], "sent"],
    ["one more", [text(PLATFORM.queueMessageBytes + 1)], "128001 bytes"],
    ["100 messages a batch", numbers(PLATFORM.queueSendBatchMessages), "sent"],
    ["101", numbers(PLATFORM.queueSendBatchMessages + 1), "101 messages"],
    ["a batch of 256,000 bytes", [text(128_000), text(PLATFORM.queueSendBatchBytes - 128_000)], "sent"],
    ["a byte more", [text(128_000), text(PLATFORM.queueSendBatchBytes - 128_001), text(2)], "256001 bytes"],
    ["a day of delay", [{ body: 1, delaySeconds: 86_400 }], "sent"],
    ["a second more", [{ body: 1, delaySeconds: 86_401 }], "delaySeconds"],
  ])("%s", async (_, messages, answer) => {
    expect(await (await rig.send("a", messages)).text()).toContain(answer);
  });
});
