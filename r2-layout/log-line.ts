/**
 * One line of the log: the columns the edge derived from an event and its request, the version of that derivation, and
 * the sender's JSON as accepted, so that a replay can derive them anew:
 *
 *     {"row":{…},"d":1,"raw":{…}}                 quarantined: {"row":{…},"d":1,"q":{…},"raw":{…}}
 *
 * The row stands first and the sender's JSON last: a sink needs the row alone, and leaves the rest unparsed.
 *
 *     {"erased":"event"}    {"erased":"quarantined"}         of a line whose people were erased, so that lines keep their numbers
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

export const formatLogLine = ({ row, d, q, raw }: LogLine): string => joinLogLine(row, d, q, JSON.stringify(raw));

/** `formatLogLine`, for a `raw` that is text already. */
export function joinLogLine(row: DerivedEvent, d: number, q: QuarantineMark | undefined, rawText: string): string {
  const mark = q === undefined ? "" : `"q":${JSON.stringify(q)},`;
  return `{"row":${JSON.stringify(row)},"d":${d},${mark}"raw":${rawText}}`;
}

/** Reads all of a line that `formatLogLine` wrote. @throws SyntaxError where the segment is damaged. */
export const parseLogLine = (text: string): LogLine => JSON.parse(text) as LogLine;

export type LineKind = "event" | "quarantined";

const ERASED = '{"erased":"';
const ERASED_LINES: Readonly<Record<LineKind, string>> = {
  event: `${ERASED}event"}`,
  quarantined: `${ERASED}quarantined"}`,
};

/** What stands where the line stood. One that cannot be read counts as what the log counts it as. */
export function erasedLine(line: string, unreadableIs: LineKind = "event"): string {
  const known = erasedKind(line);
  if (known) return line;
  try {
    return ERASED_LINES[readLogLine(line).q ? "quarantined" : "event"];
  } catch {
    return ERASED_LINES[unreadableIs];
  }
}

/** Null where the line is whole. */
export function erasedKind(line: string): LineKind | null {
  if (!line.startsWith(ERASED)) return null;
  return line === ERASED_LINES.event ? "event" : line === ERASED_LINES.quarantined ? "quarantined" : null;
}

/** What the sinks need of a line. */
export interface LogEntry {
  readonly row: DerivedEvent;
  readonly q?: QuarantineMark;
  /** The sender's JSON as it stands in the line. Null where there is no mark: nobody asks for it. */
  readonly rawText: string | null;
}

const ROW = '{"row":';
const ROW_END = '},"d":';
const MARK = ',"q":';
const MARK_END = '},"raw":';
const RAW = ',"raw":';

/**
 * Reads a line without parsing the sender's JSON, two thirds of the time of parsing it all. The row is cut off where its
 * end seems to be. A cut at any other place fails: the text of an object is never the beginning of another object's, so
 * what parses is the row. Then the line is parsed whole, as is one with its members in another order.
 * @throws SyntaxError where the segment is damaged.
 */
export function readLogLine(text: string): LogEntry {
  return cutLogLine(text) ?? wholeEntry(parseLogLine(text));
}

function cutLogLine(text: string): LogEntry | null {
  if (!text.startsWith(ROW) || !text.endsWith("}")) return null;
  const rowEnd = text.indexOf(ROW_END, ROW.length) + 1;
  if (rowEnd === 0) return null;
  let at = rowEnd + ROW_END.length - 1;
  while (isDigit(text.charCodeAt(at))) at++;
  try {
    if (text.startsWith(RAW, at))
      return { row: JSON.parse(text.slice(ROW.length, rowEnd)) as DerivedEvent, rawText: null };
    if (!text.startsWith(MARK, at)) return null;
    const markEnd = text.indexOf(MARK_END, at) + 1;
    return {
      row: JSON.parse(text.slice(ROW.length, rowEnd)) as DerivedEvent,
      q: JSON.parse(text.slice(at + MARK.length, markEnd)) as QuarantineMark,
      rawText: text.slice(markEnd + MARK_END.length - 1, -1),
    };
  } catch {
    return null;
  }
}

const isDigit = (code: number) => code >= 0x30 && code <= 0x39;

function wholeEntry({ raw, row, q }: LogLine): LogEntry {
  if (q) return { row, q, rawText: JSON.stringify(raw) };
  return { row: row.properties === undefined ? { ...row, properties: propertiesOf(raw) } : row, rawText: null };
}

/**
 * What the sinks rely on in a row, of whatever kind: without it a line is damaged, though it is JSON. Not all columns are
 * looked at: this runs for every row of every sink.
 */
export function isReadable({ row, q }: LogEntry): boolean {
  if (typeof row !== "object" || row === null) return false;
  if (typeof row.event_id !== "string" || typeof row.source !== "string" || !isTime(row.received_at)) return false;
  if (q !== undefined) return true;
  if (typeof row.event_name !== "string" || typeof row.event_type !== "string" || !isTime(row.event_time)) return false;
  return isIdentifier(row.user_id) && isIdentifier(row.anonymous_id);
}

const isTime = (us: unknown): boolean => typeof us === "number" && Math.abs(us) <= Number.MAX_SAFE_INTEGER;
const isIdentifier = (id: unknown): boolean => id === undefined || id === null || typeof id === "string";

/** The whole event, as every sink sees it. The entry's row becomes it: a copy takes as long as parsing does. */
export function eventRow({ row }: LogEntry, at: LogPosition): EventRow {
  const event = row as DerivedEvent & { log_shard: number; log_seq: number };
  event.log_shard = at.shard;
  event.log_seq = at.seq;
  return event;
}

export function quarantineRow({ row, q, rawText }: LogEntry, at: LogPosition): QuarantineRow {
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
    raw: rawText ?? "null",
    log_shard: at.shard,
    log_seq: at.seq,
  };
}

/** Members of a call that stand beside its properties: mobile SDKs name a screen only there. Properties stand above them. */
export const BESIDE_PROPERTIES = [
  ["group_id", "groupId"],
  ["previous_id", "previousId"],
  ["name", "name"],
  ["category", "category"],
] as const;

/** Which member of a call a row's properties are made of: where it has both, or neither, too. */
export function propertiesMember(raw: Readonly<Record<string, unknown>>, eventName: string): "properties" | "traits" {
  if (isObject(raw.properties)) return "properties";
  return isObject(raw.traits) || eventName === "identify" || eventName === "group" ? "traits" : "properties";
}

/** The sender's properties (traits for identify and group), each value as text; null where there are none. */
export function propertiesOf(raw: Readonly<Record<string, unknown>>): Record<string, string> | null {
  const member = raw[propertiesMember(raw, "")];
  const given = isObject(member) ? member : {};
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
