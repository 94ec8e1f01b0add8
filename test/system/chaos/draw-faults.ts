/**
 * What goes wrong in one run, drawn from its seed. Every kind of fault has its turn within a dozen runs, so that a suite
 * of twenty has seen them all; what else comes with it, where and how often, the dice say.
 */

import { SINKS } from "../../../durable-objects/sink-cursor/api.ts";
import type { Random } from "../../../scripts/demo/random.ts";
import type { FaultKind, FaultPlan, FaultRule } from "../../../scripts/local/faults/plan.ts";
import type { Chaos } from "../../../scripts/local/queue/settings.ts";
import type { JobKind } from "./jobs.ts";

const JOBS: readonly (JobKind | null)[] = [null, "rebuild", "correction", null, "rebuild", "fill", null, "correction"];
export const KILLS = ["runtime", "group"] as const;
export type Kill = (typeof KILLS)[number];
export const QUEUE_CHAOS = ["twice", "dropAcks", "lateMs", "shuffle", "hold"] as const;

export interface DrawnFaults {
  readonly plan: FaultPlan;
  readonly queues: Chaos;
  /** Of this sink nothing is delivered while there is traffic. */
  readonly held: string | null;
  readonly kill: Kill | null;
  readonly job: JobKind | null;
  readonly afterSwap: "confirm" | "revert";
}

/** Of calls; where a step makes dozens of them, a small share is enough to fail every other step. */
const TARGETS: Readonly<Record<FaultKind, readonly (readonly [target: string, rateMax: number])[]>> = {
  before: [
    ["queue/*", 0.25],
    ["object/*", 0.08],
    ["r2/*", 0.15],
    ["object/EVENT_LOG.*", 0.3],
    ["object/LAKE_CATALOG.*", 0.4],
  ],
  after: [
    ["queue/*", 0.25],
    ["object/*", 0.08],
    ["r2/*", 0.15],
    ["object/EVENT_LOG.commit", 0.6],
    ["object/USER_TIMELINE.*", 0.1],
  ],
  delay: [
    ["queue/*", 0.4],
    ["object/*", 0.2],
    ["r2/*", 0.5],
    ["object/SINK_CURSOR.*", 0.5],
  ],
  overloaded: [
    ["queue/EVENTS_*", 0.3],
    ["object/*", 0.08],
    ["r2/BUCKET.put", 0.3],
    ["object/MINUTE_ROLLUP.*", 0.4],
  ],
  cut: [
    ["consumer/*", 0.3],
    ["consumer/events-*", 0.6],
    ["consumer/lake", 0.6],
    ["consumer/sessions", 0.6],
    ["consumer/rollups", 0.6],
  ],
  reset: [
    ["reset/*", 0.03],
    ["reset/EventLog.*", 0.15],
    ["reset/SinkCursor.*", 0.2],
    ["reset/LakeCatalog.*", 0.2],
    ["reset/MinuteRollup.*", 0.2],
  ],
};
const KINDS = Object.keys(TARGETS) as FaultKind[];

export function drawFaults(random: Random, run: number): DrawnFaults {
  const kinds = new Set<FaultKind>([KINDS[run % KINDS.length]!]);
  while (kinds.size < 2 || random.chance(0.5)) {
    kinds.add(random.pick(KINDS));
    if (kinds.size === KINDS.length) break;
  }
  const rules = [...kinds].map((kind): FaultRule => {
    const [target, rateMax] = random.pick(TARGETS[kind]);
    const rate = rateMax * (0.3 + 0.7 * random.next());
    return { target, kind, rate, ...(kind === "delay" && { delayMs: random.pick([20, 100, 400]) }) };
  });
  const due = QUEUE_CHAOS[run % QUEUE_CHAOS.length];
  const has = (kind: (typeof QUEUE_CHAOS)[number]) => kind === due || random.chance(0.3);
  return {
    plan: { seed: random.int(0, 2 ** 31), rules },
    queues: {
      ...(has("twice") && { twice: 0.4 }),
      ...(has("dropAcks") && { dropAcks: 0.3 }),
      ...(has("lateMs") && { lateMs: 300 }),
      ...(has("shuffle") && { shuffle: true }),
      seed: random.int(0, 2 ** 31),
    },
    held: has("hold") ? random.pick(SINKS) : null,
    kill: run % 12 === 5 ? "runtime" : run % 12 === 10 ? "group" : null,
    job: JOBS[run % JOBS.length]!,
    afterSwap: random.pick(["confirm", "revert"]),
  };
}
