/**
 * What the code relies on of a queue: at least once, retries with their delays, the dead letter queue. Run against the
 * simulated broker and against the local one, which the system tests and `npm start` use, in workerd.
 */
import { describe, expect, it } from "vitest";

export interface QueueMessage {
  readonly id: string;
  readonly attempts: number;
  readonly body: unknown;
}

/** What the consumer does with a batch. Messages not named are acked, unless it throws. */
export interface QueueDecision {
  readonly ack?: readonly string[];
  readonly retry?: readonly string[];
  readonly delaySeconds?: number;
  readonly retryAll?: boolean;
  readonly throws?: boolean;
}

export interface QueueHarness {
  send(messages: readonly { body: unknown; contentType?: string; delaySeconds?: number }[]): Promise<void>;
  /** Milliseconds, of the clock that delays go by. */
  now(): number;
  /** Messages in the dead letter queue. */
  dead(): Promise<number>;
  /** Messages waiting or under way. */
  left(): Promise<number>;
  /** Waits for a condition, some seconds at most. */
  until(condition: () => boolean | Promise<boolean>): Promise<void>;
  stop(): Promise<void>;
}

export type StartQueue = (
  decide: (messages: readonly QueueMessage[]) => QueueDecision,
  settings: { maxRetries: number; batchSize: number; waitMs: number },
) => Promise<QueueHarness>;

const SETTINGS = { maxRetries: 2, batchSize: 10, waitMs: 0 };

export function queueContract(start: StartQueue): void {
  const seen: (QueueMessage & { at: number })[] = [];
  const batches: number[] = [];
  const run = async (
    decide: (messages: readonly QueueMessage[]) => QueueDecision,
    test: (queue: QueueHarness) => Promise<void>,
    settings = SETTINGS,
  ) => {
    seen.length = 0;
    batches.length = 0;
    let queue: QueueHarness | null = null;
    queue = await start((messages) => {
      batches.push(messages.length);
      for (const message of messages) seen.push({ ...message, at: queue!.now() });
      return decide(messages);
    }, settings);
    try {
      await test(queue);
    } finally {
      await queue.stop();
    }
  };
  const settled = (queue: QueueHarness, deliveries: number) =>
    queue.until(async () => seen.length >= deliveries && (await queue.left()) === 0);

  describe("a queue", () => {
    it("delivers each message once where all is well, as it was sent", () =>
      run(
        () => ({}),
        async (queue) => {
          await queue.send([
            { body: "text, ünïcode", contentType: "text" },
            { body: { deep: [1, null, "x"] }, contentType: "json" },
            { body: 5 },
          ]);
          await settled(queue, 3);
          expect(seen.map(({ body }) => body)).toEqual(
            expect.arrayContaining(["text, ünïcode", { deep: [1, null, "x"] }, 5]),
          );
          expect(seen.map(({ attempts }) => attempts)).toEqual([1, 1, 1]);
          expect(new Set(seen.map(({ id }) => id)).size).toBe(3);
        },
      ));

    it("hands over batches of a bounded size", () =>
      run(
        () => ({}),
        async (queue) => {
          await queue.send(Array.from({ length: 25 }, (_, i) => ({ body: i })));
          await settled(queue, 25);
          expect(Math.max(...batches)).toBe(10);
          expect(seen.map(({ body }) => body as number).sort((a, b) => a - b)).toEqual(
            Array.from({ length: 25 }, (_, i) => i),
          );
        },
      ));

    it("delivers again what was told to be retried, under its id, and not what was acked beside it", () =>
      run(
        (messages) => ({
          retry: messages.filter(({ body, attempts }) => body === 1 && attempts === 1).map(({ id }) => id),
        }),
        async (queue) => {
          await queue.send([{ body: 1 }, { body: 2 }]);
          await settled(queue, 3);
          const [first, second] = seen.filter(({ body }) => body === 1);
          expect([first!.attempts, second!.attempts]).toEqual([1, 2]);
          expect(second!.id).toBe(first!.id);
          expect(seen.filter(({ body }) => body === 2)).toHaveLength(1);
        },
      ));

    it("delivers again what a consumer that threw had not acked", () =>
      run(
        (messages) =>
          messages.some(({ attempts }) => attempts === 1)
            ? { throws: true, ack: messages.filter(({ body }) => body === 2).map(({ id }) => id) }
            : {},
        async (queue) => {
          await queue.send([{ body: 1 }, { body: 2 }]);
          await settled(queue, 3);
          expect(seen.filter(({ body }) => body === 1).map(({ attempts }) => attempts)).toEqual([1, 2]);
          expect(seen.filter(({ body }) => body === 2)).toHaveLength(1);
        },
      ));

    it("waits as long as a retry, and a send, asks for", () =>
      run(
        (messages) => ({
          retry: messages.filter(({ body, attempts }) => body === "retry" && attempts === 1).map(({ id }) => id),
          delaySeconds: 1,
        }),
        async (queue) => {
          const sentAt = queue.now();
          await queue.send([{ body: "retry" }, { body: "late", delaySeconds: 1 }]);
          await settled(queue, 3);
          const [first, second] = seen.filter(({ body }) => body === "retry");
          expect(second!.at - first!.at).toBeGreaterThanOrEqual(950);
          expect(seen.find(({ body }) => body === "late")!.at - sentAt).toBeGreaterThanOrEqual(950);
        },
      ));

    it("gives a message up after its retries, to the dead letter queue", () =>
      run(
        () => ({ retryAll: true }),
        async (queue) => {
          await queue.send([{ body: "poison" }]);
          await settled(queue, 3);
          await queue.until(async () => (await queue.dead()) === 1);
          expect(seen.map(({ attempts }) => attempts)).toEqual([1, 2, 3]);
        },
      ));
  });
}
