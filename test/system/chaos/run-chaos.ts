/** One run of the chaos suite, and what it counts: traffic while things fail, then peace, then the audit. */
import { setTimeout as sleep } from "node:timers/promises";
import { MAINTENANCE_NOW_CRON } from "../../../queues/maintenance/messages.ts";
import { Random } from "../../../scripts/demo/random.ts";
import { control } from "../../../scripts/local/running-system.ts";
import { type RunningSystem, startSystem } from "../harness.ts";
import { audit, settle } from "./audit.ts";
import { type DrawnFaults, drawFaults } from "./draw-faults.ts";
import { beginJob, endJob } from "./jobs.ts";
import { Traffic } from "./traffic.ts";

const WAIT_FACTOR = 0.02;
const SHARDS = 2;
/** Events that a rebuild in the middle of a run may go over. */
const WHOLE_UP_TO = 6_000;
const RECENT_MS = 30_000;

/** How often each fault fired, by kind and target. */
export class FaultTable {
  readonly #counts = new Map<string, number>();

  add(kind: string, target: string, count: number): void {
    const name = `${kind}\t${target}`;
    if (count > 0) this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  total(kind: string): number {
    let sum = 0;
    for (const [name, count] of this.#counts) if (name.startsWith(`${kind}\t`)) sum += count;
    return sum;
  }

  toString(): string {
    const rows = [...this.#counts].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return rows
      .map(([name, count]) => {
        const [kind, target] = name.split("\t") as [string, string];
        return `${kind.padEnd(10)} ${target.padEnd(40)} ${String(count).padStart(7)}`;
      })
      .join("\n");
  }
}

/** A system that one run after the other uses; started by the first. */
export class ChaosSuite {
  readonly table = new FaultTable();
  readonly traffic = { requests: 0, failed: 0, acked: 0, sent: 0 };
  #system: RunningSystem | null = null;
  #wasKilled = false;

  /** @throws Error with the seed and the faults of the run, where it fails. */
  async run(seed: number, run: number): Promise<void> {
    const random = new Random(seed + run * 7_919);
    const faults = drawFaults(random, run);
    try {
      await this.#run(`c${seed}x${run}`, random, faults);
    } catch (error) {
      const again = `CHAOS_SEED=${seed} CHAOS_RUNS=1 CHAOS_FIRST=${run}`;
      const failed = new Error(`${again}: ${(error as Error).message}\nfaults: ${JSON.stringify(faults)}`, {
        cause: error,
      });
      failed.stack = `${failed.message}\n${(error as Error).stack}`;
      throw failed;
    }
  }

  async stop(): Promise<void> {
    await this.#system?.stop();
  }

  async #run(prefix: string, random: Random, faults: DrawnFaults): Promise<void> {
    let system = this.#system ?? (await startSystem({ shards: SHARDS, waitFactor: WAIT_FACTOR }));
    this.#system = system;
    let url: string | null = system.url;
    const traffic = new Traffic(prefix, random, () => url);
    await this.#inject(system, faults);
    const began = Date.now();
    const running = traffic.run();
    running.catch(() => {}); // Awaited below, after a kill.
    const job =
      faults.job &&
      sleep(random.int(0, 400)).then(() =>
        beginJob(() => this.#system!, faults.job!, prefix, random, this.#jobsFrom()),
      );
    job?.catch(() => {});
    if (random.chance(0.3)) await control("POST", `/local/cron?name=${MAINTENANCE_NOW_CRON}`, undefined, system.url);
    if (faults.kill !== null) {
      await sleep(random.int(50, 600));
      await this.#count(system);
      url = null;
      this.#wasKilled = true;
      this.table.add("kill", faults.kill, 1);
      if (faults.kill === "runtime") await system.killRuntime();
      else {
        await system.kill();
        system = await system.again();
        this.#system = system;
      }
      await this.#inject(system, faults);
      url = system.url;
    }
    await running;
    const jobPath = await job;
    const served = Date.now();
    await this.#count(system);
    await system.chaos({});
    await system.setFaults();
    if (jobPath) {
      await endJob(system, jobPath, faults.afterSwap);
      this.table.add("job", faults.job!, 1);
    }
    const ledger = await settle(system, this.#wasKilled);
    const settled = Date.now();
    await audit(system, traffic, ledger);
    if (process.env.CHAOS_TIMES)
      console.log(prefix, faults.kill, faults.job, {
        traffic: served - began,
        settle: settled - served,
        audit: Date.now() - settled,
      });
    this.traffic.requests += traffic.counts.requests;
    this.traffic.failed += traffic.counts.failed;
    this.traffic.acked += traffic.acked.size;
    this.traffic.sent += traffic.sent.size;
  }

  /** All there is, while that is little; of a long soak the last run and a bit. */
  #jobsFrom(): number | null {
    return this.traffic.acked < WHOLE_UP_TO ? null : Date.now() - RECENT_MS;
  }

  async #inject(system: RunningSystem, { plan, queues, held }: DrawnFaults): Promise<void> {
    await system.chaos(queues);
    if (held !== null) await system.chaos({ ...queues, hold: true }, held);
    await system.setFaults(plan);
    this.#before = await queueCounts(system);
  }

  #before: ReadonlyMap<string, number> = new Map();

  async #count(system: RunningSystem): Promise<void> {
    for (const { worker, fired } of await system.faultReports()) {
      for (const { kind, target, count } of fired)
        this.table.add(kind, `${worker.replace("eventpile-", "")} ${target}`, count);
    }
    for (const [name, count] of await queueCounts(system)) {
      const [kind, queue] = name.split("\t") as [string, string];
      this.table.add(kind, queue, count - (this.#before.get(name) ?? 0));
    }
  }
}

async function queueCounts(system: RunningSystem): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { queue, fired } of await system.queues()) {
    for (const [kind, count] of Object.entries(fired)) counts.set(`${kind}\tqueue ${queue}`, count);
  }
  return counts;
}
