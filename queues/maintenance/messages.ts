/** What the `maintenance` queue carries, and when the cron puts it there. */
import { DAY_MS, HOUR_MS, LOG, MINUTE_MS } from "../../r2-layout/limits.ts";
import { dayOf, MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { HealthMessage, HealthPart } from "../contract-health/evaluate-hours.ts";
import type { PiiAuditPart } from "../pii-audit/audit-log.ts";

export type MaintenanceMessage =
  /** Deletes log objects of one received day (`YYYY-MM-DD`) that no row names. `cursor` continues a listing. */
  | { readonly kind: "sweep-log"; readonly day: string; readonly cursor?: string }
  /** Forgets snapshots out of reach, then deletes lake objects that no row names. */
  | { readonly kind: "sweep-lake"; readonly cursor?: string }
  /** Publishes the lake as Iceberg tables, if it is time; with `now` at once: after a cut. */
  | { readonly kind: "publish-iceberg"; readonly now?: boolean }
  /** Freezes days that are over, and does what is left to do for cuts. */
  | { readonly kind: "cuts" }
  /** Drops what has been kept for long enough. */
  | { readonly kind: "expire" }
  /** Searches the last day of the log for PII that no contract declares, once a day; with `now` in any case. */
  | { readonly kind: "pii-audit"; readonly now?: boolean; readonly part?: PiiAuditPart }
  /** Looks at what contracts expect, hour by hour; with `now` at the hour that goes on, too. */
  | ({ readonly kind: "contract-health" } & HealthMessage)
  /** Deletes lists of people whom nobody goes on to erase. `after` continues a listing. */
  | { readonly kind: "erasure-lists"; readonly after?: string }
  /** Looks for people who were erased before, once a day; `more` goes on, `now` begins anew. */
  | { readonly kind: "erasure-check"; readonly more?: boolean; readonly now?: boolean }
  /** Merges small files, day by day, the most crowded first; days with more than `aboveFiles`, else as limits.ts says. */
  | { readonly kind: "compact"; readonly aboveFiles?: number };

/** A cron of this name, which no schedule has, does all maintenance at once: local runs and tests call it. */
export const MAINTENANCE_NOW_CRON = "maintenance-now";
/** Another, which publishes the Iceberg tables at once and does nothing else. */
export const PUBLISH_NOW_CRON = "publish-now";

const COMPACT_EVERY_MINUTES = 5;
const SWEEP_LAKE_AT_MINUTE = 17;
const SWEEP_LOG_AT_MINUTE = 37;
const EXPIRE_AT_MINUTE = 47;
/** Each hour: all but the first of a day find that it is done. */
const AUDIT_PII_AT_MINUTE = 27;
const ERASURE_LISTS_AT_MINUTE = 7;
/** Each hour: all but the first of a day find that it is done, or go on where it stands still. */
const CHECK_ERASURES_AT_MINUTE = 52;
/** Each ten minutes: where the lake is as fast as it should be, all but one of an hour find that it is judged. */
const HEALTH_EVERY_MINUTES = 10;
const HEALTH_AT_MINUTE = 6;
/**
 * Days of the log swept every hour, newest first: orphans of ordinary crashes are here. Of the older days one is taken each
 * hour, in turn, back to where the bucket's own rule deletes: what a long outage left is found within a day or two, for one
 * listing more an hour. And somewhat beyond: a segment that an erasure has written anew is younger than its day, and would
 * stay for up to 30 days after the log has forgotten it.
 */
const SWEEP_LOG_DAYS = 5;
const SWEEP_BEYOND_DAYS = 3;

/** What is due in the minute of `nowMs`: the cron calls this once a minute and sends what it answers. */
export function maintenanceMessages(nowMs: number, cron?: string): MaintenanceMessage[] {
  if (cron === PUBLISH_NOW_CRON) return [{ kind: "publish-iceberg", now: true }];
  const all = cron === MAINTENANCE_NOW_CRON;
  const minute = Math.floor(nowMs / MINUTE_MS) % 60;
  const due: MaintenanceMessage[] = [];
  due.push({ kind: "publish-iceberg", ...(all && { now: true }) });
  if (all) due.push({ kind: "compact", aboveFiles: 1 });
  else if (minute % COMPACT_EVERY_MINUTES === 0) due.push({ kind: "compact" });
  // Each minute: most of the time it is one question.
  due.push({ kind: "cuts" });
  if (all || minute === EXPIRE_AT_MINUTE) due.push({ kind: "expire" });
  if (all || minute === AUDIT_PII_AT_MINUTE) due.push({ kind: "pii-audit", ...(all && { now: true }) });
  if (all || minute % HEALTH_EVERY_MINUTES === HEALTH_AT_MINUTE)
    due.push({ kind: "contract-health", ...(all && { now: true }) });
  if (all || minute === ERASURE_LISTS_AT_MINUTE) due.push({ kind: "erasure-lists" });
  if (all || minute === CHECK_ERASURES_AT_MINUTE) due.push({ kind: "erasure-check", ...(all && { now: true }) });
  if (all || minute === SWEEP_LAKE_AT_MINUTE) due.push({ kind: "sweep-lake" });
  if (all || minute === SWEEP_LOG_AT_MINUTE) {
    // Objects of younger days are within their grace.
    const newest = nowMs - LOG.orphanGraceMs;
    for (const back of [...Array(SWEEP_LOG_DAYS).keys(), olderDay(nowMs)]) {
      due.push({ kind: "sweep-log", day: dayOf((newest - back * DAY_MS) * MICROS_PER_MS) });
    }
  }
  return due;
}

/** How many days back the hour's turn is: each from `SWEEP_LOG_DAYS` to beyond `LOG.retentionDays` comes once in as many hours. */
function olderDay(nowMs: number): number {
  const hour = Math.floor(nowMs / HOUR_MS);
  return SWEEP_LOG_DAYS + (hour % (LOG.retentionDays + SWEEP_BEYOND_DAYS - SWEEP_LOG_DAYS + 1));
}

export function parseMaintenanceMessage(body: unknown): MaintenanceMessage | null {
  if (typeof body !== "object" || body === null) return null;
  const { kind, day, cursor, aboveFiles, now, part, after, more } = body as Readonly<Record<string, unknown>>;
  const continued = typeof cursor === "string" ? { cursor } : {};
  switch (kind) {
    case "sweep-log":
      return typeof day === "string" && /^\d{4}-\d\d-\d\d$/.test(day) ? { kind, day, ...continued } : null;
    case "sweep-lake":
      return { kind, ...continued };
    case "cuts":
    case "expire":
      return { kind };
    case "publish-iceberg":
      return { kind, ...(now === true && { now }) };
    case "pii-audit":
      return { kind, ...(now === true && { now }), ...(isAuditPart(part) && { part }) };
    case "contract-health":
      return { kind, ...(now === true && { now }), ...(isHealthPart(part) && { part }) };
    case "erasure-lists":
      return { kind, ...(typeof after === "string" && { after }) };
    case "erasure-check":
      return { kind, ...(now === true && { now }), ...(more === true && { more }) };
    case "compact":
      return typeof aboveFiles === "number" && aboveFiles >= 1 ? { kind, aboveFiles } : { kind };
    default:
      return null;
  }
}

function isAuditPart(part: unknown): part is PiiAuditPart {
  const { day, next } = (part ?? {}) as Partial<Record<keyof PiiAuditPart, unknown>>;
  return typeof day === "string" && typeof next === "number" && Number.isSafeInteger(next) && next >= 0;
}

function isHealthPart(part: unknown): part is HealthPart {
  const { hour, isFinal, after, done } = (part ?? {}) as Partial<Record<keyof HealthPart, unknown>>;
  return (
    Number.isSafeInteger(hour) &&
    typeof isFinal === "boolean" &&
    typeof after === "string" &&
    Number.isSafeInteger(done)
  );
}
