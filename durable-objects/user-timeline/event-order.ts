/**
 * The order of a timeline: by event_time, then event_id, then what makes it total (source, shard, seq), so that a page
 * can end between any two events. A position is a place in that order; a page's cursor is a position and nothing else,
 * which is why it stays right whatever is appended, moved between rows or evicted between two pages.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";

export interface Position {
  /** Microseconds. */
  readonly time: number;
  /** event_id, source, shard and seq. Empty: before every event of that time. */
  readonly tie: string;
}

/** The separator sorts before every character of an id, so that the order of the joined text is that of its parts. */
const SEPARATOR = "\u0000";

export const positionOf = (event: EventRow): Position => ({
  time: event.event_time,
  tie: tieOf(event.event_id, event.source, event.log_shard, event.log_seq),
});

/** An event's id and its place in the log: what makes it this event, whatever else of it is corrected. */
export const tieOf = (eventId: string, source: string, shard: number, seq: number): string =>
  [eventId, source, shard, seq].join(SEPARATOR);

export function comparePositions(a: Position, b: Position): number {
  if (a.time !== b.time) return a.time - b.time;
  return a.tie < b.tie ? -1 : a.tie > b.tie ? 1 : 0;
}

/** Before every event of this time or later. */
export const startOf = (time: number): Position => ({ time, tie: "" });

/** The tie as bytes whose order in SQLite is the order of strings here: UTF-16 units, most significant byte first. */
export function tieBytes(tie: string): Uint8Array {
  const bytes = new Uint8Array(tie.length * 2);
  for (let i = 0; i < tie.length; i++) {
    const unit = tie.charCodeAt(i);
    bytes[2 * i] = unit >> 8;
    bytes[2 * i + 1] = unit & 0xff;
  }
  return bytes;
}

export function tieOfBytes(bytes: Uint8Array): string {
  let tie = "";
  for (let i = 0; i < bytes.length; i += 2) tie += String.fromCharCode((bytes[i]! << 8) | bytes[i + 1]!);
  return tie;
}

/** Text that is safe in a query string. */
export const formatCursor = (position: Position): string =>
  Buffer.from(JSON.stringify([position.time, position.tie])).toString("base64url");

/** Null where it is not a cursor that `formatCursor` made. */
export function parseCursor(text: string): Position | null {
  if (text.length > 2_048) return null;
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return null;
  }
  if (!Array.isArray(parts) || parts.length !== 2) return null;
  const [time, tie] = parts;
  return Number.isSafeInteger(time) && typeof tie === "string" ? { time, tie } : null;
}
