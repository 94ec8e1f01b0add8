/**
 * The whole system on the simulated platform: the objects' classes, the pipeline Worker with all its stages, the edges'
 * senders, bound together as the wrangler.toml files say. What is real is imported; what is simulated is what Cloudflare
 * runs. The LiveHub is left out: it is a cache of what the rollups say, and holds sockets.
 */

import { MAINTENANCE_NOW_CRON, type MaintenanceMessage } from "../../queues/maintenance/messages.ts";
import { countOf, type ShardHistory } from "../../r2-layout/shards.ts";
import { dayOf } from "../../r2-layout/time.ts";
import { Random } from "../../scripts/demo/random.ts";
import { readWorkerSources, type WorkerSource, withShards } from "../../scripts/local/wrangler-config.ts";
import * as objectClasses from "../../workers/objects/index.ts";
import pipeline from "../../workers/pipeline/index.ts";
import { codec } from "./codec/codec.ts";
import { watchJobLeases } from "./job-leases.ts";
import { takeOverGlobals } from "./platform/globals.ts";
import { Network } from "./platform/network.ts";
import { type Bindings, type Departs, type ObjectClass, SimulatedObjects } from "./platform/objects.ts";
import { type ConsumerSettings, SimulatedQueues } from "./platform/queues.ts";
import { SimulatedBucket } from "./platform/r2.ts";
import { Process, Scheduler } from "./platform/scheduler.ts";
import { Weather } from "./platform/weather.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Some time in November 2026, drawn within a week, so that hours and days end in the middle of runs. */
const EPOCH_MS = Date.UTC(2026, 10, 20);

export const IDENTITY_KEY = "simulated";

class LiveHubStandIn {
  async publish(): Promise<void> {}
  async publishTile(): Promise<void> {}
}

const CLASSES = { ...objectClasses, LiveHub: LiveHubStandIn } as unknown as Readonly<Record<string, ObjectClass>>;
const SOURCES = readWorkerSources();

type Config = WorkerSource["config"];
type Worker = "pipeline" | "objects" | "edge";

const configs = new Map<string, Readonly<Record<Worker, Config>>>();

/** The wrangler.toml files for these shards. */
function configsFor(shards: ShardHistory): Readonly<Record<Worker, Config>> {
  let known = configs.get(shards.join());
  if (!known) {
    const byName = new Map(withShards(SOURCES, shards).map(({ config }) => [config.name, config]));
    const config = (name: Worker) => byName.get(`eventpile-${name}`)!;
    known = { pipeline: config("pipeline"), objects: config("objects"), edge: config("edge") };
    configs.set(shards.join(), known);
  }
  return known;
}

export interface WorldOptions {
  readonly seed: number;
  /** As SHARDS says it. */
  readonly shards: ShardHistory;
  readonly realParquet: boolean;
  readonly trace?: ((text: string) => void) | null;
}

export class World {
  readonly scheduler: Scheduler;
  readonly weather: Weather;
  readonly network: Network;
  readonly bucket: SimulatedBucket;
  readonly queues: SimulatedQueues;
  readonly objects: SimulatedObjects;
  /** Milliseconds. */
  readonly beganAt: number;
  /** For what the run itself decides; faults and latencies have their own. */
  readonly random: Random;
  /** The numbers of shards that each Worker was deployed with. */
  readonly deployed: Record<Worker, ShardHistory>;
  /** Log objects that went bad at some time, and what was in them. */
  readonly damaged = new Set<string>();
  readonly originals = new Map<string, Uint8Array>();
  /** What was found wrong before the audit. */
  readonly complaints: string[] = [];
  /** Work of the run that is still to come, or under way. */
  pending = 0;
  readonly #restore: () => void;
  #crons = 0;
  #cronsRunning = 0;
  #cronTurn = 0;

  constructor({ seed, shards, realParquet, trace = null }: WorldOptions) {
    const seeds = new Random(seed);
    const next = () => seeds.int(0, 2 ** 31);
    this.random = new Random(next());
    this.deployed = { pipeline: shards, objects: shards, edge: shards };
    this.scheduler = new Scheduler(EPOCH_MS + this.random.int(0, 7 * 24 * HOUR_MS));
    this.beganAt = this.scheduler.now;
    if (trace) this.scheduler.trace = (at, label) => trace(`${new Date(at).toISOString()} ${label}`);
    this.weather = new Weather(next());
    this.network = new Network(this.scheduler, this.weather, new Random(next()));
    for (const reset of globalThis.simulatorResets) reset();
    this.#restore = takeOverGlobals(this.scheduler, new Random(next()), trace && ((text) => trace(`    ${text}`)));
    Object.assign(codec, { real: realParquet, scheduler: this.scheduler });

    this.bucket = new SimulatedBucket(this.network);
    this.queues = new SimulatedQueues(
      this.network,
      (queue) => {
        const { queues } = configsFor(this.deployed.pipeline).pipeline;
        return consumerSettings(queues?.consumers?.find((consumer) => consumer.queue === queue));
      },
      async (process, batch) => pipeline.queue(batch as never, this.bindings("pipeline", process) as never),
    );
    this.objects = new SimulatedObjects(
      this.network,
      CLASSES,
      (process, departs) => this.bindings("objects", process, departs),
      watchJobLeases((text) => this.complaints.push(text)),
    );
  }

  get shards(): number {
    return countOf(this.deployed.objects);
  }

  /** A new version of a Worker, that knows these shards. Objects start anew; what runs elsewhere ends as it began. */
  deploy(worker: Worker, shards: ShardHistory): void {
    this.deployed[worker] = shards;
    if (worker === "objects") this.objects.resetAll();
  }

  /** A Worker's `env`, for one process of it. */
  bindings(worker: Worker, process: Process, departs?: Departs): Bindings {
    const config = configsFor(this.deployed[worker])[worker];
    const env: Record<string, unknown> = { ...config.vars, IDENTITY_KEY, RECEIPT_KEY: "simulated" };
    for (const { binding } of config.r2_buckets ?? []) env[binding] = this.bucket.binding(process, departs);
    for (const { binding, queue } of config.queues?.producers ?? []) {
      env[binding] = this.queues.binding(queue, process, departs);
    }
    for (const { name, class_name } of config.durable_objects?.bindings ?? []) {
      env[name] = this.objects.namespace(class_name, process, departs);
    }
    return env;
  }

  /** Runs the scheduler until work of an own process, without faults, has ended. */
  async ask<T>(work: (env: Bindings) => Promise<T>): Promise<T> {
    const process = new Process("auditor");
    let answer: { value: T } | { error: unknown } | null = null;
    this.scheduler.after(0, process, "ask", () => {
      work(this.bindings("pipeline", process)).then(
        (value) => {
          answer = { value };
        },
        (error) => {
          answer = { error };
        },
      );
    });
    await this.scheduler.run(() => answer !== null);
    if (!answer) throw new Error("an answer never came");
    if ("error" in answer) throw (answer as { error: unknown }).error;
    return (answer as { value: T }).value;
  }

  /** One turn of the pipeline's cron. @param seldom hours after the last */
  cron(seldom = false): void {
    if (this.weather.strikes("cron_lost", "cron")) return;
    const process = new Process(`cron#${++this.#crons}`);
    this.#cronsRunning++;
    const over = () => this.#cronsRunning--;
    // Small lakes need no compaction, and a seldom turn would miss the minutes of the sweeps.
    const cron = this.random.chance(seldom ? 0.3 : 0.03) ? MAINTENANCE_NOW_CRON : "* * * * *";
    if (this.random.chance(seldom ? 0.8 : 0.1)) this.sweep();
    const controller = { scheduledTime: Math.floor(this.scheduler.now), cron, noRetry: () => {} };
    const env = this.bindings("pipeline", process) as never;
    this.scheduler.after(0, process, "cron", () => {
      let ended = false;
      const end = () => {
        if (!ended) over();
        ended = true;
      };
      process.onDeath.push(end);
      Promise.resolve(pipeline.scheduled(controller as never, env)).then(end, end);
    });
  }

  /** Small lakes need none: of all that is to be merged. */
  compact(): void {
    this.queues.queue("maintenance").put([{ body: { kind: "compact", aboveFiles: 1 } satisfies MaintenanceMessage }]);
  }

  /** As the cron of some hours has it. */
  sweep(): void {
    const day = (daysAgo: number) => dayOf((this.scheduler.now - daysAgo * 24 * HOUR_MS) * 1_000);
    const kinds: MaintenanceMessage[] = [{ kind: "sweep-lake" }];
    for (const ago of [0, 1]) kinds.push({ kind: "sweep-log", day: day(ago) });
    this.queues.queue("maintenance").put(kinds.map((body) => ({ body })));
  }

  /** Turns of the cron from now on: each minute for a time, then more and more seldom, so that days cost little. */
  startCron(eachMinuteForMs: number): void {
    const turn = ++this.#cronTurn;
    const { scheduler } = this;
    const until = scheduler.now + eachMinuteForMs;
    let waitMs = MINUTE_MS;
    const next = () => {
      if (scheduler.now > until) waitMs = Math.min(6 * HOUR_MS, waitMs * 2);
      scheduler.after(waitMs, null, "cron is due", () => {
        if (turn !== this.#cronTurn) return;
        this.cron(waitMs > HOUR_MS);
        next();
      });
    };
    next();
  }

  /** Nothing moves, and nothing will before an alarm or the cron. */
  get isQuiet(): boolean {
    return (
      this.pending === 0 &&
      this.network.travelling() === 0 &&
      this.#cronsRunning === 0 &&
      !this.queues.isBusy &&
      !this.objects.isBusy
    );
  }

  /** What keeps it from being quiet, for people. */
  get stirring(): string {
    const names = [
      ...(this.pending > 0 ? [`${this.pending} of the run`] : []),
      ...this.network.underWay(),
      ...(this.#cronsRunning > 0 ? [`${this.#cronsRunning} turns of the cron`] : []),
      ...this.queues.busy.map((name) => `queue ${name}`),
      ...this.objects.busy,
    ];
    return names.join(", ");
  }

  close(): void {
    this.#restore();
    this.objects.close();
  }
}

function consumerSettings(
  consumer: NonNullable<NonNullable<Config["queues"]>["consumers"]>[number] | undefined,
): ConsumerSettings | null {
  if (!consumer) return null;
  return {
    batchSize: consumer.max_batch_size ?? 10,
    batchTimeoutMs: (consumer.max_batch_timeout ?? 5) * 1_000,
    maxRetries: consumer.max_retries ?? 3,
    retryDelayMs: (consumer.retry_delay ?? 0) * 1_000,
    deadLetterQueue: consumer.dead_letter_queue ?? null,
  };
}
