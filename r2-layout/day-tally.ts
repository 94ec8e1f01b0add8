/**
 * What a day's cut counts of the lake's rows: how many, and sums of hashes of their keys, in all and by event name,
 * country and source. Sums do not depend on order or on files, and a row that goes is taken off again, so the tally of a
 * day's next version is the one before, plus the rows of files that came, less those of files that went.
 *
 * Bounded: a dimension tells `CUT.values` values apart, the first ones that come; all others are summed under `(other)`.
 * A value once told apart stays so, at zero too, so that a row is taken off where it was added.
 */
import type { AnyRow } from "./arrow-rows.ts";
import { hashOf, rowKey } from "./key-tally.ts";
import { CUT } from "./limits.ts";

export const TALLIED = ["event_name", "country", "source"] as const;
export type TalliedColumn = (typeof TALLIED)[number];

/** Rows, and two sums of 32 bits of their hashes. */
export interface DaySum {
  readonly rows: number;
  readonly low: number;
  readonly high: number;
}

export interface ValueSum extends DaySum {
  readonly value: string;
}

/** Plain values, so that it can be kept and sent. Lists and not objects by value: a name may be `__proto__`. */
export interface DayTally extends Readonly<Record<TalliedColumn, readonly ValueSum[]>> {
  readonly events: DaySum;
  readonly quarantine: DaySum;
  /** Sums over all columns but the place in the log, of the rows that were added with theirs. */
  readonly contents: DaySum;
}

/** As the rollups name them. */
export const NO_VALUE = "(none)";
export const OTHER_VALUES = "(other)";

const NOTHING: DaySum = { rows: 0, low: 0, high: 0 };
export const EMPTY_DAY: DayTally = {
  events: NOTHING,
  quarantine: NOTHING,
  contents: NOTHING,
  event_name: [],
  country: [],
  source: [],
};

export class DayTallying {
  #events: DaySum;
  #quarantine: DaySum;
  #contents: DaySum;
  readonly #by: Readonly<Record<TalliedColumn, Map<string, DaySum>>>;

  /** Goes on from a tally. */
  constructor(from: DayTally = EMPTY_DAY) {
    this.#events = from.events;
    this.#quarantine = from.quarantine;
    this.#contents = from.contents;
    this.#by = { event_name: byValue(from.event_name), country: byValue(from.country), source: byValue(from.source) };
  }

  /** @param contents whether the row counts with all its columns, too. */
  event(row: AnyRow, sign: 1 | -1, contents: boolean): void {
    const keys = rowKey(row);
    this.#events = signed(this.#events, keys, sign);
    if (contents) this.#contents = signed(this.#contents, contentHash(row), sign);
    for (const column of TALLIED) {
      const sums = this.#by[column];
      const value = row[column];
      const name = typeof value === "string" ? value : NO_VALUE;
      const known = sums.has(name) || sums.size < CUT.values ? name : OTHER_VALUES;
      sums.set(known, signed(sums.get(known) ?? NOTHING, keys, sign));
    }
  }

  quarantined(row: AnyRow, sign: 1 | -1, contents: boolean): void {
    this.#quarantine = signed(this.#quarantine, rowKey(row), sign);
    if (contents) this.#contents = signed(this.#contents, contentHash(row), sign);
  }

  tally(): DayTally {
    return {
      events: this.#events,
      quarantine: this.#quarantine,
      contents: this.#contents,
      event_name: values(this.#by.event_name),
      country: values(this.#by.country),
      source: values(this.#by.source),
    };
  }
}

/** Both together: of what is to go, counts are negative. Values beyond `CUT.values` are summed under `(other)`, as where rows come. */
export function addDays(to: DayTally, other: DayTally): DayTally {
  return {
    events: plus(to.events, other.events),
    quarantine: plus(to.quarantine, other.quarantine),
    contents: plus(to.contents, other.contents),
    event_name: addValues(to.event_name, other.event_name),
    country: addValues(to.country, other.country),
    source: addValues(to.source, other.source),
  };
}

function addValues(to: readonly ValueSum[], other: readonly ValueSum[]): ValueSum[] {
  const sums = byValue(to);
  for (const { value, ...sum } of other) {
    const known = sums.has(value) || sums.size < CUT.values ? value : OTHER_VALUES;
    sums.set(known, { value: known, ...plus(sums.get(known) ?? NOTHING, sum) });
  }
  return [...sums.values()];
}

const plus = (a: DaySum, b: DaySum): DaySum => ({
  rows: a.rows + b.rows,
  low: (a.low + b.low) >>> 0,
  high: (a.high + b.high) >>> 0,
});

/** Values whose sums differ, the largest difference in rows first. */
export function differingValues(before: DayTally, after: DayTally, column: TalliedColumn) {
  const [old, now] = [byValue(before[column]), byValue(after[column])];
  return [...new Set([...old.keys(), ...now.keys()])]
    .map((value) => ({ value, before: old.get(value) ?? NOTHING, after: now.get(value) ?? NOTHING }))
    .filter((sums) => !sameDaySum(sums.before, sums.after))
    .sort(
      (a, b) =>
        Math.abs(b.after.rows - b.before.rows) - Math.abs(a.after.rows - a.before.rows) || (a.value < b.value ? -1 : 1),
    );
}

export const sameDaySum = (a: DaySum, b: DaySum): boolean => a.rows === b.rows && a.low === b.low && a.high === b.high;

const byValue = (sums: readonly ValueSum[]): Map<string, ValueSum> => new Map(sums.map((sum) => [sum.value, sum]));
const values = (sums: ReadonlyMap<string, DaySum>): ValueSum[] =>
  Array.from(sums, ([value, { rows, low, high }]) => ({ value, rows, low, high }));

const signed = (sum: DaySum, [low, high]: readonly [number, number], sign: 1 | -1): DaySum => ({
  rows: sum.rows + sign,
  low: (sum.low + sign * low) >>> 0,
  high: (sum.high + sign * high) >>> 0,
});

/** The place in the log is another after a redrive. */
const NO_CONTENT = new Set(["log_shard", "log_seq"]);

function contentHash(row: AnyRow): [number, number] {
  const texts: string[] = [];
  for (const name of Object.keys(row).sort()) {
    const value = row[name];
    if (value === null || value === undefined || NO_CONTENT.has(name)) continue;
    texts.push(name, typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  return hashOf(texts);
}
