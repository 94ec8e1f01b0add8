/**
 * The order of rows in a file: event_name, then user_id ?? anonymous_id, then event_time (received_at where there is
 * none). Equal things beside each other pack well, and a query for one event name reads one run of pages.
 */
import type { AnyRow } from "./arrow-rows.ts";
import { compareText } from "./statistics.ts";

/**
 * The same rows, sorted; equal ones keep their order. Each row is looked at once: thousands of them do not fit a
 * processor's cache, and a walk over all costs more than what it computes. What the sort compares are numbers.
 */
export function sortedRows<Row extends AnyRow>(rows: readonly Row[]): Row[] {
  const names = new Ranks(rows.length);
  const identities = new Ranks(rows.length);
  const times = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    names.add(i, row.event_name);
    identities.add(i, row.user_id ?? row.anonymous_id);
    times[i] = (row.event_time ?? row.received_at) as number;
  }
  const order = names.sorted(identities.sorted(byTime(times)));
  const sorted = new Array<Row>(rows.length);
  for (let i = 0; i < rows.length; i++) sorted[i] = rows[order[i]!]!;
  return sorted;
}

/** Positions by time; those of one time in order. */
function byTime(times: Float64Array): Uint32Array {
  const order = Uint32Array.from(times, (_, at) => at);
  const size = times.length;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let areWhole = true;
  for (const time of times) {
    if (time < min) min = time;
    if (time > max) max = time;
    areWhole &&= Number.isSafeInteger(time);
  }
  if (!areWhole || (max - min + 1) * size > Number.MAX_SAFE_INTEGER) {
    return order.sort((a, b) => times[a]! - times[b]! || a - b);
  }
  // Time and position in one number: sorted without a call for each comparison.
  const keys = Float64Array.from(times, (time, at) => (time - min) * size + at).sort();
  for (let i = 0; i < size; i++) order[i] = keys[i]! % size;
  return order;
}

/** By code point, which is by UTF-8 bytes: JavaScript's own order, but for texts with surrogates. */
function sortedTexts(texts: string[]): string[] {
  return texts.some((text) => SURROGATE.test(text)) ? texts.sort(compareText) : texts.sort();
}

const SURROGATE = /[\ud800-\udfff]/;

/** Texts as numbers: first by when they were met, for the sort by their order; no text comes first. */
class Ranks {
  readonly #of: Uint32Array;
  readonly #seen = new Map<string, number>();

  constructor(rows: number) {
    this.#of = new Uint32Array(rows);
  }

  add(at: number, text: unknown): void {
    const key = typeof text === "string" ? text : "";
    let number = this.#seen.get(key);
    if (number === undefined) {
      number = this.#seen.size;
      this.#seen.set(key, number);
    }
    this.#of[at] = number;
  }

  /** Positions by text; those of one text in the order they are given in. A counting sort. */
  sorted(positions: Uint32Array): Uint32Array {
    const of = this.#of;
    const counts = new Uint32Array(this.#seen.size);
    for (let i = 0; i < of.length; i++) counts[of[i]!]!++;
    let start = 0;
    for (const text of sortedTexts([...this.#seen.keys()])) {
      const number = this.#seen.get(text)!;
      const count = counts[number]!;
      counts[number] = start;
      start += count;
    }
    const sorted = new Uint32Array(of.length);
    for (const position of positions) sorted[counts[of[position]!]!++] = position;
    return sorted;
  }
}
