/** The simulated bucket, objects and queues keep the contract that the real ones keep (workerd.workerd.test.ts). */
import { Random } from "../../../scripts/demo/random.ts";
import { takeOverGlobals } from "../platform/globals.ts";
import { Network } from "../platform/network.ts";
import { type ObjectClass, SimulatedObjects } from "../platform/objects.ts";
import { SimulatedQueues } from "../platform/queues.ts";
import { SimulatedBucket } from "../platform/r2.ts";
import { Process, Scheduler } from "../platform/scheduler.ts";
import { Weather } from "../platform/weather.ts";
import { bucketContract } from "./bucket-contract.ts";
import { type ContractApi, contractObject } from "./contract-object.ts";
import { objectContract } from "./object-contract.ts";
import { queueContract } from "./queue-contract.ts";

class StandIn {
  readonly ctx: DurableObjectState;
  readonly env: unknown;

  constructor(ctx: DurableObjectState, env: unknown) {
    this.ctx = ctx;
    this.env = env;
  }
}

const CLASSES = { Contract: contractObject(StandIn) as unknown as ObjectClass };

let turn = Promise.resolve();

/** A platform without faults whose time goes on whenever somebody waits for an answer of it. */
class Platform {
  readonly scheduler = new Scheduler(Date.now());
  readonly network = new Network(this.scheduler, new Weather(1), new Random(1));
  readonly process = new Process("test");
  #waiting = 0;
  #runs = false;

  /** Every method of it drives the scheduler until it has answered. */
  driving<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, name) => {
        const member = Reflect.get(target, name) as unknown;
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => {
          const result = member.apply(target, args) as unknown;
          return result instanceof Promise ? this.#driven(result) : result;
        };
      },
    });
  }

  /** As a moment of real waiting. */
  async pass(ms: number): Promise<void> {
    await this.#driven(
      new Promise<void>((resolve) => {
        this.scheduler.after(ms, null, "a moment passes", resolve);
      }),
    );
  }

  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    for (let round = 0; !(await condition()); round++) {
      if (round === 200) throw new Error("not within 20 simulated seconds");
      await this.pass(100);
    }
  }

  async #driven<T>(result: Promise<T>): Promise<T> {
    this.#waiting++;
    this.#run();
    try {
      const value = await result;
      const methods = typeof value === "object" && value !== null && "arrayBuffer" in value;
      return methods ? this.driving(value) : value;
    } finally {
      this.#waiting--;
    }
  }

  #run(): void {
    if (this.#runs) return;
    this.#runs = true;
    // In a microtask: calls that a test makes side by side begin in one moment.
    // After the platform of the test before, which would put the real clock back into the middle of this one.
    turn = turn.then(async () => {
      const restore = takeOverGlobals(this.scheduler, new Random(2), () => {});
      await this.scheduler.run(() => this.#waiting === 0);
      restore();
      this.#runs = false;
    });
  }
}

bucketContract(async () => {
  const platform = new Platform();
  return platform.driving(new SimulatedBucket(platform.network).binding(platform.process)) as R2Bucket;
});

objectContract(async () => {
  const platform = new Platform();
  const objects = new SimulatedObjects(platform.network, CLASSES, () => ({}));
  const namespace = objects.namespace("Contract", platform.process);
  return {
    object: (name) => platform.driving(namespace.getByName(name)) as ContractApi,
    evict: async (name) => objects.host("Contract", name).evict(),
    until: (condition) => platform.until(condition),
  };
});

queueContract(async (decide, { maxRetries, batchSize, waitMs }) => {
  const platform = new Platform();
  const queues = new SimulatedQueues(
    platform.network,
    (name) =>
      name === "a" ? { maxRetries, batchSize, batchTimeoutMs: waitMs, retryDelayMs: 0, deadLetterQueue: "dead" } : null,
    async (_, handed) => {
      const batch = handed as MessageBatch;
      const decision = decide(batch.messages);
      for (const message of batch.messages) {
        if (decision.ack?.includes(message.id)) message.ack();
        if (decision.retry?.includes(message.id)) message.retry({ delaySeconds: decision.delaySeconds });
      }
      if (decision.throws) throw new Error("the consumer failed on purpose");
      if (decision.retryAll) batch.retryAll();
    },
  );
  const producer = platform.driving(queues.binding("a", platform.process)) as Queue;
  return {
    send: (messages) => producer.sendBatch(messages as MessageSendRequest[]) as unknown as Promise<void>,
    now: () => platform.scheduler.now,
    dead: async () => queues.queue("dead").taken.length,
    left: async () => (queues.queue("a").isBusy ? 1 : 0),
    until: (condition) => platform.until(condition),
    stop: async () => {},
  };
});
