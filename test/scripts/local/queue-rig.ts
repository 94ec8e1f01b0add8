/** A producer and a consumer around the local queues, in workerd: the test decides what becomes of each delivery. */
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { QUEUE_WORKER_NAME, queueBinding, queueWorker } from "../../../scripts/local/queue/queue-worker.ts";
import type { Chaos, ConsumerSettings, QueueStatus } from "../../../scripts/local/queue/settings.ts";

export interface Delivered {
  readonly id: string;
  readonly attempts: number;
  /** As the consumer saw it: its type, and its value as JSON. */
  readonly type: string;
  readonly body: unknown;
}

/** What the consumer does with a batch; throwing is its own outcome. Messages not named are acked. */
export interface Decision {
  readonly retry?: readonly string[];
  readonly ack?: readonly string[];
  readonly delaySeconds?: number;
  readonly retryAll?: boolean;
  readonly throws?: boolean;
}

export type Decide = (queue: string, messages: readonly Delivered[]) => Decision | Promise<Decision>;

export interface QueueRig {
  /** As `sendBatch` takes them; `value` says which made-up value to send instead of `body`. */
  send(
    queue: string,
    messages: readonly { body?: unknown; value?: string; contentType?: string; delaySeconds?: number }[],
  ): Promise<Response>;
  status(queue: string): Promise<QueueStatus>;
  /** As a producer is told; its date as text. */
  metrics(queue: string): Promise<{ backlogCount: number; backlogBytes: number; oldestMessageTimestamp?: string }>;
  chaos(chaos: Chaos): Promise<void>;
  stop(): Promise<void>;
}

const DATE = "2026-08-15";
const BINDINGS = { QUEUE_A: "a", QUEUE_B: "b", QUEUE_DEAD: "dead" };

const PRODUCER = `
  const VALUES = { date: new Date(0), map: new Map([["k", new Uint8Array([1, 2])]]), bytes: new Uint8Array([1, 2, 3]) };
  export default {
    async fetch(request, env) {
      if (request.method === "GET") return Response.json(await env[new URL(request.url).searchParams.get("binding")].metrics());
      const { binding, messages } = await request.json();
      try {
        const list = messages.map(({ value, ...message }) => value ? { ...message, body: VALUES[value] } : message);
        if (list.length === 1) { const [{ body, ...options }] = list; await env[binding].send(body, options); }
        else await env[binding].sendBatch(list);
        return new Response("sent");
      } catch (error) { return new Response(String(error), { status: 400 }); }
    }
  }`;

const CONSUMER = `
  const plain = (body) => body instanceof ArrayBuffer ? [...new Uint8Array(body)] : body instanceof Map ? [...body].map(([k, v]) => [k, [...v]]) : body;
  export default {
    async queue(batch, env) {
      const messages = batch.messages.map(({ id, attempts, body }) =>
        ({ id, attempts, type: Object.prototype.toString.call(body), body: plain(body) }));
      const answer = await env.DECIDE.fetch("http://test/", { method: "POST", body: JSON.stringify({ queue: batch.queue, messages }) });
      const decision = await answer.json();
      for (const message of batch.messages) {
        if (decision.ack?.includes(message.id)) message.ack();
        if (decision.retry?.includes(message.id)) message.retry({ delaySeconds: decision.delaySeconds });
      }
      if (decision.throws) throw new Error("the consumer failed on purpose");
      if (decision.retryAll) batch.retryAll({ delaySeconds: decision.delaySeconds });
    }
  }`;

export async function startQueueRig(
  decide: Decide,
  settings: Partial<ConsumerSettings> = {},
  persist?: string,
): Promise<QueueRig> {
  const consumer: ConsumerSettings = {
    binding: "CONSUMER",
    batchSize: 10,
    waitMs: 0,
    maxRetries: 3,
    retryDelayMs: 0,
    concurrency: 4,
    deadLetterQueue: null,
    ...settings,
  };
  const worker = (name: string, script: string) => ({ name, compatibilityDate: DATE, modules: true, script });
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: {},
      workers: [
        {
          ...worker("producer", PRODUCER),
          serviceBindings: {
            ...Object.fromEntries(Object.entries(BINDINGS).map(([name, queue]) => [name, queueBinding(queue)])),
            LOCAL_CONTROL: QUEUE_WORKER_NAME,
          },
        },
        await queueWorker({
          queues: Object.values(BINDINGS),
          consumers: { a: consumer, b: { ...consumer, concurrency: 1 } },
          crons: {},
          services: { CONSUMER: "consumer" },
          chaos: {},
          compatibilityDate: DATE,
        }),
        {
          ...worker("consumer", CONSUMER),
          serviceBindings: {
            DECIDE: async (request: { json(): Promise<unknown> }) => {
              const { queue, messages } = (await request.json()) as { queue: string; messages: Delivered[] };
              return Response.json(await decide(queue, messages)) as never;
            },
          },
        },
      ],
    }),
    ...(persist && { resourcePersistencePath: persist }),
  });
  const url = await miniflare.ready;
  const control = await miniflare.getWorker(QUEUE_WORKER_NAME);
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await control.fetch(`http://local${path}`, {
      method,
      headers: { authorization: "Bearer dev-admin" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return response.json();
  };
  await call("POST", "/local/queues/wake");
  return {
    send: (queue, messages) =>
      fetch(url, { method: "POST", body: JSON.stringify({ binding: `QUEUE_${queue.toUpperCase()}`, messages }) }),
    status: async (name) =>
      ((await call("GET", "/local/queues")) as QueueStatus[]).find((status) => status.queue === name)!,
    metrics: async (queue) => (await fetch(`${url}?binding=QUEUE_${queue.toUpperCase()}`)).json(),
    chaos: async (chaos) => void (await call("POST", "/local/queues/chaos", chaos)),
    stop: () => miniflare.dispose(),
  };
}

/** Waits for a condition, at most 10 s. @throws Error with `what` when it does not come. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUp = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > giveUp) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
