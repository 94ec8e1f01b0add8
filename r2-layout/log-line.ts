/**
 * One line of the log: the sender's JSON as accepted beside the columns the edge derived from it and from the
 * request, and the version of that derivation, so that a replay can derive them anew.
 */
import type { DerivedEvent, EventRow, QuarantineRow } from "./event-columns.ts";
import { INGEST } from "./limits.ts";
import { cutUtf8 } from "./utf8.ts";

export const DERIVATION_VERSION = 1;

export interface QuarantineMark {
  readonly cause: string;
  readonly field?: string;
  readonly expected?: string;
  readonly actual?: string;
}

export interface LogLine {
  /** The sender's JSON, less what policy drops (addresses, user agents). */
  readonly raw: Readonly<Record<string, unknown>>;
  /** Derived columns; for a quarantined event those that could be read, and always event_id, source, received_at. */
  readonly row: DerivedEvent;
  /** Version of the derivation. */
  readonly d: number;
  /** Present when the event is quarantined. */
  readonly q?: QuarantineMark;
}

/** Where in the log a line stands. */
export interface LogPosition {
  readonly shard: number;
  readonly seq: number;
}

export const formatLogLine = (line: LogLine): string => JSON.stringify(line);

/** Reads a line that `formatLogLine` wrote. @throws SyntaxError where the segment is damaged. */
export const parseLogLine = (text: string): LogLine => JSON.parse(text) as LogLine;

/** The whole event, as every sink sees it. */
export function eventRow(line: LogLine, at: LogPosition): EventRow {
  return { ...line.row, properties: propertiesOf(line.raw), log_shard: at.shard, log_seq: at.seq };
}

export function quarantineRow(line: LogLine, at: LogPosition): QuarantineRow {
  const { row, q } = line;
  return {
    event_id: row.event_id,
    source: row.source,
    received_at: row.received_at,
    event_name: row.event_name,
    event_type: row.event_type,
    user_id: row.user_id,
    anonymous_id: row.anonymous_id,
    cause: q?.cause ?? "unknown",
    field: q?.field,
    expected: q?.expected,
    actual: q?.actual,
    contract_version: row.contract_version,
    app_name: row.app_name,
    app_version: row.app_version,
    sdk: row.sdk,
    raw: JSON.stringify(line.raw),
    log_shard: at.shard,
    log_seq: at.seq,
  };
}

/** Members of a call that stand beside its properties: mobile SDKs name a screen only there. Properties stand above them. */
const BESIDE_PROPERTIES = [
  ["group_id", "groupId"],
  ["previous_id", "previousId"],
  ["name", "name"],
  ["category", "category"],
] as const;

/** The sender's properties (traits for identify and group), each value as text; null where there are none. */
export function propertiesOf(raw: Readonly<Record<string, unknown>>): Record<string, string> | null {
  const given = isObject(raw.properties) ? raw.properties : isObject(raw.traits) ? raw.traits : {};
  const out: Record<string, string> = {};
  let count = 0;
  for (const key in given) {
    const value = given[key];
    if (value === null || value === undefined) continue;
    if (++count > INGEST.propertiesPerEvent) break;
    const text = typeof value === "string" ? value : JSON.stringify(value);
    setOwn(out, key, cutUtf8(text, INGEST.propertyValueBytes));
  }
  for (const [name, key] of BESIDE_PROPERTIES) {
    const value = raw[key];
    if (typeof value === "string" && value !== "" && out[name] === undefined) {
      out[name] = cutUtf8(value, INGEST.propertyValueBytes);
      count++;
    }
  }
  return count === 0 ? null : out;
}

/** A property named `__proto__` is a property like any other, not the object's prototype. */
function setOwn(out: Record<string, string>, key: string, value: string): void {
  if (key !== "__proto__") out[key] = value;
  else Object.defineProperty(out, key, { value, enumerable: true, configurable: true, writable: true });
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
