/** EVENTPILE_CHAOS: `{"<queue>" or "*": chaos of a local queue, "faults": {"seed", "rules"}}`. */
import { type FaultPlan, NO_FAULTS, none, object, parseFaultPlan, show } from "./faults/plan.ts";
import type { Chaos } from "./queue/settings.ts";

export interface ChaosSetting {
  /** By queue, or `*`. */
  readonly queues: Readonly<Record<string, Chaos>>;
  readonly faults: FaultPlan;
}

/** @throws RangeError in one line that says what is wrong with it. */
export function parseChaos(text: string): ChaosSetting {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RangeError(`it is not JSON: ${(error as Error).message}`);
  }
  const { faults, ...queues } = object(value, "it");
  return {
    queues: Object.fromEntries(Object.entries(queues).map(([queue, chaos]) => [queue, parseQueueChaos(chaos, queue)])),
    faults: faults === undefined ? NO_FAULTS : parseFaultPlan(faults),
  };
}

/** @throws RangeError */
export function parseQueueChaos(value: unknown, at: string): Chaos {
  const { twice, dropAcks, lateMs, shuffle, hold, seed, ...rest } = object(value, at);
  none(rest, at);
  check({ twice, dropAcks }, at, "a share from 0 to 1", (it) => typeof it === "number" && it >= 0 && it <= 1);
  check({ lateMs }, at, "milliseconds", (it) => typeof it === "number" && it >= 0);
  check({ shuffle, hold }, at, "true or false", (it) => typeof it === "boolean");
  check({ seed }, at, "a whole number", Number.isSafeInteger);
  return value as Chaos;
}

function check(members: Record<string, unknown>, at: string, expected: string, isRight: (value: unknown) => boolean) {
  for (const [name, value] of Object.entries(members)) {
    if (value !== undefined && !isRight(value))
      throw new RangeError(`${at}.${name} is ${show(value)}, not ${expected}`);
  }
}
