/**
 * Wraps a Worker's entry points for a local run: each call of a handler, each RPC to an object and each alarm is an
 * invocation with limits of its own, and with the faults that the run was told to have. Production bundles contain none
 * of this.
 */
import { answerFaults } from "../faults/answer.ts";
import { FAULTS_HOST } from "../faults/ask.ts";
import { faults } from "../faults/injector.ts";
import { meterCall, meterObject } from "../meter/meter-object.ts";
import { usage } from "../meter/usage.ts";
import { answerS3, isS3Path } from "../s3-facade.ts";
import { type LocalBindings, limitEnv } from "./bindings.ts";
import { inConsumer, inInvocation, invocation } from "./invocation.ts";

// biome-ignore lint/suspicious/noExplicitAny: any handler and any object class can be wrapped.
type Any = any;

/** The handlers that a default export may have. */
const HANDLERS = ["fetch", "queue", "scheduled"] as const;

/** What runs a handler as an invocation. */
const runHandler = (name: (typeof HANDLERS)[number], event: Any, run: () => Any): Any =>
  name === "queue" ? inConsumer(event.queue, async () => run()) : inInvocation(run);

export function limitHandlers(worker: Any): Any {
  if (typeof worker === "function")
    throw new TypeError("a WorkerEntrypoint class as default export is not wrapped yet");
  const limited: Record<string, unknown> = {};
  for (const name of HANDLERS) {
    if (typeof worker[name] !== "function") continue;
    limited[name] = (event: unknown, env: object, ctx: unknown) => {
      const bindings = limitEnv(env);
      usage.add(`handler ${name}`);
      if (name === "queue")
        usage.add(`delivered/${(event as MessageBatch).queue}`, (event as MessageBatch).messages.length);
      return runHandler(name, event, () => worker[name](event, bindings, ctx));
    };
  }
  const { fetch } = limited as { fetch?: Any };
  limited.fetch = (request: Request, env: LocalBindings, ctx: unknown) => {
    if (new URL(request.url).hostname === FAULTS_HOST && env.LOCAL_FAULTS)
      return answerFaults(request, env.LOCAL_FAULTS);
    return fetch ? fetch(request, env, ctx) : new Response("this Worker has no fetch handler\n", { status: 404 });
  };
  return limited;
}

/** The same, `/local/` answered by the local control, and the bucket's path by the S3 façade. */
export function limitEdge(worker: Any): Any {
  const limited = limitHandlers(worker);
  return {
    ...limited,
    fetch: (request: Request, env: LocalBindings, ctx: unknown) => {
      const { hostname, pathname } = new URL(request.url);
      if (env.LOCAL_S3 && env.BUCKET && isS3Path(pathname, env.LOCAL_S3))
        return answerS3(request, env.BUCKET, env.LOCAL_S3);
      return hostname !== FAULTS_HOST && pathname.startsWith("/local/") && env.LOCAL_CONTROL
        ? env.LOCAL_CONTROL.fetch(request)
        : limited.fetch(request, env, ctx);
    },
  };
}

/** A subclass whose methods, alarm and socket handlers each run as an invocation. */
export function limitObject(Base: Any, className: string): Any {
  if (Base === undefined)
    throw new TypeError(`the Worker exports no class ${className}, which its wrangler.toml declares`);
  const contexts = new WeakMap<object, DurableObjectState>();
  const Limited = class extends Base {
    constructor(ctx: DurableObjectState, env: object) {
      super(ctx, limitEnv(env));
      contexts.set(this, ctx);
      meterObject(this, ctx, className);
    }
  };
  Object.defineProperty(Limited, "name", { value: className });
  for (const name of methodNames(Base.prototype)) {
    Object.defineProperty(Limited.prototype, name, {
      configurable: true,
      writable: true,
      value(this: object, ...args: unknown[]) {
        const run = () => inInvocation(() => meterCall(this, name, () => Base.prototype[name].apply(this, args)));
        const reset = faults.isIdle ? null : faults.resetFor(`${className}.${name}`);
        return reset === null ? run() : resetAround(reset, contexts.get(this)!, run);
      },
    });
  }
  return Limited;
}

/** The object is gone before its caller has an answer; the next call finds what was on disk. */
async function resetAround(when: "before" | "after", ctx: DurableObjectState, run: () => Any): Promise<never> {
  if (when === "after") await run();
  ctx.abort("The object was reset. (injected)");
  return new Promise(() => {});
}

/** Methods of the class and of its ancestors below the runtime's own. */
function methodNames(prototype: Any): Set<string> {
  const names = new Set<string>();
  for (let at = prototype; at !== null && at.constructor.name !== "DurableObject" && at !== Object.prototype; ) {
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (name !== "constructor" && typeof property.value === "function") names.add(name);
    }
    at = Object.getPrototypeOf(at);
  }
  return names;
}

const plainFetch = globalThis.fetch;
globalThis.fetch = (input: RequestInfo | URL, init?: RequestInit) =>
  invocation().connected(() => plainFetch(input, init));
