/**
 * Whether an event is as its contract expects now, by hour and source: what the hourly evaluation looks at, asked anew. An hour's
 * figures may differ from those that were judged by what has been given back or come late since.
 */
import type { Contract } from "../../../r2-layout/contracts/contract.ts";
import {
  cameOf,
  coverageOf,
  failedOf,
  type SourceHour,
  type Verdict,
  verdictsOf,
} from "../../../r2-layout/contracts/expected.ts";
import { HOUR_MS } from "../../../r2-layout/limits.ts";

/** Of one source in one hour. */
export interface HealthHour {
  readonly source: string;
  /** ISO 8601. */
  readonly hour: string;
  readonly events: number;
  /** Broke the contract, and were kept apart. */
  readonly quarantined: number;
  /** Broke it, and were taken: they are among `events`. */
  readonly off_contract: number;
  /** Share of all that came and broke it, 0 to 1. */
  readonly failure_rate: number;
  /** By property, 0 to 1: of all that came. */
  readonly coverage: Readonly<Record<string, number>>;
  readonly newest_at: string;
  /** What of the contract's expectations does not hold. */
  readonly broken: readonly Omit<Verdict, "holds">[];
}

/** @param now milliseconds. @returns hours with events, the newest first. */
export function healthOf(
  { expectations }: Pick<Contract, "expectations">,
  fields: readonly string[],
  hours: ReadonlyMap<number, readonly SourceHour[]>,
  now: number,
): HealthHour[] {
  const newest = new Map<string, number>();
  for (const [at, sources] of hours)
    for (const { source } of sources) newest.set(source, Math.max(at, newest.get(source) ?? 0));
  return [...hours]
    .flatMap(([at, sources]) => sources.map((hour) => ({ at, hour })))
    .toSorted((a, b) => b.at - a.at || (a.hour.source < b.hour.source ? -1 : 1))
    .map(({ at, hour }) => {
      const freshAt = newest.get(hour.source) === at ? now : null;
      const verdicts = verdictsOf(expectations, hour, { isWhole: at + HOUR_MS <= now, freshAt });
      return {
        ...hourJson(at, hour, fields),
        broken: verdicts.flatMap(({ holds, ...verdict }) => (holds ? [] : [verdict])),
      };
    });
}

export const hourJson = (at: number, hour: SourceHour, fields: readonly string[]): Omit<HealthHour, "broken"> => ({
  source: hour.source,
  hour: new Date(at).toISOString(),
  events: hour.events,
  quarantined: hour.quarantined,
  off_contract: hour.offContract,
  failure_rate: cameOf(hour) === 0 ? 0 : failedOf(hour) / cameOf(hour),
  coverage: Object.fromEntries(
    fields.flatMap((field) => {
      const share = coverageOf(hour, field);
      return share === null ? [] : [[field, share]];
    }),
  ),
  newest_at: new Date(hour.newestAt).toISOString(),
});
