/**
 * The four wrangler.toml, read into what a local run needs: they stay the one source of truth for bindings, queues and
 * limits. Only the keys used here are looked at; a key that a local run cannot honour is refused rather than ignored.
 */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parse } from "smol-toml";
import { countOf, type ShardHistory } from "../../r2-layout/shards.ts";

export const ROOT = resolve(import.meta.dirname, "../..");
export const WRANGLER_FILES = [
  "wrangler.toml",
  "workers/pipeline/wrangler.toml",
  "workers/objects/wrangler.toml",
  "workers/query/wrangler.toml",
] as const;

export interface QueueConsumer {
  readonly queue: string;
  readonly max_batch_size?: number;
  /** Seconds; fractions are allowed here. */
  readonly max_batch_timeout?: number;
  readonly max_retries?: number;
  /** Seconds. */
  readonly retry_delay?: number;
  readonly max_concurrency?: number;
  readonly dead_letter_queue?: string;
}

/** One wrangler.toml, keys as wrangler spells them. */
export interface WranglerConfig {
  readonly name: string;
  readonly main: string;
  readonly compatibility_date: string;
  readonly compatibility_flags?: readonly string[];
  readonly vars?: Readonly<Record<string, string | number | boolean>>;
  readonly alias?: Readonly<Record<string, string>>;
  readonly define?: Readonly<Record<string, string>>;
  readonly build?: { readonly command?: string };
  readonly assets?: {
    readonly directory: string;
    readonly binding?: string;
    readonly run_worker_first?: boolean | readonly string[];
    readonly html_handling?: string;
    readonly not_found_handling?: string;
  };
  readonly r2_buckets?: readonly { readonly binding: string; readonly bucket_name: string }[];
  readonly services?: readonly { readonly binding: string; readonly service: string; readonly entrypoint?: string }[];
  readonly durable_objects?: {
    readonly bindings: readonly { readonly name: string; readonly class_name: string; readonly script_name?: string }[];
  };
  readonly migrations?: readonly { readonly tag: string; readonly new_sqlite_classes?: readonly string[] }[];
  readonly queues?: {
    readonly producers?: readonly { readonly binding: string; readonly queue: string }[];
    readonly consumers?: readonly QueueConsumer[];
  };
  readonly triggers?: { readonly crons?: readonly string[] };
  readonly rules?: readonly unknown[];
  readonly limits?: unknown;
  readonly observability?: unknown;
  readonly workers_dev?: boolean;
}

/** A config and where it was found. */
export interface WorkerSource {
  readonly config: WranglerConfig;
  /** Absolute. */
  readonly folder: string;
  readonly main: string;
}

const KNOWN: Record<keyof WranglerConfig, true> = {
  name: true,
  main: true,
  compatibility_date: true,
  compatibility_flags: true,
  vars: true,
  alias: true,
  define: true,
  build: true,
  assets: true,
  r2_buckets: true,
  services: true,
  durable_objects: true,
  migrations: true,
  queues: true,
  triggers: true,
  rules: true,
  limits: true,
  observability: true,
  workers_dev: true,
};

/** @throws Error where a file has a binding that the local run does not know, so that none is missing without a word. */
export function readWorkerSources(): WorkerSource[] {
  return WRANGLER_FILES.map((file) => {
    const path = join(ROOT, file);
    const config = parse(readFileSync(path, "utf8")) as unknown as WranglerConfig;
    for (const key of Object.keys(config)) {
      if (!(key in KNOWN)) throw new Error(`${file}: the local run does not know the key "${key}" yet`);
    }
    const folder = dirname(path);
    return { config, folder, main: resolve(folder, config.main) };
  });
}

/** The classes of Durable Objects that a Worker itself exports. */
export const ownClasses = (config: WranglerConfig): string[] =>
  (config.migrations ?? []).flatMap((step) => step.new_sqlite_classes ?? []);

/**
 * The same configs for as many shards as the last of these numbers says: every binding EVENTS_0 and every consumer of events-0 once for each shard, as
 * an operator would write them out by hand, and SHARDS set.
 */
export function withShards(sources: readonly WorkerSource[], shards: ShardHistory): WorkerSource[] {
  const all = Array.from({ length: countOf(shards) }, (_, shard) => shard);
  return sources.map((source) => {
    const { config } = source;
    const producers = config.queues?.producers?.flatMap((producer) =>
      producer.queue === "events-0"
        ? all.map((k) => ({ ...producer, binding: producer.binding.replace(/0$/, String(k)), queue: `events-${k}` }))
        : [producer],
    );
    const consumers = config.queues?.consumers?.flatMap((consumer) =>
      consumer.queue === "events-0" ? all.map((k) => ({ ...consumer, queue: `events-${k}` })) : [consumer],
    );
    return {
      ...source,
      config: {
        ...config,
        vars: { ...config.vars, SHARDS: shards.join() },
        queues: { ...(producers && { producers }), ...(consumers && { consumers }) },
      },
    };
  });
}
