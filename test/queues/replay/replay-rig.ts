/** The desk, the log and R2 as they are, with stores in memory: what tests of the replay driver share. */
import { reset } from "cloudflare:test";
import { afterEach, beforeEach, vi } from "vitest";
import type { JobState, ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import type { SinkName } from "../../../durable-objects/sink-cursor/api.ts";
import { fanOut } from "../../../queues/fan-out/fan-out.ts";
import { type ReplayDeps, runSlice } from "../../../queues/replay/consume.ts";
import { advanceFill } from "../../../queues/replay/fill-job.ts";
import { logRanges } from "../../../queues/replay/log-ranges.ts";
import type { ReplayParts } from "../../../queues/replay/parts.ts";
import { advanceRebuild } from "../../../queues/replay/rebuild-job.ts";
import { rowSource } from "../../../queues/replay/source.ts";
import type { ReplayTarget } from "../../../queues/replay/target.ts";
import { shardName } from "../../../r2-layout/keys.ts";
import { bindings } from "../../bindings.ts";
import { batchOf, bodyOf } from "../log-rig.ts";
import type { MemoryTarget } from "./memory-target.ts";

export const desk = (): ReplayDeskApi => bindings.REPLAY_DESK.getByName("desk");

let edges = 0;
/** A segment for each list of event numbers. */
export async function fillLog(segments: readonly (readonly number[])[], shard = 0): Promise<void> {
  for (const events of segments) {
    const { batch } = batchOf(`events-${shard}`, [bodyOf({ edge: `edge-${edges++}`, n: 1, before: 0, events, shard })]);
    await fanOut(batch, { logs: bindings.EVENT_LOG, bucket: bindings.BUCKET });
  }
}

export const idsOf = (numbers: readonly number[]): string[] => numbers.map((n) => `event-${n}`);

/** Moves the clock of everything in this isolate: leases run out. */
export class Clock {
  #ahead = 0;
  readonly #real = Date.now.bind(Date);

  constructor() {
    this.begin();
  }

  /** From now on, and from the time that it is. */
  begin(): void {
    this.#ahead = 0;
    vi.spyOn(Date, "now").mockImplementation(() => this.#real() + this.#ahead);
  }

  pass(ms: number): void {
    this.#ahead += ms;
  }
}

/** Each test of the file begins with this clock, with nothing of the one before, and with a console that is quiet. */
export function clockOfEachTest(): Clock {
  const clock = new Clock();
  beforeEach(() => {
    for (const level of ["log", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
    clock.begin();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await reset();
  });
  return clock;
}

/**
 * A process that dies right after the effect of one of its calls (0: before the first): nobody has that call's answer, and
 * no later call is made. To die before a call is to die after the one before it.
 */
export class Crash {
  readonly #after: number;
  calls = 0;
  fired = false;

  constructor(after: number = Number.POSITIVE_INFINITY) {
    this.#after = after;
  }

  async around<T>(call: () => Promise<T>): Promise<T> {
    if (this.fired || this.calls >= this.#after) this.#die();
    this.calls++;
    const answer = await call();
    if (this.calls >= this.#after) this.#die();
    return answer;
  }

  #die(): never {
    this.fired = true;
    throw new Error("injected crash");
  }

  /**
   * The same party, whose methods are calls of this process. @param effects those that change something, where reads are
   * not to count: to die at a read is to die after the effect before it.
   */
  within<T extends object>(party: T, effects?: readonly (keyof T)[]): T {
    return new Proxy(party, {
      get: (of, name) => {
        // Called on the party itself: every member of an RPC stub is a stub, `apply` too.
        const callable = of as Record<PropertyKey, (...args: unknown[]) => unknown>;
        if (typeof callable[name] !== "function") return callable[name];
        if (effects && !effects.includes(name as keyof T)) return (...args: unknown[]) => callable[name]!(...args);
        return (...args: unknown[]) => this.around(async () => callable[name]!(...args));
      },
    });
  }
}

export interface Rig {
  readonly targets: Readonly<Partial<Record<SinkName, MemoryTarget>>>;
  readonly shards?: number;
}

/** What one consumer process is handed. */
export function consumer({ targets, shards = 1 }: Rig, crash = new Crash()): ReplayDeps {
  const parts: ReplayParts = {
    shards,
    source: rowSource({
      logs: bindings.EVENT_LOG,
      bucket: bindings.BUCKET,
      lakeRows: () => {
        throw new Error("the log has it all");
      },
      holes: async () => [],
      lakeCursor: null,
    }),
    targets: () =>
      Object.fromEntries(
        Object.entries(targets).map(([sink, target]) => [sink, crash.within(target)]),
      ) as unknown as Record<SinkName, ReplayTarget>,
    ranges: (spec) => logRanges(bindings.EVENT_LOG, shards, spec),
  };
  return {
    desk: crash.within(desk()),
    hold: async () => null,
    advance: (slice) => (slice.job.kind === "fill" ? advanceFill(slice, parts) : advanceRebuild(slice, parts)),
  };
}

/** Slices until the job is in one of these states. @throws Error where it does not come to it. */
export async function runUntil(id: string, deps: ReplayDeps, clock: Clock, states: readonly JobState[]): Promise<void> {
  for (let slice = 0; slice < 200; slice++) {
    const job = await desk().job(id);
    if (job && states.includes(job.state)) return;
    await runSlice(id, deps);
    clock.pass(120_000);
  }
  throw new Error(`not ${states.join(" or ")}: ${JSON.stringify(await desk().job(id))}`);
}

export async function headOf(shard: number): Promise<number> {
  return (await bindings.EVENT_LOG.getByName(shardName(shard)).status()).head;
}
