/** The Worker of the local queues, for Miniflare, and the binding that stands for a queue in a producing Worker. */
import { join } from "node:path";
import { bundleWorker, waitFactorDefine } from "../bundle.ts";
import { LOCAL_TOKEN } from "../credentials.ts";
import { type V4Worker, v4Modules } from "../v4-worker.ts";
import { ROOT } from "../wrangler-config.ts";
import type { Chaos, ConsumerSettings } from "./settings.ts";

export const QUEUE_WORKER_NAME = "eventpile-local";

export const queueBinding = (queue: string) => ({ name: QUEUE_WORKER_NAME, entrypoint: "Queue", props: { queue } });

export interface QueueWorkerOptions {
  readonly queues: readonly string[];
  /** By queue. */
  readonly consumers: Readonly<Record<string, ConsumerSettings>>;
  /** By binding: when the scheduled handler of that Worker is called. */
  readonly crons: Readonly<Record<string, string[]>>;
  /** Worker names by the bindings that the two above name. */
  readonly services: Readonly<Record<string, string>>;
  /** By queue, or `*`. */
  readonly chaos: Readonly<Record<string, Chaos>>;
  readonly compatibilityDate: string;
  /** Of the services, those whose calls can be made to fail. */
  readonly faultWorkers?: readonly string[];
  /** Of all waits; 1 when absent. */
  readonly waitFactor?: number;
}

export async function queueWorker(options: QueueWorkerOptions): Promise<V4Worker> {
  const entry = JSON.stringify(join(ROOT, "scripts/local/queue/worker.ts"));
  return {
    name: QUEUE_WORKER_NAME,
    compatibilityDate: options.compatibilityDate,
    compatibilityFlags: ["nodejs_compat", "service_binding_extra_handlers"],
    ...v4Modules(
      await bundleWorker({
        entry: `export * from ${entry};\nexport { default } from ${entry};`,
        folder: ROOT,
        name: QUEUE_WORKER_NAME,
        define: waitFactorDefine(options.waitFactor),
      }),
    ),
    bindings: {
      QUEUE_NAMES: [...options.queues],
      CONSUMERS: json(options.consumers),
      CRONS: { ...options.crons },
      CHAOS: json(options.chaos),
      CONTROL_TOKEN: LOCAL_TOKEN,
      FAULT_WORKERS: [...(options.faultWorkers ?? [])],
    },
    // Never evicted: its timers are what delivers.
    durableObjects: { LOCAL_QUEUES: { className: "LocalQueue", useSQLite: true, unsafePreventEviction: true } },
    serviceBindings: { ...options.services },
  };
}

/** A JSON binding's value, from types that TypeScript does not see as JSON. */
const json = (value: object): Record<string, never> => JSON.parse(JSON.stringify(value));
