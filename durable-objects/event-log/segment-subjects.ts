/**
 * Whom a shard's segments may name, so that an erasure reads those alone: beside a segment's row the first bytes of its
 * subjects' hashes (`PackedPrefixes`). Its writer says it of events only, and not of redrives; what has quarantined lines, and
 * that of which nobody has said it, is read in any case. Who has read a segment whole for an erasure says it of all its
 * lines, so that the next erasure need not.
 */
import { LOG_ERASURE } from "../../r2-layout/limits.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";
import { type PackedPrefixes, unpackPrefixes } from "../../r2-layout/subjects.ts";
import { refOf, type SegmentRow } from "./segment-table.ts";

type SubjectsRow = SegmentRow & { prefixes: ArrayBuffer | null; whole: number | null };

export interface SegmentsPage {
  readonly segments: SegmentRef[];
  /** Segments up to this seq were looked at. */
  readonly until: number;
}

export class SegmentSubjects {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    // A table of its own: sinks read pages of segments, and need none of this.
    sql.exec(`CREATE TABLE IF NOT EXISTS segment_subjects (
      seq INTEGER PRIMARY KEY, prefixes BLOB NOT NULL, whole INTEGER NOT NULL)`);
  }

  /**
   * To be called in a transaction.
   * @param packed undefined where nobody knows. @param of which lines. @throws RangeError where it is no packed set.
   */
  put(seq: number, packed: PackedPrefixes | undefined, of: "events" | "all"): void {
    if (packed === undefined) {
      this.#sql.exec("DELETE FROM segment_subjects WHERE seq = ?", seq);
      return;
    }
    unpackPrefixes(packed);
    const bytes = Buffer.from(packed, "base64");
    this.#sql.exec(
      "INSERT OR REPLACE INTO segment_subjects VALUES (?, ?, ?)",
      seq,
      Uint8Array.from(bytes).buffer,
      of === "all" ? 1 : 0,
    );
  }

  /** Segments after a seq that may name one of these, in order: a page with a bound on what is given and what is looked at. */
  with(prefixes: ReadonlySet<number>, after: number, head: number): SegmentsPage {
    const rows = this.#sql.exec<SubjectsRow>(
      `SELECT segments.*, prefixes, whole FROM segments LEFT JOIN segment_subjects ON segment_subjects.seq = segments.seq
         WHERE segments.seq > ? ORDER BY segments.seq LIMIT ?`,
      after,
      LOG_ERASURE.rowsLooked,
    );
    const segments: SegmentRef[] = [];
    let [until, looked, bytes] = [after, 0, 0];
    for (const { prefixes: packed, whole, ...row } of rows) {
      until = row.seq;
      looked++;
      bytes += packed?.byteLength ?? 0;
      if (
        row.kind !== "rule" &&
        (packed === null || (row.quarantined > 0 && whole === 0) || holdsAny(packed, prefixes))
      ) {
        segments.push(refOf(row));
      }
      if (segments.length === LOG_ERASURE.segmentsTold || bytes >= LOG_ERASURE.prefixBytesLooked) {
        return { segments, until };
      }
    }
    return { segments, until: looked === LOG_ERASURE.rowsLooked ? until : head };
  }

  /** Forgets those of segments before this seq. */
  trim(before: number): void {
    this.#sql.exec("DELETE FROM segment_subjects WHERE seq < ?", before);
  }
}

function holdsAny(packed: ArrayBuffer, prefixes: ReadonlySet<number>): boolean {
  const view = new DataView(packed);
  for (let at = 0; at + 4 <= view.byteLength; at += 4) if (prefixes.has(view.getUint32(at))) return true;
  return false;
}
