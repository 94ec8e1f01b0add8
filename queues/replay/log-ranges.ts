/** What a replay's times or seqs mean in each shard's log, up to its head as of now. What comes later comes live. */
import type { EventLogPlacesApi } from "../../durable-objects/event-log/api.ts";
import type { ObjectNamespace } from "../../durable-objects/namespace.ts";
import type { ReplaySpec } from "../../durable-objects/replay-desk/api.ts";
import { shardName } from "../../r2-layout/keys.ts";

/** A part of one shard's log: exclusive, inclusive. */
export interface LogRange {
  readonly shard: number;
  readonly after: number;
  readonly to: number;
  /** Of the rows that the log no longer has: only those of this time, milliseconds of event_time. */
  readonly window?: { readonly from: number; readonly to: number };
}

const EVER = { from: 0, to: Number.MAX_SAFE_INTEGER };

/** @throws RangeError where a shard's log ends before the range. */
export async function logRanges(
  logs: ObjectNamespace<EventLogPlacesApi>,
  shards: number,
  { from, to, range }: ReplaySpec,
): Promise<LogRange[]> {
  const asked = range ? [range.shard] : Array.from({ length: shards }, (_, shard) => shard);
  const ranges = await Promise.all(
    asked.map(async (shard): Promise<LogRange[]> => {
      const places = await logs.getByName(shardName(shard)).between(from ?? EVER.from, to ?? EVER.to);
      const { oldest, head } = places;
      const given = range ?? places.range;
      if (range && range.to > head) throw new RangeError(`the log of shard ${shard} ends at ${head}`);
      const parts: LogRange[] = [];
      // What is older than the log has no times there: the lake finds it by event_time.
      if (!range && oldest > 1 && (from === null || given === null || given.from <= oldest)) {
        parts.push({
          shard,
          after: 0,
          to: oldest - 1,
          ...((from ?? to) !== null && { window: { ...EVER, ...some(from, to) } }),
        });
      }
      if (given) parts.push({ shard, after: given.from - 1, to: given.to });
      return parts;
    }),
  );
  return ranges.flat();
}

const some = (from: number | null, to: number | null) => ({
  ...(from !== null && { from }),
  ...(to !== null && { to }),
});
