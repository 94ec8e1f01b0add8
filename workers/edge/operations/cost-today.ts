/**
 * What the events of a day cost by list price, from what the log and the catalog count anyway. A bill has more terms than
 * there are counters, so each counted unit stands for the operations that `npm run bench:cost` finds behind it: a message
 * for its request, its queue operations and its row in a timeline, a segment for wake-ups and what the sinks note, a
 * commit of the lake for its rows and the merging of its file later. The benchmark prints this estimate beside its bill:
 * 1.00 of it at 7,000 events/s and 20 a request, 1.00 and 0.85 at 100 events/s in one shard with 5 and 20.
 * Storage is what the day's events will take for as long as it is kept. Reading, SQL and sockets are not in it. Pure.
 */
import type { Today } from "../../../durable-objects/event-log/ledger.ts";
import { LOG, TIMELINE } from "../../../r2-layout/limits.ts";
import { PRICES } from "../../../r2-layout/prices.ts";
import type { CostPart, CostToday } from "../../operations-json.ts";

/** Operations behind one unit, rounded, as counted at 7,000 events/s over 16 shards. */
const PER_MESSAGE = { queueOperations: 3, timelineRows: 1.4, timelineCalls: 1.02 } as const;
const PER_SEGMENT = {
  invocations: 3,
  logRows: 5.2,
  logCalls: 5,
  cursorRows: 3.6,
  rollupRows: 3.9,
  wakeUps: 3,
  r2Reads: 3.5,
} as const;
const PER_LAKE_COMMIT = { r2Writes: 1.2, catalogRows: 11.6 } as const;
/** Of the whole runtime. */
const CPU_MS_PER_EVENT = 0.25;
/** Of one event in its objects: an id of the dedup window, and its place in a timeline. */
const ID_BYTES = 18.4;
const TIMELINE_BYTES = 105;
/** Before the lake has rows of its own to go by. */
const LAKE_BYTES_PER_ROW = 50;
const LAKE_MONTHS = 24;
const MONTH_DAYS = 30;
const MILLION = 1e6;

export interface DayOfLake {
  readonly commits: number;
  readonly rows: number;
  readonly bytes: number;
}

export function costToday({ events, messages, segments, bytes }: Today, lake: DayOfLake): CostToday {
  const { commits } = lake;
  const perRow = lake.rows > 0 ? lake.bytes / lake.rows : LAKE_BYTES_PER_ROW;
  const months = (days: number) => days / MONTH_DAYS;
  const dollarsOf: Readonly<Record<string, number>> = {
    "requests of senders": messages * PRICES.workerRequest,
    "consumers' invocations": segments * PER_SEGMENT.invocations * PRICES.workerRequest,
    "events queues": messages * PER_MESSAGE.queueOperations * PRICES.queueOperation,
    timelines:
      messages * (PER_MESSAGE.timelineRows * PRICES.rowWritten + PER_MESSAGE.timelineCalls * PRICES.objectRequest) +
      events * TIMELINE_BYTES * PRICES.objectByteMonth * months(TIMELINE.daysKept),
    log:
      segments * (PRICES.r2Write + PER_SEGMENT.r2Reads * PRICES.r2Read) +
      segments * (PER_SEGMENT.logRows * PRICES.rowWritten + PER_SEGMENT.logCalls * PRICES.objectRequest) +
      bytes * PRICES.r2ByteMonth * months(LOG.retentionDays) +
      events * ID_BYTES * PRICES.objectByteMonth * months(LOG.dedupWindowDaysMin + 1),
    "wake-ups and cursors":
      segments * (PER_SEGMENT.wakeUps * 3 * PRICES.queueOperation + PER_SEGMENT.cursorRows * PRICES.rowWritten),
    rollups: segments * PER_SEGMENT.rollupRows * PRICES.rowWritten,
    lake:
      commits * (PER_LAKE_COMMIT.r2Writes * PRICES.r2Write + PER_LAKE_COMMIT.catalogRows * PRICES.rowWritten) +
      events * perRow * PRICES.r2ByteMonth * LAKE_MONTHS,
    processor: events * CPU_MS_PER_EVENT * PRICES.cpuMs,
  };
  const parts = Object.entries(dollarsOf)
    .map(([part, dollars]): CostPart => ({ part, dollars }))
    .sort((a, b) => b.dollars - a.dollars);
  const dollars = parts.reduce((sum, part) => sum + part.dollars, 0);
  return { events, dollars, dollars_per_million: events === 0 ? null : (dollars * MILLION) / events, parts };
}
