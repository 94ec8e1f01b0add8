/** What a source sent of an event in an hour, held against what the contract expects of an hour. Pure. */
import { MINUTE_MS } from "../limits.ts";
import type { Contract, Expectations } from "./contract.ts";

/** Events of one name that a source sent within an hour, by the time they were received. */
export interface SourceHour {
  readonly source: string;
  /** In the lake's table of events; those that only warned are among them. */
  readonly events: number;
  /** Kept apart, and not given back since. */
  readonly quarantined: number;
  /** Taken although they broke the contract. */
  readonly offContract: number;
  /** Milliseconds. */
  readonly newestAt: number;
  /** How far all senders' clocks but the worst hundredth are off, minutes. */
  readonly skewMinutes: number;
  /** By property that was counted: events that have it. Null where that was too much. */
  readonly present: Readonly<Record<string, number>> | null;
}

export const EXPECTATIONS = ["present", "per_hour", "freshness_minutes", "clock_skew_minutes", "failure_rate"] as const;
export type Expectation = (typeof EXPECTATIONS)[number];

export interface Verdict {
  readonly expectation: Expectation;
  readonly field: string | null;
  readonly expected: number;
  readonly actual: number;
  readonly holds: boolean;
}

/** Properties whose coverage is told: those that are expected, and those that are required. */
export const coveredFields = ({ schema, expectations }: Pick<Contract, "schema" | "expectations">): string[] => [
  ...new Set([...Object.keys(expectations.present), ...(schema.required ?? [])]),
];

export const cameOf = ({ events, quarantined }: SourceHour): number => events + quarantined;
export const failedOf = ({ quarantined, offContract }: SourceHour): number => quarantined + offContract;

/** Share of all that came which has the property: what was kept apart counts as without it. Null where nothing came, or nobody counted. */
export function coverageOf(hour: SourceHour, field: string): number | null {
  const came = cameOf(hour);
  const present = hour.present?.[field];
  return came === 0 || present === undefined ? null : present / came;
}

export interface HourClock {
  /** An hour that goes on may still get enough events, and cannot get fewer. */
  readonly isWhole: boolean;
  /** When the age of the newest is looked at, milliseconds; null: not at all. */
  readonly freshAt: number | null;
}

/** What can be said of the hour: nothing of shares and clocks where nothing came. */
export function verdictsOf(expectations: Expectations, hour: SourceHour, { isWhole, freshAt }: HourClock): Verdict[] {
  const { present, perHour, freshnessMinutes, clockSkewMinutes } = expectations;
  const verdicts: Verdict[] = [];
  const came = cameOf(hour);
  for (const [field, expected] of Object.entries(present)) {
    const actual = coverageOf(hour, field);
    if (actual !== null) verdicts.push({ expectation: "present", field, expected, actual, holds: actual >= expected });
  }
  const { min, max } = perHour;
  const isTooMany = max !== null && came > max;
  if (isTooMany || (isWhole && (min ?? max) !== null)) {
    const holds = !isTooMany && came >= (min ?? 0);
    verdicts.push({
      ...ALL,
      expectation: "per_hour",
      expected: (isTooMany ? max : (min ?? max))!,
      actual: came,
      holds,
    });
  }
  if (freshnessMinutes !== null && freshAt !== null) {
    const minutes = (freshAt - hour.newestAt) / MINUTE_MS;
    const [expected, actual] = [freshnessMinutes, Math.round(minutes)];
    verdicts.push({ ...ALL, expectation: "freshness_minutes", expected, actual, holds: minutes <= expected });
  }
  if (clockSkewMinutes !== null && hour.events > 0) {
    const [expected, actual] = [clockSkewMinutes, Math.round(hour.skewMinutes)];
    verdicts.push({ ...ALL, expectation: "clock_skew_minutes", expected, actual, holds: hour.skewMinutes <= expected });
  }
  return verdicts;
}

/** Of all that came, not of one property. */
const ALL = { field: null };
