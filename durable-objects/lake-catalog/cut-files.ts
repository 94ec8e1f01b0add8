/**
 * The files of cuts. A cut is a snapshot's rows, not its files: a compaction keeps rows, so where all that it merged was in
 * a cut, the cut names what it made instead, at once and without a row written for the cut. Each file says from which
 * snapshot on all its rows were the lake's (`SINCE`), and from which on they were another file's or nobody's (`GONE`):
 *
 *     a, since 5, and b, since 9, become o at 100      o is since 9; a and b are gone since 9
 *     a cut at 7 names a; one at 9, or at 50, names o; snapshot 50 itself still reads a and b
 *     a correction at 100 makes a into a'              a' is since 100, a is gone since 100: cuts before name a
 *     late data, since 120, is merged with o into p    p is since 120, o is gone since 120: cuts before keep o
 *
 * So what a cut names shrinks in files as the lake is compacted, and what it alone keeps is what later versions changed.
 * An erasure that has to reach into cuts goes over the files that are live or that a cut names (`named`), and puts the
 * new file in the old one's place with its `SINCE` and `GONE`: every cut that named the old one then names the new one.
 */
import type { TableName } from "../../r2-layout/event-columns.ts";
import { DAY_US } from "../../r2-layout/time.ts";
import type { DataFile } from "./api.ts";
import { dataFile, type FileRow } from "./data-files.ts";
import { GONE, IN_CUT, SINCE } from "./plan-files.ts";

/** A time range, microseconds, half open. */
export interface TimeRange {
  readonly from: number;
  readonly through: number;
}

/** The two ranges of the index by time that each table has, as plan-files.ts has it. */
const PARTS = (["events", "quarantine"] satisfies TableName[]).flatMap((table) =>
  [0, 1].map((spansDays) => ({ table, spansDays })),
);
const IN_RANGE = "tbl = ? AND spans_days = ? AND min_time >= ? AND min_time < ? AND max_time >= ?";

const inRange = ({ table, spansDays }: (typeof PARTS)[number], { from, through }: TimeRange): (string | number)[] => [
  table,
  spansDays,
  spansDays === 1 ? -Number.MAX_SAFE_INTEGER : from - DAY_US,
  through,
  from,
];

const NOT_ABSENT = "NOT EXISTS (SELECT 1 FROM file_absence WHERE file = id AND from_seq <= ? AND to_seq > ?)";

export class CutFiles {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    // Files that expired out of cuts, so that a cut can say what it no longer has. A row a file.
    sql.exec(`CREATE TABLE IF NOT EXISTS expired_file (
      id INTEGER PRIMARY KEY, since_seq INTEGER NOT NULL, gone_seq INTEGER NOT NULL, min_time INTEGER NOT NULL, row_count INTEGER NOT NULL)`);
  }

  /** By id, after one. @param through rows at or after it are not the cut's, microseconds; null: all are. */
  named(seq: number, through: number | null, afterId: number, limit: number): DataFile[] {
    return this.#sql
      .exec<FileRow>(
        `SELECT * FROM data_file WHERE id > ? AND ${IN_CUT} AND min_time < ? AND ${NOT_ABSENT} ORDER BY id LIMIT ?`,
        afterId,
        seq,
        seq,
        through ?? Number.MAX_SAFE_INTEGER,
        seq,
        seq,
        limit,
      )
      .toArray()
      .map(dataFile);
  }

  /** Ids of the files that may hold rows of a range, at a cut's snapshot. @param expired with those that only cuts still have. */
  ofRange(seq: number, range: TimeRange, expired = true): number[] {
    const ids = PARTS.flatMap((part) =>
      this.#sql
        .exec<{ id: number }>(
          `SELECT id FROM data_file WHERE ${IN_RANGE} AND ${IN_CUT} AND ${NOT_ABSENT} AND expired <= ?`,
          ...inRange(part, range),
          seq,
          seq,
          seq,
          seq,
          expired ? 1 : 0,
        )
        .toArray(),
    );
    return ids.map(({ id }) => id).sort((a, b) => a - b);
  }

  file(id: number): DataFile | null {
    const row = this.#sql.exec<FileRow>("SELECT * FROM data_file WHERE id = ?", id).toArray()[0];
    return row ? dataFile(row) : null;
  }

  /** Whether rows of the range came or went after a snapshot, other than by expiry; files of several days may only seem so. */
  changedAfter(seq: number, range: TimeRange): boolean {
    return PARTS.some((part) => {
      const found = this.#sql.exec(
        `SELECT 1 FROM data_file WHERE ${IN_RANGE} AND expired = 0
           AND (${SINCE} > ? AND (${GONE} IS NULL OR ${GONE} > ${SINCE}) OR ${SINCE} <= ? AND ${GONE} > ?) LIMIT 1`,
        ...inRange(part, range),
        seq,
        seq,
        seq,
      );
      return found.toArray().length > 0;
    });
  }

  /** A file has expired out of the cuts that named it: those from `since` on, before `gone`. */
  expired(file: { id: number; since: number; gone: number; minTime: number; rows: number }): void {
    this.#sql.exec(
      "INSERT OR IGNORE INTO expired_file VALUES (?, ?, ?, ?, ?)",
      file.id,
      file.since,
      file.gone,
      file.minTime,
      file.rows,
    );
  }

  /** Forgets those that no cut is left to tell of. */
  forgetExpired(): void {
    this.#sql.exec(
      "DELETE FROM expired_file WHERE NOT EXISTS (SELECT 1 FROM cut WHERE seq >= since_seq AND seq < gone_seq)",
    );
  }

  /** Rows of a cut that have expired. */
  expiredRows(seq: number, through: number | null): number {
    return this.#sql
      .exec<{ rows: number }>(
        `SELECT coalesce(sum(row_count), 0) AS rows FROM expired_file
           WHERE since_seq <= ? AND gone_seq > ? AND min_time < ?`,
        seq,
        seq,
        through ?? Number.MAX_SAFE_INTEGER,
      )
      .one().rows;
  }
}
