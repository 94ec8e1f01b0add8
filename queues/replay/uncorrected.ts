/**
 * What a rule could not reach because a segment cannot be read any more, though a store has read it before, or because rows
 * of the lake have expired that the rollups still count. They stay in that store as they were: to build anew without them
 * would lose them. Counted and named for people. Pure.
 */
import type { SinkName } from "../../durable-objects/sink-cursor/api.ts";
import { REPLAY } from "../../r2-layout/limits.ts";
import type { Damage } from "../read-segment.ts";
import type { HourRange } from "./hour-ranges.ts";

export interface UncorrectedPlace {
  readonly sink: Exclude<SinkName, "lake">;
  readonly shard: number;
  readonly seq: number;
  /** That cannot be read; which of them the rule concerns nobody knows. Of those that have expired: 0. */
  readonly events: number;
  /** Hours of event_time in which this shard's rollups stay as they were, those of other segments too; null: this segment's rows only. */
  readonly window: HourRange | null;
}

export interface Uncorrected {
  /** Events of unreadable segments that a store has and that did not pass the rule. */
  readonly sessions: number;
  readonly rollups: number;
  readonly places: readonly UncorrectedPlace[];
  /** Places beyond `REPLAY.uncorrectedListed`. */
  readonly more: number;
}

export const ALL_CORRECTED: Uncorrected = { sessions: 0, rollups: 0, places: [], more: 0 };

/** Twice is once. */
export function withUncorrected(known: Uncorrected, place: UncorrectedPlace): Uncorrected {
  const same = known.places.filter((one) => isOf(one, place.shard, place.seq) && one.sink === place.sink);
  if (same.some(({ window }) => window?.from === place.window?.from)) return known;
  const counted = same.length > 0 ? known : { ...known, [place.sink]: known[place.sink] + place.events };
  return known.places.length < REPLAY.uncorrectedListed
    ? { ...counted, places: [...known.places, place] }
    : { ...counted, more: known.more + 1 };
}

export const isKnownUnreadable = ({ places }: Uncorrected, shard: number, seq: number): boolean =>
  places.some((one) => isOf(one, shard, seq));

const isOf = (one: UncorrectedPlace, shard: number, seq: number) => one.shard === shard && one.seq === seq;

/** A window cannot be built anew in this shard. */
export class ShardUnreadable extends Error {
  readonly shard: number;
  readonly damage: Damage;

  constructor(shard: number, damage: Damage) {
    super(`segment ${damage.ref.key} (seq ${damage.ref.seq}): ${damage.cause}`);
    this.name = "ShardUnreadable";
    this.shard = shard;
    this.damage = damage;
  }
}
