/** A stored minute as it is published: whole, its value lists cut to what screens show. */
import { LIVE } from "../../r2-layout/limits.ts";
import type { ShardMinute } from "../live-hub/api.ts";
import { DIMENSIONS, type Dimension, NO_VALUE, OTHER_VALUES } from "./api.ts";
import type { DimensionState } from "./rollup-state.ts";
import type { StoredMinute } from "./rollup-store.ts";
import { encodeSketch } from "./user-sketch.ts";

export function shardMinute({ minute, version, state }: StoredMinute): ShardMinute {
  const top = {} as Record<Dimension, [string, number][]>;
  for (const dimension of DIMENSIONS) top[dimension] = topValues(state.by[dimension]);
  return { minute, version, events: state.events, revenue: [...state.revenue], top, users: encodeSketch(state.users) };
}

function topValues({ values }: DimensionState): [string, number][] {
  const named: [string, number][] = [];
  for (const [key, { events }] of values) if (key !== NO_VALUE && key !== OTHER_VALUES) named.push([key, events]);
  return largestFirst(named).slice(0, LIVE.topPublished);
}

/** Ties by name, so that equal states have equal lists. Sorts in place. */
export const largestFirst = (values: [string, number][]): [string, number][] =>
  values.sort(([key, events], [otherKey, other]) => other - events || (key < otherKey ? -1 : key > otherKey ? 1 : 0));
