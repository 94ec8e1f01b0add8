/** Places in a log by the time of their commit, which rises with the seq. */
import type { EventLogApi } from "../../durable-objects/event-log/api.ts";

/** The first seq that was committed at or after a time (ms, the log's clock); head + 1 where there is none. */
export async function seqAt(log: Pick<EventLogApi, "segments">, atMs: number): Promise<number> {
  let low = 1;
  let high = (await log.segments(0, 1)).head + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [segment] = (await log.segments(middle - 1, 1)).segments;
    // Segments that the log has forgotten are older than all that it has: the first that it gives speaks for them.
    if (segment !== undefined && segment.committedAt < atMs) low = segment.seq + 1;
    else high = middle;
  }
  return low;
}
