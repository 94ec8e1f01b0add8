/**
 * Which calls of a local run go wrong, and how. A target names what is called, with `*` for any text:
 *
 *     queue/EVENTS_0.send    object/EVENT_LOG.commit    r2/BUCKET.put    the caller's side, by its binding
 *     consumer/lake                                                     an invocation of a queue's consumer
 *     reset/MinuteRollup.apply                                          a call to an object, on the object's side
 */

export const FAULT_KINDS = ["before", "after", "delay", "overloaded", "cut", "reset"] as const;
/**
 * `before`: fails without effect. `after`: has its effect, then fails, as if the answer was lost. `delay`: late, before or
 * after the effect. `overloaded`: refused as too much. `cut`: the consumer's invocation ends at one of its calls, and
 * nothing of its code runs any more. `reset`: the object loses its memory, before or after the call.
 */
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface FaultRule {
  readonly target: string;
  readonly kind: FaultKind;
  /** Share of the calls, above 0 to 1. */
  readonly rate: number;
  /** For `delay`: at most so long. */
  readonly delayMs?: number;
  /** For `cut`: the invocation ends at a call from the first to this one. */
  readonly calls?: number;
  /** Fires at most so often in each Worker. */
  readonly times?: number;
}

export interface FaultPlan {
  readonly seed: number;
  readonly rules: readonly FaultRule[];
}

export const NO_FAULTS: FaultPlan = { seed: 0, rules: [] };
export const DELAY_MS_DEFAULT = 100;
export const CUT_CALLS_DEFAULT = 12;

const AREAS: Readonly<Record<FaultKind, readonly string[]>> = {
  before: ["queue", "object", "r2", "service"],
  after: ["queue", "object", "r2", "service"],
  delay: ["queue", "object", "r2", "service"],
  overloaded: ["queue", "object", "r2", "service"],
  cut: ["consumer"],
  reset: ["reset"],
};

/** @throws RangeError that says which member is wrong, and what it should be. */
export function parseFaultPlan(value: unknown): FaultPlan {
  const { seed = 0, rules = [], ...rest } = object(value, "faults");
  none(rest, "faults");
  if (!Number.isSafeInteger(seed)) throw new RangeError(`faults.seed is ${show(seed)}, not a whole number`);
  if (!Array.isArray(rules)) throw new RangeError(`faults.rules is ${show(rules)}, not a list`);
  return { seed: seed as number, rules: rules.map((rule, i) => parseRule(rule, `faults.rules[${i}]`)) };
}

function parseRule(value: unknown, at: string): FaultRule {
  const { target, kind, rate, delayMs, calls, times, ...rest } = object(value, at);
  none(rest, at);
  if (!FAULT_KINDS.includes(kind as FaultKind)) {
    throw new RangeError(`${at}.kind is ${show(kind)}, not one of ${FAULT_KINDS.join(", ")}`);
  }
  const areas = AREAS[kind as FaultKind];
  if (typeof target !== "string" || !(target.startsWith("*") || areas.some((area) => target.startsWith(`${area}/`)))) {
    throw new RangeError(
      `${at}.target is ${show(target)}; ${kind} wants ${areas.map((area) => `${area}/…`).join(", ")}`,
    );
  }
  if (!(typeof rate === "number" && rate > 0 && rate <= 1)) {
    throw new RangeError(`${at}.rate is ${show(rate)}, not a share above 0, at most 1`);
  }
  for (const [name, count] of Object.entries({ delayMs, calls, times })) {
    if (count !== undefined && !(Number.isSafeInteger(count) && (count as number) > 0)) {
      throw new RangeError(`${at}.${name} is ${show(count)}, not a whole number above 0`);
    }
  }
  return value as FaultRule;
}

/** Whether a target is one that the pattern means. */
export function targetMatcher(pattern: string): (target: string) => boolean {
  const source = pattern
    .split("*")
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
    .join(".*");
  const whole = new RegExp(`^${source}$`);
  return (target) => whole.test(target);
}

/** Whether a fault of this kind can happen to such a target, whatever the pattern says. */
export const fits = (kind: FaultKind, target: string): boolean => AREAS[kind].includes(target.split("/", 1)[0]!);

export function object(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new RangeError(`${at} is ${show(value)}, not an object`);
  }
  return value as Record<string, unknown>;
}

export function none(rest: object, at: string): void {
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new RangeError(`${at} has a member "${unknown}" that nobody knows`);
}

export const show = (value: unknown): string => JSON.stringify(value) ?? String(value);
