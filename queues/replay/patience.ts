/**
 * A segment that cannot be read holds a job up only while it may be that this reading alone has failed: as often as a job
 * fails before it gives up. Then it is left out.
 */
import { REPLAY } from "../../r2-layout/limits.ts";
import { SegmentDamaged } from "../read-log.ts";
import type { Damage, LeftOutPart } from "../read-segment.ts";
import type { Slice } from "./slice.ts";

/** @throws SegmentDamaged before the last attempt. */
export function endOfPatience({ job }: Pick<Slice, "job">, damage: Damage): void {
  if (job.attempts < REPLAY.attempts - 1) throw new SegmentDamaged(damage);
}

/** For a search: what a segment had that nobody can read is not found. */
export const leaveOutInTheEnd =
  (slice: Pick<Slice, "job">) =>
  async (shard: number, damage: Damage): Promise<LeftOutPart> => {
    endOfPatience(slice, damage);
    const { key, seq } = damage.ref;
    console.error(JSON.stringify({ at: "replay", job: slice.job.id, reason: "not_searched", shard, seq, key }));
    return damage;
  };
