/**
 * What a comparison of two builds of the lake counts: rows, and sums of hashes of what makes a row that row, in all and by
 * event name. Sums do not depend on order or on files, and tallies of parts add up to the tally of the whole.
 */
import type { AnyRow } from "./arrow-rows.ts";
import { LAKE } from "./limits.ts";

export interface RowSum {
  readonly rows: number;
  /** Two sums of 32 bits. */
  readonly keys: readonly [number, number];
}

export interface KeyTally {
  readonly events: RowSum;
  readonly quarantine: RowSum;
  /** Events by name; names beyond `LAKE.tallyNames` are summed under `(other)`, so they tell of differences, not of likeness. */
  readonly names: Readonly<Record<string, RowSum>>;
}

/** The columns that a key is of: which event, whose, and when. */
export const KEY_COLUMNS = ["event_id", "source", "event_name", "user_id", "anonymous_id", "event_time"] as const;

const NOTHING: RowSum = { rows: 0, keys: [0, 0] };
export const EMPTY_TALLY: KeyTally = { events: NOTHING, quarantine: NOTHING, names: {} };
const OTHER = "(other)";

export function tallyOf(events: Iterable<AnyRow>, quarantine: Iterable<AnyRow>): KeyTally {
  const names = new Map<string, RowSum>();
  let total = NOTHING;
  for (const row of events) {
    const key = rowKey(row);
    total = plus(total, { rows: 1, keys: key });
    addName(names, String(row.event_name), { rows: 1, keys: key });
  }
  let parked = NOTHING;
  for (const row of quarantine) parked = plus(parked, { rows: 1, keys: rowKey(row) });
  return { events: total, quarantine: parked, names: Object.fromEntries(names) };
}

export function addTallies(tallies: Iterable<KeyTally>): KeyTally {
  let { events, quarantine } = EMPTY_TALLY;
  const names = new Map<string, RowSum>();
  for (const tally of tallies) {
    events = plus(events, tally.events);
    quarantine = plus(quarantine, tally.quarantine);
    for (const [name, sum] of Object.entries(tally.names)) addName(names, name, sum);
  }
  return { events, quarantine, names: Object.fromEntries(names) };
}

export const sameSum = (a: RowSum, b: RowSum): boolean =>
  a.rows === b.rows && a.keys[0] === b.keys[0] && a.keys[1] === b.keys[1];

/** What differs, for people; empty where nothing does. */
export function tallyDifferences(before: KeyTally, after: KeyTally, limit: number): string[] {
  const differences: string[] = [];
  const tell = (what: string, a: RowSum, b: RowSum) => {
    if (sameSum(a, b)) return;
    differences.push(
      a.rows === b.rows
        ? `${what}: ${a.rows} rows, not the same ones`
        : `${what}: ${a.rows} rows before, ${b.rows} after`,
    );
  };
  tell("events", before.events, after.events);
  tell("quarantine", before.quarantine, after.quarantine);
  if (!sameSum(before.events, after.events)) {
    for (const name of [...new Set([...Object.keys(before.names), ...Object.keys(after.names)])].sort()) {
      tell(`event ${JSON.stringify(name)}`, ownSum(before.names, name), ownSum(after.names, name));
    }
  }
  return differences.slice(0, limit);
}

const ownSum = (names: KeyTally["names"], name: string): RowSum =>
  Object.hasOwn(names, name) ? names[name]! : NOTHING;

function addName(names: Map<string, RowSum>, name: string, sum: RowSum): void {
  const known = names.has(name) || names.size < LAKE.tallyNames ? name : OTHER;
  names.set(known, plus(names.get(known) ?? NOTHING, sum));
}

const plus = (a: RowSum, b: RowSum): RowSum => ({
  rows: a.rows + b.rows,
  keys: [(a.keys[0] + b.keys[0]) >>> 0, (a.keys[1] + b.keys[1]) >>> 0],
});

/** FNV-1a and a multiplicative hash of the same characters, each finally mixed: 64 bits together. */
export function rowKey(row: AnyRow): [number, number] {
  return hashOf(KEY_COLUMNS.map((name) => textOf(row[name])));
}

const textOf = (value: unknown): string => (value === null || value === undefined ? "" : String(value));

/** Two hashes of 32 bits of some texts, in their order. */
export function hashOf(texts: Iterable<string>): [number, number] {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  for (const text of texts) {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      a = Math.imul(a ^ unit, 0x01000193);
      b = Math.imul(b ^ unit, 0x5bd1e995) + 0x6d2b79f5;
    }
    a = Math.imul(a ^ 0x1_0001, 0x01000193);
    b = Math.imul(b ^ 0x1_0001, 0x5bd1e995);
  }
  return [mixed(a), mixed(b)];
}

function mixed(hash: number): number {
  let mix = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return (mix ^ (mix >>> 16)) >>> 0;
}
