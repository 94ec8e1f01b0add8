/** When cuts are made and how long the lake keeps what: the Worker's variables, checked, so that no typing error deletes a row. */
import type { CutSettings } from "../../durable-objects/lake-catalog/cuts-api.ts";
import type { RetentionSettings } from "../../durable-objects/lake-catalog/retention-api.ts";
import { CUT, DAY_MS, HOUR_MS, MINUTE_MS, RETENTION } from "../../r2-layout/limits.ts";

/** As wrangler.toml has them; each may be absent. */
export interface HistoryVariables {
  /** Minutes after midnight, UTC, from which a day is frozen; 30. */
  readonly CUT_DELAY_MINUTES?: string;
  /** Hours after midnight after which a day that is not complete is published as partial; 6. */
  readonly CUT_WAIT_HOURS?: string;
  /** Hours between two versions of a day; 24. */
  readonly CUT_VERSION_HOURS?: string;
  /** Days that cuts are kept; as the rows when absent. */
  readonly CUT_RETENTION_DAYS?: string;
  /** Days that rows are kept after they were received; 730. */
  readonly RETENTION_DAYS?: string;
  /** JSON: days by event name, {"heartbeat": 30}. */
  readonly RETENTION_DAYS_BY_NAME?: string;
}

/** @throws RangeError for what is no such number: better no cut than one that is not meant. */
export function cutSettings(variables: HistoryVariables): CutSettings {
  const delay = { fallback: CUT.delayMs / MINUTE_MS, min: 0, max: (DAY_MS - HOUR_MS) / MINUTE_MS };
  const wait = { fallback: CUT.waitMs / HOUR_MS, min: 0, max: 24 * 30 };
  const version = { fallback: CUT.versionEveryMs / HOUR_MS, min: 0, max: 24 * 365 };
  return {
    delayMs: MINUTE_MS * numberOf("CUT_DELAY_MINUTES", variables.CUT_DELAY_MINUTES, delay),
    waitMs: HOUR_MS * numberOf("CUT_WAIT_HOURS", variables.CUT_WAIT_HOURS, wait),
    versionEveryMs: HOUR_MS * numberOf("CUT_VERSION_HOURS", variables.CUT_VERSION_HOURS, version),
  };
}

/** @throws RangeError for what is no such number: nothing expires before it is mended. */
export function retentionSettings(variables: HistoryVariables): RetentionSettings {
  const days = { fallback: RETENTION.days, min: RETENTION.daysMin, max: RETENTION.daysMax };
  const { CUT_RETENTION_DAYS: cuts } = variables;
  return {
    keptMs: DAY_MS * numberOf("RETENTION_DAYS", variables.RETENTION_DAYS, days),
    byName: byName(variables.RETENTION_DAYS_BY_NAME),
    cutsKeptMs: cuts === undefined || cuts === "" ? null : DAY_MS * numberOf("CUT_RETENTION_DAYS", cuts, days),
  };
}

interface Range {
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
}

function numberOf(name: string, text: string | undefined, { fallback, min, max }: Range): number {
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value < min || value > max) {
    throw new RangeError(`${name} is ${JSON.stringify(text)}, not a number from ${min} to ${max}`);
  }
  return value;
}

function byName(text: string | undefined): Record<string, number> {
  if (text === undefined || text === "") return {};
  const name = "RETENTION_DAYS_BY_NAME";
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new RangeError(`${name} is no JSON`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw new RangeError(`${name} is no object`);
  const entries = Object.entries(parsed);
  if (entries.length > RETENTION.names) throw new RangeError(`${name} has more than ${RETENTION.names} names`);
  const days = { fallback: RETENTION.days, min: RETENTION.daysMin, max: RETENTION.daysMax };
  return Object.fromEntries(
    entries.map(([event, value]) => [event, DAY_MS * numberOf(`${name}.${event}`, String(value), days)]),
  );
}
