/**
 * The shard's segments by seq. A row carries the sums up to it, so that what lies past a cursor is a difference of two
 * rows however far a sink is behind. No index by key: a segment is committed within the hour after its key was made, and
 * commit times rise with seq.
 */
import { decodeTime, isValid } from "ulidx";
import { parseSegmentKey } from "../../r2-layout/keys.ts";
import { DAY_MS, HOUR_MS, LOG, PLATFORM } from "../../r2-layout/limits.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";
import type { SegmentCommit } from "./api.ts";

type SegmentRow = {
  seq: number;
  key: string;
  bytes: number;
  events: number;
  quarantined: number;
  min_received_at: number;
  max_received_at: number;
  committed_at: number;
};

/** Events that are not quarantined, and those that are. */
export interface LineCounts {
  readonly events: number;
  readonly quarantined: number;
}

/** A writer's clock and the log's may differ by this. */
const SKEW_MS = HOUR_MS;
/** Rows are kept a day longer than their objects. */
const ROWS_KEPT_MS = (LOG.retentionDays + 1) * DAY_MS;
const ROWS_PER_TRIM = 1_000;

export class SegmentTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS segments (
      seq INTEGER PRIMARY KEY, key TEXT NOT NULL, bytes INTEGER NOT NULL, events INTEGER NOT NULL,
      quarantined INTEGER NOT NULL, min_received_at INTEGER NOT NULL, max_received_at INTEGER NOT NULL,
      committed_at INTEGER NOT NULL, sum_events INTEGER NOT NULL, sum_quarantined INTEGER NOT NULL)`);
  }

  /** @param sums counts of the whole log up to and with this segment. */
  insert(seq: number, segment: NonNullable<SegmentCommit["segment"]>, committedAt: number, sums: LineCounts): void {
    this.#sql.exec(
      "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      seq,
      segment.key,
      segment.bytes,
      segment.events,
      segment.quarantined,
      segment.minReceivedAt,
      segment.maxReceivedAt,
      committedAt,
      sums.events,
      sums.quarantined,
    );
  }

  after(seq: number, limit: number): SegmentRef[] {
    const rows = this.#sql.exec<SegmentRow>("SELECT * FROM segments WHERE seq > ? ORDER BY seq LIMIT ?", seq, limit);
    return Array.from(rows, (row) => ({
      seq: row.seq,
      key: row.key,
      bytes: row.bytes,
      events: row.events,
      quarantined: row.quarantined,
      minReceivedAt: row.min_received_at,
      maxReceivedAt: row.max_received_at,
      committedAt: row.committed_at,
    }));
  }

  /** Counts of the segments up to and with seq; zero before the first. */
  sums(seq: number): LineCounts {
    const row = this.#sql
      .exec<{ events: number; quarantined: number }>(
        "SELECT sum_events AS events, sum_quarantined AS quarantined FROM segments WHERE seq <= ? ORDER BY seq DESC LIMIT 1",
        seq,
      )
      .toArray()[0];
    return row ?? { events: 0, quarantined: 0 };
  }

  committedAt(seq: number): number | null {
    const row = this.#sql
      .exec<{ at: number }>("SELECT committed_at AS at FROM segments WHERE seq = ?", seq)
      .toArray()[0];
    return row?.at ?? null;
  }

  /** Those of these keys that no row has; a key that is no segment's is unnamed. */
  unnamed(keys: readonly string[], head: number): string[] {
    const times = keys.flatMap((key) => {
      const parsed = parseSegmentKey(key);
      return parsed && isValid(parsed.ulid) ? decodeTime(parsed.ulid) : [];
    });
    if (times.length === 0) return this.#nowhere(keys);
    const earliest = times.reduce((a, b) => Math.min(a, b)) - SKEW_MS;
    const latest = times.reduce((a, b) => Math.max(a, b)) + LOG.staleSegmentMs + SKEW_MS;
    const rows = this.#sql.exec<{ key: string }>(
      "SELECT key FROM segments WHERE seq >= ? AND seq < ?",
      this.#firstSeqAt(earliest, head),
      this.#firstSeqAt(latest + 1, head),
    );
    const named = new Set(Array.from(rows, ({ key }) => key));
    return this.#nowhere(keys.filter((key) => !named.has(key)));
  }

  /**
   * Left-overs are looked up exactly, before anybody deletes: a clock that stood ahead and was set back leaves rows
   * whose commit time is far from their keys'. A scan for each hundred, because the key has no index; they are rare.
   */
  #nowhere(keys: readonly string[]): string[] {
    const named = new Set<string>();
    for (let at = 0; at < keys.length; at += PLATFORM.sqliteBoundParameters) {
      const some = keys.slice(at, at + PLATFORM.sqliteBoundParameters);
      const marks = some.map(() => "?").join();
      const rows = this.#sql.exec<{ key: string }>(`SELECT key FROM segments WHERE key IN (${marks})`, ...some);
      for (const { key } of rows) named.add(key);
    }
    return keys.filter((key) => !named.has(key));
  }

  /** Deletes some rows whose objects are past their retention, up to the slowest sink's cursor. */
  trim(nowMs: number, cursor: number): void {
    this.#sql.exec(
      `DELETE FROM segments WHERE seq IN
         (SELECT seq FROM segments WHERE seq < ? AND committed_at < ? ORDER BY seq LIMIT ?)`,
      cursor,
      nowMs - ROWS_KEPT_MS,
      ROWS_PER_TRIM,
    );
  }

  /** The first seq committed at or after a time, head + 1 if there is none: a search by halves. */
  #firstSeqAt(timeMs: number, head: number): number {
    let low = this.#sql.exec<{ seq: number | null }>("SELECT min(seq) AS seq FROM segments").one().seq ?? head + 1;
    let high = head + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.committedAt(middle) ?? 0) < timeMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
