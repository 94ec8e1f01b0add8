/** Events as the page gets them, for tests. */
import type { TimelineEvent } from "../../../../workers/console/support/events.ts";

export const T0 = Date.UTC(2026, 10, 22, 5, 0);
let ids = 0;

/** @param minutesAgo before T0 */
export const event = (minutesAgo: number, more: Partial<TimelineEvent> = {}): TimelineEvent =>
  ({
    event_id: `e${++ids}`,
    event_name: "page",
    event_type: "page",
    source: "web",
    log_shard: 0,
    log_seq: 1,
    event_time: new Date(T0 - minutesAgo * 60_000).toISOString().replace("Z", "000Z"),
    ...more,
  }) as TimelineEvent;
