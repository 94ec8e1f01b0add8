/** Wraps a Worker's bindings so that each call counts in the invocation that makes it. */
import { invocation } from "./invocation.ts";

/** Names that only the local run uses; the Worker's own code does not see them. */
export interface LocalBindings {
  /** Which service bindings stand for queues. */
  readonly LOCAL_QUEUE_BINDINGS?: readonly string[];
  readonly LOCAL_CONTROL?: Fetcher;
}

// biome-ignore lint/suspicious/noExplicitAny: a binding's methods are known by name only.
type Method = (...args: any[]) => any;
type Wrap = (target: object, name: string, method: Method) => Method;

const wrapped = new WeakMap<object, object>();

export function limitEnv<Env extends object>(env: Env): Env {
  const known = wrapped.get(env);
  if (known !== undefined) return known as Env;
  const { LOCAL_QUEUE_BINDINGS: queues = [], LOCAL_CONTROL: _, ...bindings } = env as Env & LocalBindings;
  const limited = Object.fromEntries(
    Object.entries(bindings).map(([name, value]) => [name, limitBinding(value, queues.includes(name))]),
  );
  wrapped.set(env, limited);
  return limited as Env;
}

export function limitBinding(value: unknown, isQueue: boolean): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (isQueue) return limitQueue(value as Queue);
  switch (value.constructor?.name) {
    case "R2Bucket":
      return proxy(value, connection);
    case "DurableObjectNamespace":
      return proxy(value, namespace);
    case "Fetcher":
      return proxy(value, rpc);
    default:
      return value;
  }
}

/** Every call is a subrequest and one of six connections until it is answered. */
const connection: Wrap =
  (target, name, method) =>
  async (...args) => {
    const result = await invocation().connected<unknown>(() => Reflect.apply(method, target, args));
    return name === "createMultipartUpload" ? proxy(result as object, connection) : result;
  };

/** Names are free; a stub's calls are not. */
const namespace: Wrap =
  (target, name, method) =>
  (...args) => {
    const result = Reflect.apply(method, target, args);
    if (name === "jurisdiction") return proxy(result, namespace);
    return name === "get" || name === "getByName" ? proxy(result, rpc) : result;
  };

/** A call over a service binding or to an object: a subrequest, but no connection. Its 32 MiB the runtime checks. */
const rpc: Wrap =
  (target, _, method) =>
  async (...args) => {
    invocation().countSubrequest();
    await invocation().paused();
    return Reflect.apply(method, target, args);
  };

/** As a Queue: `sendBatch` takes any iterable, which an RPC would not carry. */
function limitQueue(queue: Queue): Pick<Queue, "send" | "sendBatch"> {
  return {
    send: (body, options) => invocation().connected(() => queue.send(body, options)),
    sendBatch: (messages, options) => invocation().connected(() => queue.sendBatch([...messages], options)),
  };
}

/**
 * Runtime objects check their `this`, so methods are called on the target, not on the proxy; with Reflect.apply,
 * because on a method of a stub `.apply` is one more remote name.
 */
function proxy(target: object, wrap: Wrap): object {
  return new Proxy(target, {
    get(_, property) {
      const value = Reflect.get(target, property, target);
      if (typeof property === "symbol" || typeof value !== "function") return value;
      return wrap(target, property, value as Method);
    },
  });
}
