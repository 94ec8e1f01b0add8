/**
 * A cursor's holes, newest first, asked for a page at a time as they are needed. A page that is full is never the end:
 * what a reader is after may lie behind it (redriven holes behind open ones), and so may more of the last one's millisecond.
 */
import type { HolePlace, HolesApi, RecordedHole } from "../../durable-objects/sink-cursor/api.ts";
import { QUARANTINE } from "../../r2-layout/limits.ts";

export interface HolesWanted {
  /** Only those that have not come back. */
  readonly open?: boolean;
  /** Only those that come after this place. */
  readonly before?: HolePlace;
  /** Of the first page: as many as will be needed, most often. Whoever asks on gets twice as many each time. */
  readonly pageSize?: number;
}

export async function* holePages(
  keeper: Pick<HolesApi, "holes">,
  shard: number,
  { open = false, before, pageSize = QUARANTINE.holesPerAnswer }: HolesWanted = {},
): AsyncGenerator<RecordedHole[]> {
  let place = before;
  for (let limit = pageSize; ; limit *= 2) {
    limit = Math.min(limit, QUARANTINE.holesPerAnswer);
    const from = place && { until: place.at, before: { at: place.at, seq: place.seq } };
    const page = await keeper.holes(shard, { limit, ...(open && { open }), ...from });
    // An object of an earlier version knows `until` alone: it would give the same page for ever.
    const last = place;
    const fresh = last ? page.filter((hole) => comesAfter(hole, last)) : page;
    if (fresh.length > 0) yield fresh;
    if (page.length < limit || fresh.length === 0) return;
    place = fresh.at(-1)!;
  }
}

const comesAfter = (hole: HolePlace, place: HolePlace): boolean =>
  hole.at < place.at || (hole.at === place.at && hole.seq < place.seq);
