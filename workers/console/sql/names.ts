/** Names of events and properties in this lake, for the editor. Each is asked for once, when it is first needed. */

import { request } from "../shell/api.ts";
import { formatShort } from "../shell/format.ts";
import { explainStatement, runStatement, statementId } from "./statement.ts";

export interface KnownName {
  readonly name: string;
  readonly detail: string;
}

export interface Names {
  events(): Promise<readonly KnownName[]>;
  properties(): Promise<readonly KnownName[]>;
}

const DAYS = 7;
const DAY_MS = 86_400_000;
/** To complete a word may not cost more than this; a busier lake has its promoted columns' properties only. */
const READ_BYTES_MAX = 16_000_000;
const NAMES_MAX = 500;

export function askedNames(): Names {
  let events: Promise<readonly KnownName[]> | undefined;
  let properties: Promise<readonly KnownName[]> | undefined;
  return {
    events: () => (events ??= eventNames().catch(() => [])),
    properties: () => (properties ??= propertyNames().catch(() => [])),
  };
}

/** From the rollups, which cost nothing to ask. */
async function eventNames(): Promise<KnownName[]> {
  const from = new Date(Date.now() - DAYS * DAY_MS).toISOString();
  type Points = { points: readonly { key: { event_name?: string }; value: number }[] };
  const path = `/v1/rollups?${new URLSearchParams({ metric: "events", grain: "day", by: "event_name", from })}`;
  const answer = await request<Points>(path);
  if (!answer.ok) return [];
  const counts = new Map<string, number>();
  for (const { key, value } of answer.value.points) {
    if (key.event_name) counts.set(key.event_name, (counts.get(key.event_name) ?? 0) + value);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => ({ name, detail: `${formatShort(count)} in ${DAYS} days` }));
}

const PROPERTY_NAMES = `SELECT key, count(*) AS events
FROM (SELECT unnest(map_keys(properties)) AS key FROM events WHERE event_time > now()::TIMESTAMP - INTERVAL 1 HOUR) AS keys
GROUP BY key ORDER BY events DESC LIMIT ${NAMES_MAX}`;

/** Of the last hour's events, unless reading them is too much. */
async function propertyNames(): Promise<KnownName[]> {
  const { signal } = new AbortController();
  const question = { sql: PROPERTY_NAMES };
  const price = await explainStatement(question, signal);
  if (!price?.ok || price.value.bytes > READ_BYTES_MAX) return [];
  const answer = await runStatement(question, statementId(), signal);
  if (!answer?.ok) return [];
  return answer.value.rows.map(([key, events]) => ({
    name: String(key),
    detail: `${formatShort(Number(events))} in the last hour`,
  }));
}
