/** A Worker whose calls to a queue, an object and R2 are made to fail: the fault injector is tested on it. */
import { DurableObject } from "cloudflare:workers";

interface Env {
  readonly BUCKET: R2Bucket;
  readonly COUNTER: DurableObjectNamespace<Counter>;
  readonly QUEUE: Queue<{ puts: number; ack: boolean; id: string }>;
}

export class Counter extends DurableObject {
  #inMemory = 0;

  async add(): Promise<{ inMemory: number; stored: number }> {
    this.#inMemory++;
    const stored = (this.ctx.storage.kv.get<number>("n") ?? 0) + 1;
    this.ctx.storage.kv.put("n", stored);
    return { inMemory: this.#inMemory, stored };
  }
}

const RUNS: Record<string, (env: Env, query: URLSearchParams) => Promise<unknown>> = {
  put: async (env, query) => (await env.BUCKET.put(query.get("key")!, "x"))?.key,
  keys: async (env) => (await env.BUCKET.list()).objects.map(({ key }) => key),
  add: (env) => env.COUNTER.getByName("c").add(),
  send: async (env, query) => {
    await env.QUEUE.send({ puts: Number(query.get("puts")), ack: query.has("ack"), id: query.get("id")! });
  },
};

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const began = Date.now();
    try {
      const value = await RUNS[pathname.slice(1)]!(env, searchParams);
      return Response.json({ value: value ?? null, ms: Date.now() - began });
    } catch (error) {
      return Response.json({ error: (error as Error).message, ...(error as object) });
    }
  },
  async queue(batch: MessageBatch<{ puts: number; ack: boolean; id: string }>, env: Env): Promise<void> {
    for (const message of batch.messages) {
      const { id, puts, ack } = message.body;
      if (ack) message.ack();
      try {
        for (let i = 0; i < puts; i++) await env.BUCKET.put(`${id}/${message.attempts}/${i}`, "x");
      } finally {
        // What would run after an exception does not run in an invocation that is gone.
        await env.BUCKET.put(`${id}/${message.attempts}/end`, "x");
      }
    }
  },
};
