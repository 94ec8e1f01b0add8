/**
 * Some runs have tighter limits than the real ones: a step of few events, segments of few lines, timelines whose rows are
 * soon full. What needs a flood to happen in production then happens in a run of a few dozen requests.
 */

import { LAKE, LOG, REPLAY, SESSIONS, SINK, TIMELINE } from "../../r2-layout/limits.ts";
import type { Random } from "../../scripts/demo/random.ts";
import type { Weather } from "./platform/weather.ts";
import type { Scenario } from "./scenarios.ts";

/** Each drawn for itself: the real limit, or one of these. */
const TIGHT = [
  [SINK, "stepEvents", [3, 12]],
  [SESSIONS, "stepEvents", [2, 9]],
  [SESSIONS, "callsAtOnce", [1, 3]],
  [LOG, "segmentEvents", [4, 15]],
  [LOG, "segmentsPerRead", [1, 3]],
  [LOG, "idsPerRow", [4, 16]],
  [LAKE, "compactAboveFiles", [2, 5]],
  [LAKE, "compactInputs", [2, 4]],
  [TIMELINE, "rowBytes", [600, 2_500]],
] as const;

/** Only where a scenario wants it: a slice has as many steps as time allows, but each is saved. */
const CERTAIN = [[REPLAY, "stepEvents", "replayedEvents"]] as const;

/** Only where nobody rebuilds: a build moves in slices that need more calls than this. */
const FEW_CALLS = [16, 40];

/** Wake-ups of a sink, or a replay, that stands still. The real seconds over a day of standing still are most of a run's work. */
const PATIENT_MS = [20 * 60_000, 3 * 3_600_000];

/** @param rebuilds there are operations in this run. @param scenario what it has for certain. @returns what puts the real ones back. */
export function tightenLimits(
  random: Random,
  weather: Weather,
  rebuilds: boolean,
  { tight: certain, impatient }: Pick<Scenario, "tight" | "impatient">,
): () => void {
  const undo: (() => void)[] = [];
  if (random.chance(impatient)) weather.without("paused");
  else {
    const { wakeIntervalMaxMs } = LOG;
    const { resendMs } = REPLAY;
    Object.assign(LOG, { wakeIntervalMaxMs: random.pick(PATIENT_MS) });
    Object.assign(REPLAY, { resendMs: random.pick(PATIENT_MS) });
    const patience = globalThis.simulatorConstants.get("patience");
    patience?.(true);
    undo.push(() => {
      patience?.(false);
      Object.assign(LOG, { wakeIntervalMaxMs });
      Object.assign(REPLAY, { resendMs });
    });
  }
  const few = rebuilds ? [] : ([[SINK, "callsPerInvocation", FEW_CALLS]] as const);
  for (const [group, name, values] of [...TIGHT, ...few]) {
    const sure = certain[name];
    if (sure === undefined && !random.chance(0.25)) continue;
    const limits = group as unknown as Record<string, number>;
    const real = limits[name]!;
    limits[name] = sure ?? random.pick<number>(values);
    weather.count("tight", `${name} ${limits[name]}`);
    undo.push(() => {
      limits[name] = real;
    });
  }
  for (const [group, name, alias] of CERTAIN) {
    const value = certain[alias];
    if (value === undefined) continue;
    const limits = group as unknown as Record<string, number>;
    const real = limits[name]!;
    limits[name] = value;
    undo.push(() => {
      limits[name] = real;
    });
  }
  for (const [name, tighten] of globalThis.simulatorConstants) {
    if (name === "patience" || !(random.chance(0.45) || certain.windows)) continue;
    weather.count("tight", name);
    tighten(true);
    undo.push(() => tighten(false));
  }
  return () => {
    for (const put of undo) put();
  };
}
