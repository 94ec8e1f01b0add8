/**
 * Which expectations a source's hour breaks, and what becomes of breaks by it. Pure. A break is opened once, stays one for as long as
 * it is broken, and is over after some good hours in a row: an hour of which nothing can be said is neither good nor bad.
 */
import type { Expectations } from "../../r2-layout/contracts/contract.ts";
import { cameOf, failedOf, type SourceHour, type Verdict, verdictsOf } from "../../r2-layout/contracts/expected.ts";
import { HEALTH, HOUR_MS } from "../../r2-layout/limits.ts";
import type { Break } from "./api.ts";

/** Of the hours before. */
export interface Baseline {
  readonly came: number;
  readonly failed: number;
}

export interface JudgedHour {
  /** Its beginning, milliseconds. */
  readonly hour: number;
  readonly expectations: Expectations;
  /** Of the source: all zero where nothing came. `newestAt` is the newest ever. */
  readonly source: SourceHour;
  /** The first hour of the source: perhaps it was only a part of one. */
  readonly isFirst: boolean;
  readonly baseline: Baseline;
}

export type OpenBreak = Pick<Break, "expectation" | "field" | "expected"> & { readonly goodHours: number };

export type Change<B extends OpenBreak> =
  | { readonly kind: "opens"; readonly verdict: Verdict }
  | { readonly kind: "goes on"; readonly open: B; readonly verdict: Verdict }
  | { readonly kind: "is good"; readonly open: B; readonly goodHours: number }
  | { readonly kind: "ends"; readonly open: B; readonly because: "holds" | "not_expected" };

export function judge<B extends OpenBreak>(judged: JudgedHour, open: readonly B[]): Change<B>[] {
  const { expectations, source, hour, isFirst } = judged;
  const opened = new Map(open.map((one) => [keyOf(one), one]));
  const said = verdictsOf(expectations, source, { isWhole: !isFirst, freshAt: hour + HOUR_MS }).filter(
    ({ expectation }) => !OF_SHARES.has(expectation) || cameOf(source) >= HEALTH.leastEvents,
  );
  const failure = failureVerdict(judged, opened.get(keyOf({ expectation: "failure_rate", field: null })));
  const changes = [...said, ...failure].flatMap((verdict): Change<B>[] => {
    const known = opened.get(keyOf(verdict));
    if (!known) return verdict.holds ? [] : [{ kind: "opens", verdict }];
    if (!verdict.holds) return [{ kind: "goes on", open: known, verdict }];
    const goodHours = known.goodHours + 1;
    if (goodHours < HEALTH.recoveredHours) return [{ kind: "is good", open: known, goodHours }];
    return [{ kind: "ends", open: known, because: "holds" }];
  });
  const dropped = open.filter((one) => !isExpected(expectations, one));
  return [...changes, ...dropped.map((one): Change<B> => ({ kind: "ends", open: one, because: "not_expected" }))];
}

const OF_SHARES: ReadonlySet<string> = new Set(["present", "clock_skew_minutes"]);

/** A jump stays one until the rate is below what made it one: what is usual would else soon be the failure itself. */
function failureVerdict({ source, baseline }: JudgedHour, open: OpenBreak | undefined): Verdict[] {
  const came = cameOf(source);
  if (came === 0) return [];
  const usual = baseline.came === 0 ? 0 : baseline.failed / baseline.came;
  const expected = open?.expected ?? Math.min(1, usual + HEALTH.jumpShare);
  const actual = failedOf(source) / came;
  const holds = actual < expected || (!open && failedOf(source) < HEALTH.jumpFailures);
  return [{ expectation: "failure_rate", field: null, expected, actual, holds }];
}

function isExpected(expectations: Expectations, { expectation, field }: Pick<OpenBreak, "expectation" | "field">) {
  switch (expectation) {
    case "present":
      return field !== null && Object.hasOwn(expectations.present, field);
    case "per_hour":
      return (expectations.perHour.min ?? expectations.perHour.max) !== null;
    case "freshness_minutes":
      return expectations.freshnessMinutes !== null;
    case "clock_skew_minutes":
      return expectations.clockSkewMinutes !== null;
    case "failure_rate":
      return true;
  }
}

const keyOf = ({ expectation, field }: Pick<Verdict, "expectation" | "field">): string => `${expectation}\n${field}`;
