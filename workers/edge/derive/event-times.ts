/**
 * When an event happened. The sender's clock may be wrong, but by the same amount at both of its readings, so
 * event_time = received_at - (sent_at - timestamp): how long the event waited at the sender is what counts.
 * A time that cannot be (before 2000, or more than a day ahead) is replaced by received_at and flagged, never dropped:
 * of an unset clock we know nothing better, and `client_time` keeps what it said.
 */
import { INGEST } from "../../../r2-layout/limits.ts";
import { MICROS_PER_MS, parseTime } from "../../../r2-layout/time.ts";

/** All in microseconds. */
export interface EventTimes {
  readonly eventTime: number;
  readonly clientTime: number | undefined;
  readonly sentAt: number | undefined;
  readonly late: boolean;
  /** The time was replaced, or the sender's clock is further from ours than a slow network explains. */
  readonly clockSkewed: boolean;
}

const FUTURE_US = INGEST.futureSkewMs * MICROS_PER_MS;
const OLDEST_US = INGEST.oldestEventTimeMs * MICROS_PER_MS;
const LATE_US = INGEST.lateAfterMs * MICROS_PER_MS;

export function eventTimes(clientTime: number | undefined, sentAt: number | undefined, receivedAt: number): EventTimes {
  const skew = sentAt === undefined ? 0 : receivedAt - sentAt;
  const corrected = clientTime === undefined ? receivedAt : clientTime + skew;
  const possible = corrected >= OLDEST_US && corrected <= receivedAt + FUTURE_US;
  const eventTime = possible ? corrected : receivedAt;
  return {
    eventTime,
    clientTime,
    sentAt,
    late: receivedAt - eventTime > LATE_US,
    clockSkewed: !possible || Math.abs(skew) > LATE_US,
  };
}

/** A time a column can hold exactly: undefined for nothing, null for what is no time or lies outside 1684 to 2255. */
export function readTime(value: unknown): number | undefined | null {
  if (value === undefined || value === null || value === "") return undefined;
  const us = parseTime(value);
  return us !== null && Number.isSafeInteger(us) ? us : null;
}
