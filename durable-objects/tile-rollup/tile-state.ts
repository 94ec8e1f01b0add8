/**
 * The sums of one start of one tile, within bounds (promise 9). Everything in it adds up in any order: counts, integer
 * millionths, sketches, and of a funnel for each user the first and the last time of each step.
 *
 * Values beyond a cap are folded into `(other)`, those with the fewest events first, and the state is marked. Users of a
 * funnel beyond theirs are sampled: those with the smallest hashes stay, which are the same ones in whatever order they came.
 */
import { TILES } from "../../r2-layout/limits.ts";
import { decodeSketch, encodeSketch, mergeSketch, type UserSketch } from "../minute-rollup/user-sketch.ts";

/** The key of all values that are no longer told apart; no dimension's, for those are JSON. */
export const OTHER = "(other)";

export interface Cell {
  events: number;
  denominator: number;
  /** Millionths. */
  micro: bigint;
  users: UserSketch | null;
  /** Of a user in a funnel: first and last time of each step in milliseconds after the start, -1 where there is none. */
  times: number[] | null;
}

export interface TileState {
  /** By dimension values as JSON, or a user's hash. */
  readonly values: Map<string, Cell>;
  approximate: boolean;
  /** Only users with a smaller hash are in it; null: all. */
  below: string | null;
}

export const emptyTile = (): TileState => ({ values: new Map(), approximate: false, below: null });
export const emptyCell = (): Cell => ({ events: 0, denominator: 0, micro: 0n, users: null, times: null });

/** The cell of a key, made where there is none. */
export function cellOf({ values }: TileState, key: string): Cell {
  let cell = values.get(key);
  if (!cell) {
    cell = emptyCell();
    values.set(key, cell);
  }
  return cell;
}

/** Adds another state, which is left as it is. The state may exceed its caps until `capTile`. */
export function mergeTile(state: TileState, other: TileState): void {
  state.approximate ||= other.approximate;
  if (other.below !== null && (state.below === null || other.below < state.below)) state.below = other.below;
  for (const [key, cell] of other.values) mergeCell(cellOf(state, key), cell);
}

function mergeCell(cell: Cell, other: Cell): void {
  cell.events += other.events;
  cell.denominator += other.denominator;
  cell.micro += other.micro;
  if (other.users) {
    cell.users ??= { entries: new Map(), registers: null };
    mergeSketch(cell.users, other.users);
  }
  if (!other.times) return;
  cell.times ??= other.times.map(() => -1);
  for (let i = 0; i < other.times.length; i += 2) {
    if (other.times[i]! >= 0) addTime(cell.times, i / 2, other.times[i]!, other.times[i + 1]!);
  }
}

/** @param step its index */
export function addTime(times: number[], step: number, first: number, last = first): void {
  const i = 2 * step;
  times[i] = times[i]! < 0 ? first : Math.min(times[i]!, first);
  times[i + 1] = Math.max(times[i + 1]!, last);
}

export interface TileCaps {
  readonly values: number;
  /** Values that have a sketch each. */
  readonly sketches: number;
  /** Of their text, about. */
  readonly bytes: number;
}

/** What a shard publishes: the hub holds it for each shard. */
export const SHOWN: TileCaps = {
  values: TILES.publishedValues,
  sketches: TILES.publishedSketches,
  bytes: TILES.publishedBytes,
};
const STORED: TileCaps = { values: TILES.valuesPerRow, sketches: TILES.sketchesPerRow, bytes: TILES.rowBytes };

/** Folds what is beyond the caps. */
export function capTile(state: TileState, caps = STORED): void {
  const { values } = state;
  const [some] = values.values();
  if (some?.times) capUsers(state);
  else capValues(state, some?.users ? caps.sketches : caps.values, caps.bytes);
}

function capUsers(state: TileState): void {
  const { values, below } = state;
  if (below !== null) for (const key of values.keys()) if (key >= below) values.delete(key);
  if (values.size <= TILES.funnelActors) return;
  const keys = [...values.keys()].sort();
  for (const key of keys.slice(TILES.funnelActors)) values.delete(key);
  state.below = keys[TILES.funnelActors]!;
  state.approximate = true;
}

function capValues(state: TileState, most: number, bytesMax: number): void {
  const { values } = state;
  let bytes = 0;
  for (const [key, cell] of values) bytes += cellBytes(key, cell);
  let named = values.size - (values.has(OTHER) ? 1 : 0);
  if (named <= most && bytes <= bytesMax) return;
  const smallestFirst = [...values].filter(([key]) => key !== OTHER).sort(bySizeThenKey);
  state.approximate = true;
  for (const [key, cell] of smallestFirst) {
    if (named <= most && bytes <= bytesMax) break;
    values.delete(key);
    mergeCell(cellOf(state, OTHER), cell);
    bytes -= cellBytes(key, cell);
    named--;
  }
}

const sizeOf = ({ events, denominator }: Cell): number => events + denominator;

/** Ties by key, so that the same sequence of batches always keeps the same values. */
const bySizeThenKey = ([key, cell]: [string, Cell], [otherKey, other]: [string, Cell]): number =>
  sizeOf(cell) - sizeOf(other) || (key < otherKey ? 1 : -1);

const NUMBER_BYTES = 40;
/** A sketch in base64, at most. */
const SKETCH_BYTES = 5_600;

const cellBytes = (key: string, { users }: Cell): number =>
  2 * key.length +
  NUMBER_BYTES +
  (users === null ? 0 : Math.min(SKETCH_BYTES, 8 + 6 * (users.entries?.size ?? SKETCH_BYTES)));

/** Ends where the rest is 0, none and none. */
export type EncodedCell = readonly [
  key: string,
  events: number,
  denominator?: number,
  micro?: string,
  users?: string,
  times?: readonly number[],
];
/** Plain JSON, so that it crosses an RPC and a row can be read with any tool. */
export interface EncodedState {
  readonly values: readonly EncodedCell[];
  readonly approximate?: true;
  readonly below?: string;
}

export function encodeTile({ values, approximate, below }: TileState): EncodedState {
  return {
    values: [...values].map(([key, cell]) => encodeCell(key, cell)),
    ...(approximate && { approximate }),
    ...(below !== null && { below }),
  };
}

function encodeCell(key: string, { events, denominator, micro, users, times }: Cell): EncodedCell {
  const sketch = users ? Buffer.from(encodeSketch(users)).toString("base64") : "";
  if (times) return [key, events, denominator, String(micro), sketch, times];
  if (users) return [key, events, denominator, String(micro), sketch];
  if (micro !== 0n) return [key, events, denominator, String(micro)];
  return denominator === 0 ? [key, events] : [key, events, denominator];
}

export function decodeTile(encoded: EncodedState): TileState {
  const { approximate = false, below = null } = encoded;
  const state: TileState = { values: new Map(), approximate, below };
  for (const [key, events, denominator = 0, micro = "0", users = "", times = null] of encoded.values) {
    const sketch = users === "" ? null : decodeSketch(new Uint8Array(Buffer.from(users, "base64")));
    state.values.set(key, { events, denominator, micro: BigInt(micro), users: sketch, times: times && [...times] });
  }
  return state;
}

/** Whether two states say the same, in whatever order they came together. */
export function sameTile(one: TileState, other: TileState): boolean {
  const text = (state: TileState) => {
    const { values, ...rest } = encodeTile(state);
    const byKey = [...values].sort(([key], [otherKey]) => (key < otherKey ? -1 : 1));
    return JSON.stringify({ ...rest, values: byKey });
  };
  return one.values.size === other.values.size && text(one) === text(other);
}
