/**
 * What a shard's log took since midnight (UTC): the cumulative counts now less those with which the day began. They stand
 * in the log's own row and are set by the day's first commit, so a day costs no row of its own.
 */
import { DAY_MS } from "../../r2-layout/limits.ts";
import { DAY_US, dayOf } from "../../r2-layout/time.ts";

export interface DayCounts {
  /** `YYYY-MM-DD`: of the newest commit. Another than today: nothing came today. */
  readonly day: string;
  /** Events that arrived, with duplicates and quarantined ones. */
  readonly events: number;
  /** Messages of edges, without redeliveries. */
  readonly messages: number;
  readonly segments: number;
  /** Bytes of the segments. */
  readonly bytes: number;
}

/** Of the log's row. Days since the epoch; 0 before the first commit that counted. */
export type DayRow = {
  messages: number;
  log_bytes: number;
  day: number;
  day_arrived: number;
  day_messages: number;
  day_head: number;
  day_bytes: number;
};

export const DAY_COLUMNS: Readonly<Record<keyof DayRow, string>> = {
  messages: "INTEGER NOT NULL DEFAULT 0",
  log_bytes: "INTEGER NOT NULL DEFAULT 0",
  day: "INTEGER NOT NULL DEFAULT 0",
  day_arrived: "INTEGER NOT NULL DEFAULT 0",
  day_messages: "INTEGER NOT NULL DEFAULT 0",
  day_head: "INTEGER NOT NULL DEFAULT 0",
  day_bytes: "INTEGER NOT NULL DEFAULT 0",
};

/** The row as a commit at this time finds it: on a new day its counts so far are those that the day begins with. */
export function onDayOf<Row extends DayRow & { arrived: number; head: number }>(row: Row, atMs: number): Row {
  const day = Math.floor(atMs / DAY_MS);
  if (day <= row.day) return row;
  return {
    ...row,
    day,
    day_arrived: row.arrived,
    day_messages: row.messages,
    day_head: row.head,
    day_bytes: row.log_bytes,
  };
}

export const dayCounts = (row: DayRow & { arrived: number; head: number }): DayCounts => ({
  day: dayOf(row.day * DAY_US),
  events: row.arrived - row.day_arrived,
  messages: row.messages - row.day_messages,
  segments: row.head - row.day_head,
  bytes: row.log_bytes - row.day_bytes,
});

export function withoutDay<Row extends DayRow>(row: Row): Omit<Row, keyof DayRow> {
  const { messages, log_bytes, day, day_arrived, day_messages, day_head, day_bytes, ...rest } = row;
  return rest;
}
