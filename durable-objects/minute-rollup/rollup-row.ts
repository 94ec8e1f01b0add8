/**
 * A minute, hour or day as one SQLite row. Each dimension is a column of its own, so that a query reads only the one it
 * asks for; values are JSON, so that a row can be read with any tool. Micro-units are text there: JSON numbers are doubles.
 */
import { DIMENSIONS, type Dimension, type MicroUnits } from "./api.ts";
import { addValue, type DimensionState, emptyState, type RollupState } from "./rollup-state.ts";
import { decodeSketch, encodeSketch } from "./user-sketch.ts";

export type RollupRow = {
  events: number;
  revenue: string;
  users: ArrayBuffer;
} & Record<Dimension, string>;

type JsonRevenue = [currency: string, micro: string][];
type JsonValue = [key: string, events: number, revenue?: JsonRevenue];
interface JsonDimension {
  approximate: boolean;
  values: JsonValue[];
}

export function encodeRow(state: RollupState): RollupRow {
  const row = {
    events: state.events,
    revenue: JSON.stringify(jsonRevenue(state.revenue)),
    users: encodeSketch(state.users).buffer as ArrayBuffer,
  } as RollupRow;
  for (const dimension of DIMENSIONS) row[dimension] = encodeDimension(state.by[dimension]);
  return row;
}

export function decodeRow(row: RollupRow): RollupState {
  const state = emptyState();
  state.events = row.events;
  for (const [currency, micro] of decodeRevenue(row.revenue)) state.revenue.set(currency, micro);
  Object.assign(state.users, decodeSketch(new Uint8Array(row.users)));
  for (const dimension of DIMENSIONS) {
    const { approximate, values } = decodeDimension(row[dimension]);
    state.by[dimension].approximate = approximate;
    for (const { key, events, revenue } of values) addValue(state.by[dimension].values, key, events, revenue);
  }
  return state;
}

export interface DecodedValue {
  readonly key: string;
  readonly events: number;
  readonly revenue: readonly (readonly [string, MicroUnits])[] | null;
}

export function decodeDimension(text: string): { approximate: boolean; values: DecodedValue[] } {
  const { approximate, values } = JSON.parse(text) as JsonDimension;
  return {
    approximate,
    values: values.map(([key, events, revenue]) => ({ key, events, revenue: revenue ? microPairs(revenue) : null })),
  };
}

export const decodeRevenue = (text: string): [string, MicroUnits][] => microPairs(JSON.parse(text) as JsonRevenue);

function encodeDimension({ approximate, values }: DimensionState): string {
  const out: JsonValue[] = [];
  for (const [key, { events, revenue }] of values) {
    out.push(revenue ? [key, events, jsonRevenue(revenue)] : [key, events]);
  }
  return JSON.stringify({ approximate, values: out } satisfies JsonDimension);
}

const jsonRevenue = (sums: Map<string, MicroUnits>): JsonRevenue =>
  [...sums].map(([currency, micro]) => [currency, String(micro)]);

const microPairs = (pairs: JsonRevenue): [string, MicroUnits][] =>
  pairs.map(([currency, micro]) => [currency, BigInt(micro)]);
