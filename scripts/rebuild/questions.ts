/**
 * Thirty fixed questions to the three stores. The same events give the same answers, whatever was rebuilt in between:
 * every SQL answer has one order, money is rounded to cents, and nothing asks when or where a row was stored.
 */
import type { RunningSystem } from "../../test/system/harness.ts";

export interface Question {
  readonly sink: "lake" | "sessions" | "rollups";
  readonly text: string;
  readonly ask: (system: RunningSystem) => Promise<unknown>;
}

/** What the questions ask about: found out before the first round. */
export interface Subjects {
  /** Days of event_time with events, `YYYY-MM-DD`, oldest first. */
  readonly days: readonly string[];
  /** The hours of the synthetic events, milliseconds. */
  readonly from: number;
  readonly to: number;
  /** A device of the imported log. */
  readonly loggedDevice: string;
}

const ALL_MINUTES = 31_000_000;
/** What of a profile does not change with the time of day. */
const PROFILE =
  "profile?fields=first_seen,last_seen,events,counts,revenue,last_values,devices,active_days,first_touch,last_touch";

export function questions({ days, from, to, loggedDevice }: Subjects): Question[] {
  const sql = (text: string): Question => ({
    sink: "lake",
    text,
    ask: async (system) => {
      const { columns, rows } = await system.sql(text);
      return { columns, rows };
    },
  });
  const rollup = (query: Readonly<Record<string, string>>): Question => ({
    sink: "rollups",
    text: new URLSearchParams(query).toString(),
    // State and version say how a point came about; a rebuild leaves what did not change as it was.
    ask: (system) => system.rollups(query),
  });
  const read = (path: string): Question => ({
    sink: "sessions",
    text: path,
    ask: async (system) => {
      // When it was asked is no part of the answer.
      const { as_of, ...answer } = await system.read<Record<string, unknown>>(path);
      return answer;
    },
  });
  const hours = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
  const everyDay = { from: `${days[0]}T00:00:00Z`, to: `${days.at(-1)}T23:59:59Z` };
  const user = (id: string, rest: string) => read(`/v1/users/${encodeURIComponent(id)}/${rest}`);
  return [
    sql("select count(*) from events"),
    sql("select event_name, count(*) from events group by 1 order by 2 desc, 1"),
    sql(
      "select date_trunc('day', event_time) as day, count(*), count(distinct anonymous_id) from events group by 1 order by 1",
    ),
    sql("select date_trunc('hour', event_time) as hour, event_name, count(*) from events group by 1, 2 order by 1, 2"),
    sql(
      "select currency, count(revenue), round(sum(revenue), 2), min(revenue), max(revenue) from events group by 1 order by 1",
    ),
    sql("select user_id, count(*) from events where user_id is not null group by 1 order by 2 desc, 1 limit 50"),
    sql("select page_path, count(*), count(distinct user_id) from events group by 1 order by 2 desc, 1 limit 50"),
    sql("select app_version, locale, count(*) from events group by 1, 2 order by 1, 2"),
    sql("select properties['status'][1] as status, count(*) from events group by 1 order by 1"),
    sql("select properties['note'][1] as note, count(*) from events group by 1 order by 1"),
    sql(
      "select * exclude (received_at, log_seq, log_shard) from events where user_id = 'user-7' order by event_time desc, event_id limit 100",
    ),
    sql("select event_id, event_time, properties from events order by event_id limit 200"),
    sql(
      "select count(distinct event_id), count(distinct user_id), count(distinct anonymous_id), count(distinct session_id) from events",
    ),
    sql(
      "with first as (select user_id, min(event_time) as at from events where event_name = 'Product Added' group by 1) select count(*) from first join events e on e.user_id = first.user_id and e.event_name = 'Order Completed' and e.event_time > first.at",
    ),
    rollup({ metric: "events", grain: "day", ...everyDay }),
    rollup({ metric: "events", grain: "hour", ...hours }),
    rollup({ metric: "events", grain: "minute", ...hours }),
    rollup({ metric: "events", grain: "minute", by: "event_name", ...hours }),
    rollup({ metric: "events", grain: "hour", by: "page_path", ...hours }),
    rollup({ metric: "events", grain: "day", by: "device_type", ...everyDay }),
    rollup({ metric: "users", grain: "minute", ...hours }),
    rollup({ metric: "users", grain: "day", ...everyDay }),
    rollup({ metric: "revenue", grain: "hour", by: "event_name", ...hours }),
    user("user-7", `events?minutes=${ALL_MINUTES}&limit=1000`),
    user("user-11", "sessions"),
    user("user-7", PROFILE),
    user("user-59", PROFILE),
    user("nobody", `events?minutes=${ALL_MINUTES}`),
    read(`/v1/devices/device-7-0/events?minutes=${ALL_MINUTES}&limit=1000`),
    read(`/v1/devices/${encodeURIComponent(loggedDevice)}/events?minutes=${ALL_MINUTES}&limit=1000`),
  ];
}
