/**
 * The sums of one minute, hour or day, within bounds (promise 9).
 *
 * Totals are exact whatever comes. A dimension tells its values apart up to `ROLLUP.valuesPerDimension` values and
 * `ROLLUP.dimensionBytes` of text: so long it is exact and does not depend on the order of the deltas. Beyond that the values
 * with the fewest events are folded into `(other)` after each batch, and the dimension is marked: what it still names may be too
 * low by what was folded away before, values and `(other)` still add up to the total. A client that invents a name
 * for every event therefore fills a row once, and then only raises one number.
 */
import { ROLLUP } from "../../r2-layout/limits.ts";
import { DIMENSIONS, type Dimension, type MicroUnits, type MinuteDelta, OTHER_VALUES } from "./api.ts";
import { emptySketch, encodeSketch, mergeSketch, type UserSketch } from "./user-sketch.ts";

export interface ValueState {
  events: number;
  revenue: Map<string, MicroUnits> | null;
  /** Of its key in JSON. */
  readonly keyBytes: number;
}

export interface DimensionState {
  readonly values: Map<string, ValueState>;
  approximate: boolean;
}

export interface RollupState {
  events: number;
  readonly revenue: Map<string, MicroUnits>;
  readonly by: Readonly<Record<Dimension, DimensionState>>;
  readonly users: UserSketch;
}

export function emptyState(): RollupState {
  const by = {} as Record<Dimension, DimensionState>;
  for (const dimension of DIMENSIONS) by[dimension] = { values: new Map(), approximate: false };
  return { events: 0, revenue: new Map(), by, users: emptySketch() };
}

/** Adds a delta whole; the state may exceed its caps until `applyCaps`. @param users the delta's sketch, decoded. */
export function addDelta(state: RollupState, delta: MinuteDelta, users: UserSketch): void {
  state.events += delta.events;
  addRevenue(state.revenue, delta.revenue);
  for (const dimension of DIMENSIONS) {
    const { values } = state.by[dimension];
    for (const [key, events, revenue] of delta.by[dimension]) addValue(values, key, events, revenue);
  }
  mergeSketch(state.users, users);
}

/**
 * Adds another state, which is left as it is: an hour to its day. As long as neither has met a cap the result is what folding the events
 * directly gives. The state may exceed its caps until `applyCaps`.
 */
export function mergeState(state: RollupState, other: RollupState): void {
  state.events += other.events;
  addRevenue(state.revenue, other.revenue);
  for (const dimension of DIMENSIONS) {
    const { values, approximate } = other.by[dimension];
    for (const [key, value] of values) addValue(state.by[dimension].values, key, value.events, value.revenue);
    state.by[dimension].approximate ||= approximate;
  }
  mergeSketch(state.users, other.users);
}

/** Whether two states say the same, in whatever order they came together. */
export function sameState(one: RollupState, other: RollupState): boolean {
  return (
    one.events === other.events &&
    sameSums(one.revenue, other.revenue) &&
    DIMENSIONS.every((dimension) => sameDimension(one.by[dimension], other.by[dimension])) &&
    Buffer.from(encodeSketch(one.users)).equals(encodeSketch(other.users))
  );
}

/** Folds what is beyond the caps into `(other)`. */
export function applyCaps(state: RollupState): void {
  for (const dimension of DIMENSIONS) applyDimensionCaps(state.by[dimension]);
}

export function addValue(
  values: Map<string, ValueState>,
  key: string,
  events: number,
  revenue?: Iterable<readonly [string, MicroUnits]> | null,
): void {
  let value = values.get(key);
  if (!value) {
    value = { events: 0, revenue: null, keyBytes: jsonBytes(key) };
    values.set(key, value);
  }
  value.events += events;
  if (revenue) {
    value.revenue ??= new Map();
    addRevenue(value.revenue, revenue);
  }
}

function addRevenue(sums: Map<string, MicroUnits>, revenue: Iterable<readonly [string, MicroUnits]>): void {
  for (const [currency, micro] of revenue) {
    const known = sums.get(currency);
    // Further currencies lose their name, never their amount: nobody trades in 200 at once, a script might.
    if (known === undefined && sums.size >= ROLLUP.currencies) {
      sums.set(OTHER_VALUES, (sums.get(OTHER_VALUES) ?? 0n) + micro);
    } else sums.set(currency, (known ?? 0n) + micro);
  }
}

function applyDimensionCaps(dimension: DimensionState): void {
  const { values } = dimension;
  let bytes = 0;
  for (const value of values.values()) bytes += valueBytes(value);
  let named = values.size - (values.has(OTHER_VALUES) ? 1 : 0);
  if (named <= ROLLUP.valuesPerDimension && bytes <= ROLLUP.dimensionBytes) return;
  const smallestFirst = [...values].filter(([key]) => key !== OTHER_VALUES).sort(byEventsThenKey);
  const folded: [string, ValueState][] = [];
  for (const entry of smallestFirst) {
    if (named <= ROLLUP.valuesPerDimension && bytes <= ROLLUP.dimensionBytes) break;
    folded.push(entry);
    bytes -= valueBytes(entry[1]);
    named--;
  }
  dimension.approximate = true;
  for (const [key, value] of folded) {
    values.delete(key);
    addValue(values, OTHER_VALUES, value.events, value.revenue);
  }
}

/** Ties by key, so that the same sequence of batches always keeps the same values. */
function byEventsThenKey([key, { events }]: [string, ValueState], [otherKey, other]: [string, ValueState]): number {
  return events - other.events || (key < otherKey ? 1 : -1);
}

function sameDimension(one: DimensionState, other: DimensionState): boolean {
  if (one.approximate !== other.approximate || one.values.size !== other.values.size) return false;
  for (const [key, { events, revenue }] of one.values) {
    const value = other.values.get(key);
    if (value?.events !== events || !sameSums(revenue ?? NONE, value.revenue ?? NONE)) return false;
  }
  return true;
}

const NONE: ReadonlyMap<string, MicroUnits> = new Map();

function sameSums(one: ReadonlyMap<string, MicroUnits>, other: ReadonlyMap<string, MicroUnits>): boolean {
  if (one.size !== other.size) return false;
  for (const [currency, micro] of one) if (other.get(currency) !== micro) return false;
  return true;
}

/** Bytes that numbers and punctuation may add to a value, and to each of its currencies. */
const NUMBER_BYTES = 24;
const CURRENCY_BYTES = 64;

const valueBytes = (value: ValueState): number =>
  value.keyBytes + NUMBER_BYTES + (value.revenue ? value.revenue.size * CURRENCY_BYTES : 0);

const jsonBytes = (key: string): number => Buffer.byteLength(JSON.stringify(key));
