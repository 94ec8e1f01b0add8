/**
 * What came of an event, by hour and source: statements over the lake, and their rows read. What was kept apart and given back counts
 * once. Of events it reads five columns of the hours' files of that name; of the quarantine four, and ids of both only where
 * something was kept apart at all.
 */
import { VIOLATED } from "../../r2-layout/contracts/contract.ts";
import type { SourceHour } from "../../r2-layout/contracts/expected.ts";
import { HOUR_MS, MINUTE_MS } from "../../r2-layout/limits.ts";
import { sqlText, sqlTime } from "../../r2-layout/sql-text.ts";

/** Received in from..to (milliseconds, half open). */
export interface HourRange {
  readonly from: number;
  readonly to: number;
}

export type SqlRows = readonly (readonly unknown[])[];
export type AskSql = (sql: string) => Promise<SqlRows>;

/** @returns source hours by the hour's beginning (ms), in no order. @param fields null: without coverage, which reads the dearest column */
export async function readHours(
  ask: AskSql,
  eventName: string,
  fields: readonly string[] | null,
  range: HourRange,
): Promise<Map<number, SourceHour[]>> {
  const events = await ask(eventsSql(eventName, fields ?? [], range));
  const kept = await ask(quarantineSql(eventName, range));
  const still = kept.length === 0 ? [] : await ask(quarantineSql(eventName, range, "not given back"));
  return sourceHours(fields, events, still);
}

export function eventsSql(eventName: string, fields: readonly string[], range: HourRange): string {
  const counts = fields.map((field) => `count(properties[${sqlText(field)}][1])`);
  const skew = "approx_quantile(abs(epoch_ms(coalesce(sent_at, received_at)) - epoch_ms(received_at)), 0.99)";
  const broken = "count(*) filter (where list_contains(flags, 'off_contract'))";
  const columns = ["count(*)", "max(epoch_ms(received_at))", broken, skew, ...counts];
  return `select source, epoch_ms(date_trunc('hour', received_at)) as hour, ${columns.join(", ")} from events
    where ${whereSql(eventName, range)} group by 1, 2`;
}

export function quarantineSql(eventName: string, range: HourRange, only?: "not given back"): string {
  const where = whereSql(eventName, range);
  const still = only
    ? ` and concat_ws(chr(10), source, event_id) not in
      (select concat_ws(chr(10), source, event_id) from events where ${where})`
    : "";
  return `select source, epoch_ms(date_trunc('hour', received_at)) as hour, count(*), max(epoch_ms(received_at)) from quarantine
    where cause = ${sqlText(VIOLATED)} and ${where}${still} group by 1, 2`;
}

const whereSql = (eventName: string, { from, to }: HourRange): string =>
  `event_name = ${sqlText(eventName)} and received_at >= ${sqlTime(from)} and received_at < ${sqlTime(to)}`;

export function sourceHours(
  fields: readonly string[] | null,
  events: SqlRows,
  quarantine: SqlRows,
): Map<number, SourceHour[]> {
  const hours = new Map<number, Map<string, SourceHour>>();
  const put = (hour: unknown, one: SourceHour) => {
    const of = hours.get(Number(hour)) ?? new Map<string, SourceHour>();
    hours.set(Number(hour), of.set(one.source, one));
  };
  for (const [source, hour, count, newest, broken, skew, ...present] of events) {
    put(hour, {
      source: String(source),
      events: Number(count),
      quarantined: 0,
      offContract: Number(broken ?? 0),
      newestAt: Number(newest),
      skewMinutes: Number(skew ?? 0) / MINUTE_MS,
      present: fields && Object.fromEntries(fields.map((field, i) => [field, Number(present[i])])),
    });
  }
  for (const [source, hour, count, newest] of quarantine) {
    const known = hours.get(Number(hour))?.get(String(source)) ?? {
      ...{ source: String(source), events: 0, offContract: 0, newestAt: 0, skewMinutes: 0 },
      present: fields && Object.fromEntries(fields.map((field) => [field, 0])),
    };
    const newestAt = Math.max(known.newestAt, Number(newest));
    put(hour, { ...known, quarantined: Number(count), newestAt });
  }
  return new Map([...hours].map(([hour, of]) => [hour, [...of.values()]]));
}

export const hourOf = (ms: number): number => ms - (ms % HOUR_MS);
