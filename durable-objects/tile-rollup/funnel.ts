/**
 * How many users went through a funnel's steps, in order, within an hour: from what each minute knows of its users. A user is
 * the identity that events are spread over shards by (anonymous_id, else user_id), so shards add up.
 *
 * Of each minute, user and step the first and the last time are kept. A user is followed greedily: the earliest step two that is
 * not before the step one, and so on. So a chain is missed only where one minute has three or more of the same step, and the one
 * in the middle alone fits.
 */
import { MINUTE_MS } from "../../r2-layout/limits.ts";
import type { TileValue } from "./api.ts";
import type { TileState } from "./tile-state.ts";

/** Minutes whose users can be in the hour that ends with a minute. */
export const FUNNEL_MINUTES = 60;

export interface FunnelMinute {
  /** Milliseconds. */
  readonly start: number;
  readonly state: TileState;
}

export interface FunnelCounts {
  readonly values: readonly TileValue[];
  readonly approximate: boolean;
}

/** @param minutes of the hour, oldest first */
export function funnelCounts(steps: readonly string[], minutes: readonly FunnelMinute[]): FunnelCounts {
  const below = minutes.reduce<string | null>(
    (least, { state }) => (state.below !== null && (least === null || state.below < least) ? state.below : least),
    null,
  );
  const byUser = new Map<string, { start: number; times: readonly number[] }[]>();
  for (const { start, state } of minutes) {
    for (const [user, { times }] of state.values) {
      if (!times || (below !== null && user >= below)) continue;
      const seen = byUser.get(user);
      if (seen) seen.push({ start, times });
      else byUser.set(user, [{ start, times }]);
    }
  }
  const reached = steps.map(() => 0);
  for (const seen of byUser.values()) {
    const depth = depthOf(steps.length, seen);
    for (let step = 0; step < depth; step++) reached[step]!++;
  }
  // Hashes are uniform: the sample is the share of them that lies below.
  const share = below === null ? 1 : Math.max(1, Number.parseInt(below.slice(0, 8), 16)) / 2 ** 32;
  return {
    values: steps.map((step, i) => ({ key: [step], events: Math.round(reached[i]! / share) })),
    approximate: below !== null,
  };
}

/** How many steps in order. @param seen the user's minutes, oldest first */
function depthOf(
  steps: number,
  seen: readonly { readonly start: number; readonly times: readonly number[] }[],
): number {
  let at = Number.NEGATIVE_INFINITY;
  for (let step = 0; step < steps; step++) {
    let next = Number.POSITIVE_INFINITY;
    for (const { start, times } of seen) {
      const [first, last] = [times[2 * step]!, times[2 * step + 1]!];
      if (first < 0) continue;
      if (start + first >= at) next = Math.min(next, start + first);
      else if (start + last >= at) next = Math.min(next, start + last);
      if (next < Number.POSITIVE_INFINITY) break;
    }
    if (next === Number.POSITIVE_INFINITY) return step;
    at = next;
  }
  return steps;
}

/** Starts of the minutes of the hour that ends with this one. */
export const funnelHour = (minute: number): { from: number; to: number } => ({
  from: minute - (FUNNEL_MINUTES - 1) * MINUTE_MS,
  to: minute + MINUTE_MS,
});
