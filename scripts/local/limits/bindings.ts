/** Wraps a Worker's bindings so that each call counts in the invocation that makes it, and can be made to fail. */
import { FarBucket } from "../bucket/far-bucket.ts";
import { faults } from "../faults/injector.ts";
import type { FaultPlan } from "../faults/plan.ts";
import { usage } from "../meter/usage.ts";
import { structuredBytes } from "../queue/structured-bytes.ts";
import type { S3Settings } from "../s3-facade.ts";
import { invocation } from "./invocation.ts";

/** Names that only the local run uses; the Worker's own code does not see them. */
export interface LocalBindings {
  /** Which service bindings stand for queues. */
  readonly LOCAL_QUEUE_BINDINGS?: readonly string[];
  /** Which stand for buckets of another process. */
  readonly LOCAL_FAR_BUCKETS?: readonly string[];
  readonly LOCAL_CONTROL?: Fetcher;
  /** What the S3 façade serves, and to whom. */
  readonly LOCAL_S3?: S3Settings;
  readonly BUCKET?: R2Bucket;
  /** The Worker's name, the token of the local control, and the faults to begin with. */
  readonly LOCAL_FAULTS?: { readonly worker: string; readonly token: string; readonly plan: FaultPlan };
  /** The Worker's name, where what it uses is to be counted. */
  readonly LOCAL_METER?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: a binding's methods are known by name only.
type Method = (...args: any[]) => any;
type Wrap = (target: object, name: string, method: Method, binding: string) => Method;

const wrapped = new WeakMap<object, object>();

export function limitEnv<Env extends object>(env: Env): Env {
  const known = wrapped.get(env);
  if (known !== undefined) return known as Env;
  const {
    LOCAL_QUEUE_BINDINGS: queues = [],
    LOCAL_FAR_BUCKETS: farBuckets = [],
    LOCAL_CONTROL: _,
    LOCAL_S3: __,
    LOCAL_FAULTS: local,
    LOCAL_METER: meter,
    ...bindings
  } = env as Env & LocalBindings;
  if (local) faults.begin(local.worker, local.plan);
  if (meter !== undefined) usage.begin(meter);
  const limited = Object.fromEntries(
    Object.entries(bindings).map(([name, bound]) => {
      const value = farBuckets.includes(name) ? new FarBucket(bound as Fetcher) : bound;
      return [name, limitBinding(value, queues.includes(name), name)];
    }),
  );
  wrapped.set(env, limited);
  return limited as Env;
}

export function limitBinding(value: unknown, isQueue: boolean, binding: string): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (isQueue) return limitQueue(value as Queue, binding);
  switch (value.constructor?.name) {
    case "R2Bucket":
    case FarBucket.name:
      return proxy(value, connection, binding);
    case "DurableObjectNamespace":
      return proxy(value, namespace, binding);
    case "Fetcher":
      return proxy(value, rpc("service"), binding);
    default:
      return value;
  }
}

/** Every call is a subrequest and one of six connections until it is answered. */
const connection: Wrap =
  (target, name, method, binding) =>
  async (...args) => {
    if (usage.isOn && name === "put") usage.add(`r2/put ${String(args[0]).split("/", 1)} bytes`, bodyBytes(args[1]));
    const result = await invocation().call("r2", `${binding}.${name}`, () =>
      invocation().connected<unknown>(() => Reflect.apply(method, target, args)),
    );
    return name === "createMultipartUpload" ? proxy(result as object, connection, binding) : result;
  };

/** Of a body that is at hand as a whole; a stream's are not known. */
const bodyBytes = (body: unknown): number =>
  typeof body === "string" ? body.length : ((body as ArrayBufferView | undefined)?.byteLength ?? 0);

/** Names are free; a stub's calls are not. */
const namespace: Wrap =
  (target, name, method, binding) =>
  (...args) => {
    const result = Reflect.apply(method, target, args);
    if (name === "jurisdiction") return proxy(result, namespace, binding);
    return name === "get" || name === "getByName" ? proxy(result, rpc("object"), binding) : result;
  };

/** A call over a service binding or to an object: a subrequest, but no connection. Its 32 MiB the runtime checks. */
const rpc =
  (area: "object" | "service"): Wrap =>
  (target, name, method, binding) =>
  async (...args) => {
    invocation().countSubrequest();
    await invocation().paused();
    return invocation().call(area, `${binding}.${name}`, async () => Reflect.apply(method, target, args));
  };

/** What the platform bills a message by. */
const QUEUE_UNIT_BYTES = 65_536;

/** As a Queue: `sendBatch` takes any iterable, which an RPC would not carry. */
function limitQueue(queue: Queue, binding: string): Pick<Queue, "send" | "sendBatch" | "metrics"> {
  const meter = (body: unknown) => {
    if (!usage.isOn) return;
    usage.add(`queue/${binding} messages`);
    usage.add(`queue/${binding} units`, Math.ceil(structuredBytes(body) / QUEUE_UNIT_BYTES));
  };
  const call = <T>(name: string, run: () => Promise<T>) =>
    invocation().call("queue", `${binding}.${name}`, () => invocation().connected(run));
  return {
    metrics: () => call("metrics", () => queue.metrics()),
    send: (body, options) => {
      meter(body);
      return call("send", () => queue.send(body, options));
    },
    sendBatch: (messages, options) => {
      const batch = [...messages];
      for (const { body } of batch) meter(body);
      return call("sendBatch", () => queue.sendBatch(batch, options));
    },
  };
}

/**
 * Runtime objects check their `this`, so methods are called on the target, not on the proxy; with Reflect.apply,
 * because on a method of a stub `.apply` is one more remote name.
 */
function proxy(target: object, wrap: Wrap, binding: string): object {
  return new Proxy(target, {
    get(_, property) {
      const value = Reflect.get(target, property, target);
      if (typeof property === "symbol" || typeof value !== "function") return value;
      return wrap(target, property, value as Method, binding);
    },
  });
}
