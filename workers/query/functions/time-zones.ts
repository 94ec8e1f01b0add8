/**
 * Offsets of time zones by the runtime's own table (Intl), since the engine's build has none. All rules of our time
 * change offsets at whole quarters of an hour, so an offset is computed once for each quarter that is asked for.
 */

const QUARTER_MS = 900_000;
const MICROS_PER_MS = 1_000;
const QUARTERS_MAX = 50_000;

interface Zone {
  readonly format: Intl.DateTimeFormat;
  readonly offsets: Map<number, number>;
}

const zones = new Map<string, Zone>();
const ZONES_MAX = 50;

/** @param us microseconds, UTC. @returns what to add to it for the zone's own time. @throws Error for an unknown zone. */
export function offsetAt(zone: string, us: number): number {
  return offsetMs(zoneOf(zone), us / MICROS_PER_MS) * MICROS_PER_MS;
}

/**
 * What to subtract from a zone's own time for UTC. Of an hour that comes twice the later one is meant, and one that
 * never comes is taken for as long after the change: what ICU, and with it native DuckDB, does.
 * @param us microseconds of the zone's own time. @throws Error for an unknown zone.
 */
export function offsetOfLocal(zone: string, us: number): number {
  const known = zoneOf(zone);
  const ms = us / MICROS_PER_MS;
  const [before, after] = [offsetMs(known, ms - DAY_MS), offsetMs(known, ms + DAY_MS)];
  // The moments that it may be: those at which that offset is in force.
  const later = offsetMs(known, ms - after) === after;
  return (later ? after : before) * MICROS_PER_MS;
}

const DAY_MS = 86_400_000;

function zoneOf(name: string): Zone {
  const known = zones.get(name);
  if (known) return known;
  if (zones.size >= ZONES_MAX) zones.clear();
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      calendar: "gregory",
      hourCycle: "h23",
      era: "short",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch {
    throw new Error(`unknown time zone ${name}: use a name like 'Europe/Berlin', or 'UTC'`);
  }
  const zone = { format, offsets: new Map<number, number>() };
  zones.set(name, zone);
  return zone;
}

function offsetMs({ format, offsets }: Zone, ms: number): number {
  const quarter = Math.floor(ms / QUARTER_MS);
  const known = offsets.get(quarter);
  if (known !== undefined) return known;
  if (offsets.size >= QUARTERS_MAX) offsets.clear();
  const at = quarter * QUARTER_MS;
  const parts: Record<string, string> = {};
  for (const { type, value } of format.formatToParts(at)) parts[type] = value;
  const field = (name: string) => Number(parts[name]);
  const year = parts.era === "BC" ? 1 - field("year") : field("year");
  const local = new Date(0);
  local.setUTCFullYear(year, field("month") - 1, field("day"));
  local.setUTCHours(field("hour"), field("minute"), field("second"));
  const offset = local.getTime() - at;
  offsets.set(quarter, offset);
  return offset;
}
