/**
 * Wraps a Worker's entry points for a local run: each call of a handler, each RPC to an object and each alarm is an
 * invocation with limits of its own. Production bundles contain none of this.
 */
import { type LocalBindings, limitEnv } from "./bindings.ts";
import { inInvocation, invocation } from "./invocation.ts";

// biome-ignore lint/suspicious/noExplicitAny: any handler and any object class can be wrapped.
type Any = any;

/** The handlers that a default export may have. */
const HANDLERS = ["fetch", "queue", "scheduled"] as const;

export function limitHandlers(worker: Any): Any {
  if (typeof worker === "function")
    throw new TypeError("a WorkerEntrypoint class as default export is not wrapped yet");
  const limited: Record<string, unknown> = {};
  for (const name of HANDLERS) {
    if (typeof worker[name] !== "function") continue;
    limited[name] = (event: unknown, env: object, ctx: unknown) =>
      inInvocation(() => worker[name](event, limitEnv(env), ctx));
  }
  return limited;
}

/** The same, and `/local/` answered by the local control. */
export function limitEdge(worker: Any): Any {
  const limited = limitHandlers(worker);
  return {
    ...limited,
    fetch: (request: Request, env: LocalBindings, ctx: unknown) =>
      new URL(request.url).pathname.startsWith("/local/") && env.LOCAL_CONTROL
        ? env.LOCAL_CONTROL.fetch(request)
        : limited.fetch(request, env, ctx),
  };
}

/** A subclass whose methods, alarm and socket handlers each run as an invocation. */
export function limitObject(Base: Any, name: string): Any {
  if (Base === undefined) throw new TypeError(`the Worker exports no class ${name}, which its wrangler.toml declares`);
  const Limited = class extends Base {
    constructor(ctx: DurableObjectState, env: object) {
      super(ctx, limitEnv(env));
    }
  };
  Object.defineProperty(Limited, "name", { value: name });
  for (const name of methodNames(Base.prototype)) {
    Object.defineProperty(Limited.prototype, name, {
      configurable: true,
      writable: true,
      value(this: unknown, ...args: unknown[]) {
        return inInvocation(() => Base.prototype[name].apply(this, args));
      },
    });
  }
  return Limited;
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
