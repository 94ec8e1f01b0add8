/**
 * The four Workers of a local run, and those that stand for its queues and buckets, as Miniflare wants them: in two
 * runtimes. All Workers of one runtime share its thread, so the query Worker has its own: there a heavy statement takes
 * no time from lookups, sockets and ingest, as in a deployment. Each runtime finds the other's Workers in Miniflare's
 * registry, a folder, and calls them as its own.
 */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { V4MiniflareOptions } from "miniflare";
import { bucketBinding, bucketWorker } from "./bucket/bucket-worker.ts";
import { bundleWorker, waitFactorDefine } from "./bundle.ts";
import type { ChaosSetting } from "./chaos-setting.ts";
import {
  LOCAL_S3_KEY_ID,
  LOCAL_S3_SECRET,
  LOCAL_TOKEN,
  LOCAL_USER_TOKEN_KEY,
  LOCAL_WRITE_KEY,
  localSqlTokens,
} from "./credentials.ts";
import { limitedEntry } from "./limits/limited-entry.ts";
import { QUEUE_WORKER_NAME, queueBinding, queueWorker } from "./queue/queue-worker.ts";
import { type ConsumerSettings, consumerSettings } from "./queue/settings.ts";
import { type V4Worker, v4Modules } from "./v4-worker.ts";
import { ownClasses, type WorkerSource } from "./wrangler-config.ts";

const hash = (token: string): string => createHash("sha256").update(token).digest("hex");

const LOCAL_VARS = {
  WRITE_KEYS: JSON.stringify({ [LOCAL_WRITE_KEY]: "dev" }),
  TOKENS: JSON.stringify([
    { sha256: hash(LOCAL_TOKEN), scopes: ["support", "profile", "sql", "live", "raw", "admin"] },
    ...localSqlTokens().map((token) => ({ sha256: hash(token), scopes: ["sql"] })),
  ]),
  IDENTITY_KEY: "local-identity-key",
  // Known to everybody: a local receipt proves nothing.
  RECEIPT_KEY: "MC4CAQAwBQYDK2VwBCIEIFuOYjjMdZt88AMyh3T8Atiq4wIPptlMm8ccfOTo9K6X",
  USER_TOKEN_KEYS: JSON.stringify([LOCAL_USER_TOKEN_KEY]),
  EVENTPILE_LOCAL: "1",
  SQL_AUDIT: "off",
  // Else what one looks at would be counted in what one looks at.
  AUDIT: process.env.EVENTPILE_AUDIT ?? "off",
  LOCAL_S3_KEYS: `${LOCAL_S3_KEY_ID}:${LOCAL_S3_SECRET}`,
};

export interface LocalOptions {
  readonly sources: readonly WorkerSource[];
  readonly port: number;
  /** The folder in which the runtimes of this run find each other. */
  readonly registryPath: string;
  readonly chaos: ChaosSetting;
  /** Of all waits. */
  readonly waitFactor: number;
  /** Whether what each Worker uses is counted. */
  readonly meter: boolean;
}

/** Workers that run in the second runtime. */
const APART: ReadonlySet<string> = new Set(["eventpile-query"]);
const runsApart = ({ config }: WorkerSource): boolean => APART.has(config.name);

export interface LocalRuntimes {
  readonly main: V4MiniflareOptions;
  readonly query: V4MiniflareOptions;
}

/** The first Worker of a runtime gets its requests: of the main one that is the edge, of the other one that only tells that it lives. */
export async function localOptions(options: LocalOptions): Promise<LocalRuntimes> {
  const { sources } = options;
  const date = sources[0]!.config.compatibility_date;
  const apart = sources.filter(runsApart);
  const [workers, queues, buckets] = await Promise.all([
    Promise.all(sources.map((source) => localWorker(source, options))),
    localQueues(options),
    bucketWorker(
      [...new Set(apart.flatMap(({ config }) => (config.r2_buckets ?? []).map((r2) => r2.bucket_name)))],
      date,
    ),
  ]);
  const common = {
    host: "127.0.0.1",
    // No geography is looked up for a local connection, and none is made up.
    cf: {},
    unsafeDevRegistryPath: options.registryPath,
  };
  return {
    main: {
      ...common,
      port: options.port,
      workers: [...workers.filter((_, i) => !runsApart(sources[i]!)), queues, buckets],
    },
    query: { ...common, port: 0, workers: [aliveWorker(date), ...workers.filter((_, i) => runsApart(sources[i]!))] },
  };
}

/** Answers whoever asks whether the runtime does, and hides Workers that rely on the edge for whom they talk to. */
const aliveWorker = (compatibilityDate: string): V4Worker => ({
  name: "eventpile-alive",
  compatibilityDate,
  ...v4Modules([
    {
      type: "ESModule",
      path: "alive.js",
      contents: "export default { fetch: () => new Response(null, { status: 204 }) };",
    },
  ]),
});

async function localWorker(source: WorkerSource, { chaos, waitFactor, meter }: LocalOptions): Promise<V4Worker> {
  const { config } = source;
  const buckets = config.r2_buckets ?? [];
  const isApart = runsApart(source);
  const producers = config.queues?.producers ?? [];
  const own = new Set(ownClasses(config));
  return {
    name: config.name,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: [...(config.compatibility_flags ?? [])],
    ...v4Modules(
      await bundleWorker({
        entry: limitedEntry({ main: source.main, classes: [...own], isEdge: config.assets !== undefined }),
        folder: source.folder,
        name: config.name,
        ...(config.alias && { alias: config.alias }),
        define: { ...config.define, ...waitFactorDefine(waitFactor) },
      }),
    ),
    bindings: {
      ...config.vars,
      ...LOCAL_VARS,
      LOCAL_QUEUE_BINDINGS: producers.map(({ binding }) => binding),
      ...(isApart && { LOCAL_FAR_BUCKETS: buckets.map(({ binding }) => binding) }),
      ...(config.assets && { LOCAL_S3: { bucketName: bucketName(source), accessKeyId: LOCAL_S3_KEY_ID } }),
      LOCAL_FAULTS: JSON.parse(JSON.stringify({ worker: config.name, token: LOCAL_TOKEN, plan: chaos.faults })),
      ...(meter && { LOCAL_METER: config.name }),
    },
    ...(!isApart && { r2Buckets: Object.fromEntries(buckets.map((r2) => [r2.binding, r2.bucket_name])) }),
    durableObjects: Object.fromEntries(
      (config.durable_objects?.bindings ?? []).map(({ name, class_name, script_name }) => [
        name,
        script_name === undefined || own.has(class_name)
          ? { className: class_name, useSQLite: true }
          : { className: class_name, scriptName: script_name },
      ]),
    ),
    serviceBindings: {
      ...Object.fromEntries(
        (config.services ?? []).map(({ binding, service, entrypoint }) => [binding, { name: service, entrypoint }]),
      ),
      ...Object.fromEntries(producers.map(({ binding, queue }) => [binding, queueBinding(queue)])),
      ...(isApart && Object.fromEntries(buckets.map((r2) => [r2.binding, bucketBinding(r2.bucket_name)]))),
      ...(config.assets && { LOCAL_CONTROL: QUEUE_WORKER_NAME }),
    },
    ...(config.assets && { assets: localAssets(source) }),
  };
}

const bucketName = ({ config }: WorkerSource): string => config.r2_buckets?.[0]?.bucket_name ?? "eventpile";

function localAssets(source: WorkerSource): NonNullable<V4Worker["assets"]> {
  const { directory, binding, run_worker_first: first, html_handling, not_found_handling } = source.config.assets!;
  const folder = join(source.folder, directory);
  mkdirSync(folder, { recursive: true });
  return {
    directory: folder,
    ...(binding && { binding }),
    run_worker_first: Array.isArray(first)
      ? [...first, "/local/*", `/${bucketName(source)}/*`, `/${bucketName(source)}`]
      : (first as boolean | undefined),
    routerConfig: { has_user_worker: true },
    assetConfig: { html_handling, not_found_handling } as NonNullable<V4Worker["assets"]>["assetConfig"],
  };
}

/** Delivers each queue to the Worker whose wrangler.toml consumes it, and calls each cron. */
function localQueues({ sources, chaos, waitFactor }: LocalOptions): Promise<V4Worker> {
  const bindingOf = (source: WorkerSource) => `WORKER_${sources.indexOf(source)}`;
  const consumers: Record<string, ConsumerSettings> = {};
  const names = new Set<string>();
  for (const source of sources) {
    for (const { queue } of source.config.queues?.producers ?? []) names.add(queue);
    for (const consumer of source.config.queues?.consumers ?? []) {
      consumers[consumer.queue] = consumerSettings(consumer, bindingOf(source));
      names.add(consumer.queue);
    }
  }
  const scheduled = sources.filter((source) => source.config.triggers?.crons?.length);
  return queueWorker({
    queues: [...names],
    consumers,
    crons: Object.fromEntries(scheduled.map((source) => [bindingOf(source), [...source.config.triggers!.crons!]])),
    services: Object.fromEntries(sources.map((source) => [bindingOf(source), source.config.name])),
    faultWorkers: sources.map(bindingOf),
    chaos: chaos.queues,
    waitFactor,
    compatibilityDate: sources[0]!.config.compatibility_date,
  });
}
