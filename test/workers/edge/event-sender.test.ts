import fc from "fast-check";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { arrive } from "../../../durable-objects/event-log/edge-gaps.ts";
import { idHash } from "../../../r2-layout/event-id.ts";
import { type EventMessage, messageIds, parseMessage } from "../../../r2-layout/event-message.ts";
import { INGEST, PLATFORM } from "../../../r2-layout/limits.ts";
import { EventSender, type MessageQueue } from "../../../workers/edge/event-sender.ts";
import type { KeptEvent } from "../../../workers/edge/parse-events.ts";

/** A queue that obeys the platform's limits and fails when told to. `lied`: it fails, and has the messages anyway. */
class TestQueue implements MessageQueue {
  readonly messages: EventMessage[] = [];
  readonly calls: number[] = [];
  outcomes: ("ok" | "fails" | "lied")[] = [];
  underWay = 0;
  mostUnderWay = 0;

  send(body: string, options: { contentType: "text" }): Promise<void> {
    return this.sendBatch([{ body, ...options }]);
  }

  async sendBatch(messages: readonly { body: string; contentType: "text" }[]): Promise<void> {
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
    await Promise.resolve();
    this.underWay--;
    this.calls.push(messages.length);
    const sizes = messages.map(({ body }) => Buffer.byteLength(body));
    if (Math.max(...sizes) > PLATFORM.queueMessageBytes) throw new Error("a message is too large");
    if (sizes.reduce((a, b) => a + b) > PLATFORM.queueSendBatchBytes) throw new Error("a batch is too large");
    if (messages.length > PLATFORM.queueSendBatchMessages) throw new Error("too many messages");
    const outcome = this.outcomes.shift() ?? "ok";
    if (outcome !== "fails") {
      for (const { body } of messages) {
        const parsed = parseMessage(body);
        if (!parsed.ok) throw new Error(parsed.error.detail);
        this.messages.push(parsed.value);
      }
    }
    if (outcome !== "ok") throw new Error("injected");
  }
}

const event = (index: number, more: Partial<KeptEvent> = {}): KeptEvent => ({
  index,
  event_id: `e${index}`,
  shard: 0,
  quarantine: undefined,
  names: [],
  line: `{"line":${index}}`,
  ...more,
});

const senderTo = (...queues: TestQueue[]) => new EventSender("edge-1", queues);

describe("a request's messages", () => {
  it("are one for each shard that has events, with the ids of their lines", async () => {
    const queues = [new TestQueue(), new TestQueue(), new TestQueue()];
    const mark = { cause: "missing_name" };
    const events = [event(0), event(1, { shard: 2 }), event(2, { quarantine: mark }), event(3)];
    expect(await senderTo(...queues).send(events, "shop", 5)).toEqual([]);
    expect(queues.map(({ messages }) => messages.length)).toEqual([1, 0, 1]);
    const [{ header, lines }] = queues[0]!.messages as [EventMessage];
    expect(lines).toEqual(['{"line":0}', '{"line":2}', '{"line":3}']);
    expect(header).toMatchObject({
      edge: "edge-1",
      n: 1,
      shard: 0,
      source: "shop",
      received_at: 5,
      events: 3,
      before: 0,
      quarantined: [1],
    });
    expect([...messageIds(header)]).toEqual([
      ...idHash("event", "shop", "e0"),
      ...idHash("quarantine", "shop", "e2"),
      ...idHash("event", "shop", "e3"),
    ]);
  });

  it("count their late and skewed events, and say by which numbers of shards they were grouped", async () => {
    const queue = new TestQueue();
    const events = [event(0, { flags: ["late"] }), event(1, { flags: ["late", "clock_skewed"] }), event(2)];
    await new EventSender("edge-1", [queue, queue], [1, 2]).send(events, "shop", 5, "label");
    await senderTo(queue).send([event(3)], "shop", 5);
    const [counted, plain] = queue.messages.map(({ header }) => header);
    expect(counted).toMatchObject({ late: 2, skewed: 1, epoch: 1, shards: [1, 2], republish: "label" });
    expect(Object.keys(plain!)).not.toEqual(expect.arrayContaining(["late"]));
    expect(plain).toMatchObject({ epoch: 0 });
    expect(plain).not.toHaveProperty("shards");
  });

  it("send nothing for nothing", async () => {
    const queue = new TestQueue();
    expect(await senderTo(queue).send([], "shop", 5)).toEqual([]);
    expect(queue.calls).toEqual([]);
  });

  it("stay below the platform's sizes for any events, keep their order, and are counted without a gap (promises 3, 9)", async () => {
    const sizes = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 90_000 }), fc.constantFrom("x", "é", "€", "😀"), fc.nat(1)),
      { maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(sizes, async (list) => {
        const queues = [new TestQueue(), new TestQueue()];
        const events = list.map(([bytes, char, shard], index) =>
          event(index, { shard, line: `${index} ${char.repeat(Math.ceil(bytes / Buffer.byteLength(char)))}` }),
        );
        expect(await senderTo(...queues).send(events, "shop", 5)).toEqual([]);
        queues.forEach((queue, shard) => {
          const { messages } = queue;
          expect(messages.flatMap(({ lines }) => lines)).toEqual(
            events.filter((e) => e.shard === shard).map(({ line }) => line),
          );
          let before = 0;
          messages.forEach(({ header }, i) => {
            expect([header.n, header.before]).toEqual([i + 1, before]);
            before += header.events;
          });
        });
      }),
      { numRuns: 40 },
    );
  });

  it("go in few calls, at most six at a time", async () => {
    const queue = new TestQueue();
    const events = Array.from({ length: 10_000 }, (_, index) => event(index, { line: "x".repeat(1_000) }));
    await senderTo(queue).send(events, "shop", 5);
    expect(queue.mostUnderWay).toBe(INGEST.simultaneousSends);
    expect(queue.calls.length).toBeLessThan(50);
    expect(queue.messages.reduce((sum, { lines }) => sum + lines.length, 0)).toBe(10_000);
  });
});

describe("a send that fails", () => {
  beforeEach(() => {
    vi.spyOn(console, "error").mockImplementation(() => {});
  });

  it("gives back the events of its shard, and only those (promise 1)", async () => {
    const queues = [new TestQueue(), new TestQueue()];
    queues[1]!.outcomes = ["fails"];
    const events = [event(0), event(1, { shard: 1 }), event(2, { shard: 1 })];
    expect((await senderTo(...queues).send(events, "shop", 5)).map(({ index }) => index)).toEqual([1, 2]);
  });

  it("is declared void by the messages after it, until one of them is on the queue", async () => {
    const queue = new TestQueue();
    const sender = senderTo(queue);
    queue.outcomes = ["ok", "fails", "fails", "ok", "ok"];
    for (const count of [1, 2, 3, 4, 5]) {
      await sender.send(
        Array.from({ length: count }, (_, i) => event(i)),
        "shop",
        5,
      );
    }
    expect(queue.messages.map(({ header }) => [header.n, header.before, header.void])).toEqual([
      [1, 0, undefined],
      [
        4,
        6,
        [
          [2, 2],
          [3, 3],
        ],
      ],
      [5, 10, undefined],
    ]);
  });

  it("leaves room for its name however many have failed", async () => {
    const queue = new TestQueue();
    const sender = senderTo(queue);
    const failures = 3 * INGEST.voidsPerMessage;
    queue.outcomes = Array.from({ length: failures }, () => "fails" as const);
    for (let i = 0; i < failures; i++) await sender.send([event(0)], "shop", 5);
    const large = Array.from({ length: 200 }, (_, i) => event(i, { line: "x".repeat(1_000) }));
    for (let i = 0; i < 4; i++) expect(await sender.send(large, "shop", 5)).toEqual([]);
    expect(queue.messages.flatMap(({ header }) => header.void ?? []).length).toBeGreaterThanOrEqual(failures);
  });

  it("leaves the log owed nothing and missing nothing, in any order of failures, lies and deliveries (promise 3)", async () => {
    const outcome = fc.constantFrom("ok" as const, "ok" as const, "fails" as const, "lied" as const);
    const run = fc.record({
      requests: fc.array(fc.record({ events: fc.integer({ min: 1, max: 5 }), together: fc.boolean() }), {
        minLength: 1,
        maxLength: 30,
      }),
      outcomes: fc.array(outcome, { maxLength: 30 }),
      seed: fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
    });
    await fc.assert(
      fc.asyncProperty(run, async ({ requests, outcomes, seed }) => {
        const queue = new TestQueue();
        queue.outcomes = [...outcomes];
        const sender = senderTo(queue);
        let pending: Promise<unknown>[] = [];
        for (const { events, together } of requests) {
          pending.push(
            sender.send(
              Array.from({ length: events }, (_, i) => event(i)),
              "shop",
              5,
            ),
          );
          if (!together) pending = [void (await Promise.all(pending))].map(() => Promise.resolve());
        }
        await Promise.all(pending);
        // The queue works again: what is void has been said.
        queue.outcomes = [];
        await sender.send([event(0)], "shop", 5);

        let state: Parameters<typeof arrive>[0];
        let accepted = 0;
        let gaps = 0;
        const keyed = queue.messages.map((message) => ({ message, key: seed.next().value as number }));
        for (const { message } of keyed.sort((a, b) => a.key - b.key)) {
          const arrival = arrive(state, { ...message.header, void: message.header.void ?? [] });
          state = arrival.state;
          accepted += arrival.change.accepted;
          gaps += arrival.change.gaps;
        }
        expect(gaps).toBe(0);
        expect(accepted).toBe(queue.messages.reduce((sum, { header }) => sum + header.events, 0));
      }),
      { numRuns: 300 },
    );
  });
});
