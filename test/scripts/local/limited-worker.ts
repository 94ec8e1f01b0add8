/** A Worker that does as many calls as it is asked to: the local limits are tested on it. */
import { DurableObject } from "cloudflare:workers";

interface Env {
  readonly BUCKET: R2Bucket;
  readonly COUNTER: DurableObjectNamespace<Counter>;
  readonly QUEUE: Queue;
  /** For `batch` alone: nothing else takes of its rate. */
  readonly FLOOD: Queue;
  readonly SLOW: Fetcher;
}

export class Counter extends DurableObject<Env> {
  async echo(bytes: Uint8Array): Promise<number> {
    return bytes.length;
  }

  async give(bytes: number): Promise<Uint8Array> {
    return new Uint8Array(bytes);
  }

  /** Subrequests of the object itself, of this call's own invocation. */
  async read(count: number): Promise<number> {
    for (let i = 0; i < count; i++) await this.env.BUCKET.head("none");
    return count;
  }

  get notAMethod(): number {
    return 1;
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { searchParams, pathname } = new URL(request.url);
    const count = Number(searchParams.get("count"));
    try {
      return Response.json(await RUNS[pathname.slice(1)]!(env, count));
    } catch (error) {
      return new Response(String(error), { status: 500 });
    }
  },
};

const counter = (env: Env) => env.COUNTER.getByName("c");
const times = (count: number) => Array.from({ length: count });

const RUNS: Record<string, (env: Env, count: number) => Promise<unknown>> = {
  reads: async (env, count) => {
    spend(env, count - 1);
    await env.BUCKET.head("none");
    return count;
  },
  mixed: async (env, count) => {
    spend(env, count);
    await env.BUCKET.put("k", "v");
    await env.QUEUE.send("m");
    await counter(env).echo(new Uint8Array(1));
    await env.SLOW.fetch("http://slow/");
    await fetch("http://slow/");
    return count + 5;
  },
  inObject: (env, count) => counter(env).read(count),
  /** How many calls were open at once, as the other side saw it. */
  open: async (_, count) => {
    const seen = await Promise.all(times(count).map(async () => Number(await (await fetch("http://slow/")).text())));
    return { calls: seen.length, most: Math.max(...seen) };
  },
  rpcArgument: (env, count) => counter(env).echo(new Uint8Array(count)),
  rpcResult: async (env, count) => (await counter(env).give(count)).length,
  batch: async (env, count) => {
    await env.FLOOD.sendBatch(generate(count));
    return count;
  },
  multipart: async (env) => {
    const upload = await env.BUCKET.createMultipartUpload("big");
    const part = await upload.uploadPart(1, "x");
    return (await upload.complete([part])).size;
  },
  bindings: async (env) => Object.keys(env),
};

/** Uses up subrequests: a call without its key fails before it leaves, and counts all the same. */
function spend(env: Env, count: number): void {
  const head = env.BUCKET.head as unknown as () => Promise<unknown>;
  for (let i = 0; i < count; i++) head().catch(() => {});
}

/** `sendBatch` takes any iterable. */
function* generate(count: number): Generator<MessageSendRequest> {
  for (let i = 0; i < count; i++) yield { body: i };
}
