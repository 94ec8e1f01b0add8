/** What the `maintenance` queue carries, and when the cron puts it there. */
import { DAY_MS, LOG, MINUTE_MS } from "../../r2-layout/limits.ts";
import { dayOf, MICROS_PER_MS } from "../../r2-layout/time.ts";

export type MaintenanceMessage =
  /** Deletes log objects of one received day (`YYYY-MM-DD`) that no row names. `cursor` continues a listing. */
  | { readonly kind: "sweep-log"; readonly day: string; readonly cursor?: string }
  /** Forgets snapshots out of reach, then deletes lake objects that no row names. */
  | { readonly kind: "sweep-lake"; readonly cursor?: string }
  /** Merges small files, day by day, the most crowded first; days with more than `aboveFiles`, else as limits.ts says. */
  | { readonly kind: "compact"; readonly aboveFiles?: number };

/** A cron of this name, which no schedule has, does all maintenance at once: local runs and tests call it. */
export const MAINTENANCE_NOW_CRON = "maintenance-now";

const COMPACT_EVERY_MINUTES = 5;
const SWEEP_LAKE_AT_MINUTE = 17;
const SWEEP_LOG_AT_MINUTE = 37;
/** An orphan is swept on a day's later turns; one missed is deleted by the bucket's own rule with the rest of its day. */
const SWEEP_LOG_DAYS = 5;

/** What is due in the minute of `nowMs`: the cron calls this once a minute and sends what it answers. */
export function maintenanceMessages(nowMs: number, cron?: string): MaintenanceMessage[] {
  const all = cron === MAINTENANCE_NOW_CRON;
  const minute = Math.floor(nowMs / MINUTE_MS) % 60;
  const due: MaintenanceMessage[] = [];
  if (all) due.push({ kind: "compact", aboveFiles: 1 });
  else if (minute % COMPACT_EVERY_MINUTES === 0) due.push({ kind: "compact" });
  if (all || minute === SWEEP_LAKE_AT_MINUTE) due.push({ kind: "sweep-lake" });
  if (all || minute === SWEEP_LOG_AT_MINUTE) {
    // Objects of younger days are within their grace.
    const newest = nowMs - LOG.orphanGraceMs;
    for (let back = 0; back < SWEEP_LOG_DAYS; back++) {
      due.push({ kind: "sweep-log", day: dayOf((newest - back * DAY_MS) * MICROS_PER_MS) });
    }
  }
  return due;
}

export function parseMaintenanceMessage(body: unknown): MaintenanceMessage | null {
  if (typeof body !== "object" || body === null) return null;
  const { kind, day, cursor, aboveFiles } = body as Readonly<Record<string, unknown>>;
  const continued = typeof cursor === "string" ? { cursor } : {};
  switch (kind) {
    case "sweep-log":
      return typeof day === "string" && /^\d{4}-\d\d-\d\d$/.test(day) ? { kind, day, ...continued } : null;
    case "sweep-lake":
      return { kind, ...continued };
    case "compact":
      return typeof aboveFiles === "number" && aboveFiles >= 1 ? { kind, aboveFiles } : { kind };
    default:
      return null;
  }
}
