/** A segment: one gzip object of the log, one line per event, each ended by a line feed. */
import { gunzipSync, gzipSync } from "node:zlib";
import type { EventRow, QuarantineRow } from "./event-columns.ts";
import { KiB, SINK } from "./limits.ts";
import { erasedKind, eventRow, isReadable, type LineKind, quarantineRow, readLogLine } from "./log-line.ts";
import type { SinkName } from "./sinks.ts";

/** What the log knows of a segment once it is committed. */
export interface SegmentRef {
  readonly seq: number;
  readonly key: string;
  /** Compressed bytes of the object. */
  readonly bytes: number;
  /** Lines, quarantined ones included. */
  readonly events: number;
  readonly quarantined: number;
  /** Microseconds. */
  readonly minReceivedAt: number;
  readonly maxReceivedAt: number;
  /** Milliseconds, the EventLog's clock. */
  readonly committedAt: number;
  /** Absent for the events of messages. A `rule` has no lines: its place is all. */
  readonly kind?: "redrive" | "rule";
  /** The sinks that it is for; absent: all of them. The others move over it. */
  readonly sinks?: readonly SinkName[];
  /** Of a redrive: the segments that its lines stood in before, the last one first. */
  readonly origins?: readonly number[];
  /** For the sink that asked: lines (from 0) that it gets, or got, from a redrive instead. */
  readonly skip?: readonly number[] | "all";
  /** For the sink that asked: quarantined lines (from 0) that a redrive has made events. They stay where they are, too. */
  readonly released?: readonly number[] | "all";
  /** Events in it whose sender sent them to replace earlier ones; absent: none. */
  readonly republished?: number;
}

/** Level 1: the log is read a few times and kept 30 days; a higher level costs more CPU than it saves storage. */
export function encodeSegment(lines: readonly string[]): Uint8Array {
  const packed = gzipSync(`${lines.join("\n")}\n`, { level: 1 });
  return new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength);
}

const decoder = new TextDecoder();

/** @throws if the object is damaged: it is not gzip, or a line is not JSON. */
export function decodeSegmentLines(bytes: Uint8Array): string[] {
  const lines = decoder.decode(gunzipSync(bytes, { chunkSize: chunkSize(bytes) })).split("\n");
  lines.pop();
  return lines;
}

export interface SegmentRows {
  readonly events: EventRow[];
  readonly quarantine: QuarantineRow[];
  /** Lines whose people were erased. */
  readonly erased: { events: number; quarantined: number };
}

/** Every row of a segment, in log order. @throws as `decodeSegmentLines`, and where a row lacks what every row has. */
export function decodeSegment(bytes: Uint8Array, at: { shard: number; seq: number }): SegmentRows {
  const rows: SegmentRows = { events: [], quarantine: [], erased: { events: 0, quarantined: 0 } };
  for (const text of decodeSegmentLines(bytes)) {
    const erased = erasedKind(text);
    if (erased) {
      rows.erased[erased === "event" ? "events" : "quarantined"]++;
      continue;
    }
    const entry = readLogLine(text);
    if (!isReadable(entry)) throw new SyntaxError("a line's row lacks what every row has");
    if (entry.q) rows.quarantine.push(quarantineRow(entry, at));
    else rows.events.push(eventRow(entry, at));
  }
  return rows;
}

export type SegmentLine =
  | { readonly event: EventRow }
  | { readonly quarantine: QuarantineRow }
  /** Its people were erased. */
  | { readonly erased: LineKind }
  | { readonly damage: string };

/**
 * Line by line, where one may be damaged, or its place matters. Rows of a redrive keep the place that they came from,
 * which stands in their lines. @throws where the object is not whole gzip
 */
export function decodeEachLine(bytes: Uint8Array, at: { shard: number; seq: number }): SegmentLine[] {
  return decodeSegmentLines(bytes).map((text) => {
    const erased = erasedKind(text);
    if (erased) return { erased };
    try {
      const entry = readLogLine(text);
      if (!isReadable(entry)) return { damage: "its row lacks what every row has" };
      if (entry.q) return { quarantine: quarantineRow(entry, at) };
      const { log_shard: shard = at.shard, log_seq: seq = at.seq } = entry.row as Partial<EventRow>;
      return { event: eventRow(entry, { shard, seq }) };
    } catch (error) {
      // Not its message: that may quote the line, and what is told here is kept with a hole, for good.
      return { damage: error instanceof SyntaxError ? "it is no JSON" : "it is no line of the log" };
    }
  });
}

/**
 * gzip keeps the inflated size in its last four bytes: inflated in one piece, nothing is joined afterwards. The bytes may
 * be damaged, so it is a hint with a bound.
 */
function chunkSize(bytes: Uint8Array): number {
  if (bytes.length < 4) return SMALLEST_CHUNK;
  const inflated = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(bytes.length - 4, true);
  return Math.max(SMALLEST_CHUNK, Math.min(inflated + 1, SINK.stepBytes));
}

const SMALLEST_CHUNK = 64 * KiB;
