/** An event as a timeline handles it: where it stands, what is stored of it, and the event itself. */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import type { Position } from "./event-order.ts";
import { comparePositions, positionOf } from "./event-order.ts";
import { decodeEvent, encodeEvent } from "./event-packing.ts";

export interface Entry {
  readonly position: Position;
  /** As `encodeEvent` writes it. */
  readonly line: string;
  /** As `decodeEvent` reads it: columns without a value are absent, wherever the entry comes from. */
  readonly event: EventRow;
}

export function entryOf(event: EventRow): Entry {
  return entryOfLine(encodeEvent(event));
}

export function entryOfLine(line: string): Entry {
  const event = decodeEvent(line);
  return { position: positionOf(event), line, event };
}

export const oldestFirst = (a: Entry, b: Entry): number => comparePositions(a.position, b.position);
export const newestFirst = (a: Entry, b: Entry): number => comparePositions(b.position, a.position);

/** Characters of the stored lines; nearly bytes, and cheap. */
export const sizeOf = (entries: readonly Entry[]): number => entries.reduce((sum, { line }) => sum + line.length, 0);
