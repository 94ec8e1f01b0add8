/**
 * The shard's segments by seq. A row carries the sums up to it, so that what lies past a cursor is a difference of two
 * rows however far a sink is behind. No index by key: a segment is committed within the hour after its key was made, and
 * commit times rise with seq.
 */
import { decodeTime, isValid } from "ulidx";
import { parseSegmentKey } from "../../r2-layout/keys.ts";
import { DAY_MS, HOUR_MS, LOG, PLATFORM } from "../../r2-layout/limits.ts";
import type { SegmentRef } from "../../r2-layout/segment.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import { addColumns } from "../add-columns.ts";
import type { SegmentCommit } from "./api.ts";
import { sinksOf } from "./redrive-table.ts";

export type SegmentRow = {
  seq: number;
  key: string;
  bytes: number;
  events: number;
  quarantined: number;
  min_received_at: number;
  max_received_at: number;
  committed_at: number;
  kind: "" | "redrive" | "rule";
  sinks: string;
  republished: number;
};

/** What is not a segment of messages. */
export interface SegmentKind {
  readonly kind: "redrive" | "rule";
  /** As `sinksText` says it. */
  readonly sinks: string;
}

/** A row of the table, before it has a seq. */
export type NewSegment = Omit<NonNullable<SegmentCommit["segment"]>, "writtenAt">;

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
    addColumns(sql, "segments", {
      kind: "TEXT NOT NULL DEFAULT ''",
      sinks: "TEXT NOT NULL DEFAULT '*'",
      republished: "INTEGER NOT NULL DEFAULT 0",
    });
    // Partial, so that it costs a row only where there is something to find.
    sql.exec("CREATE INDEX IF NOT EXISTS republished_segments ON segments (seq) WHERE republished > 0");
  }

  /** @param sums counts of all messages up to and with this segment: a redrive's lines are none of theirs. */
  insert(seq: number, segment: NewSegment, committedAt: number, sums: LineCounts, of?: SegmentKind): void {
    this.#sql.exec(
      `INSERT INTO segments (seq, key, bytes, events, quarantined, min_received_at, max_received_at, committed_at,
         sum_events, sum_quarantined, kind, sinks, republished) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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
      of?.kind ?? "",
      of?.sinks ?? "*",
      segment.republished ?? 0,
    );
  }

  after(seq: number, limit: number): SegmentRef[] {
    const rows = this.#sql.exec<SegmentRow>("SELECT * FROM segments WHERE seq > ? ORDER BY seq LIMIT ?", seq, limit);
    return Array.from(rows, refOf);
  }

  at(seq: number): SegmentRef | null {
    const row = this.#sql.exec<SegmentRow>("SELECT * FROM segments WHERE seq = ?", seq).toArray()[0];
    return row ? refOf(row) : null;
  }

  /** Another object with the same lines' places. To be called in a transaction. */
  rename(seq: number, key: string, bytes: number): void {
    this.#sql.exec("UPDATE segments SET key = ?, bytes = ? WHERE seq = ?", key, bytes, seq);
  }

  republishedAfter(seq: number, limit: number): { seq: number; republished: number }[] {
    return this.#sql
      .exec<{ seq: number; republished: number }>(
        `SELECT seq, republished FROM segments WHERE republished > 0 AND seq > ? AND (sinks = '*' OR instr(sinks, 'lake') > 0)
           ORDER BY seq LIMIT ?`,
        seq,
        limit,
      )
      .toArray();
  }

  /** The first seq that has a row, head + 1 without any. */
  oldest(head: number): number {
    return this.#sql.exec<{ seq: number | null }>("SELECT min(seq) AS seq FROM segments").one().seq ?? head + 1;
  }

  /**
   * The first and the last segment that may hold events received in from..to (ms, half open). What was received at a time
   * was committed after it, or hardly before, which is where the search begins; how long after, nobody knows.
   */
  between(fromMs: number, toMs: number, head: number): { from: number; to: number } | null {
    const first = this.#firstSeqAt(fromMs - SKEW_MS, head);
    const found = (order: "ASC" | "DESC") =>
      this.#sql
        .exec<{ seq: number }>(
          `SELECT seq FROM segments WHERE seq >= ? AND kind <> 'rule' AND max_received_at >= ? AND min_received_at < ?
             ORDER BY seq ${order} LIMIT 1`,
          first,
          fromMs * MICROS_PER_MS,
          toMs * MICROS_PER_MS,
        )
        .toArray()[0]?.seq;
    const from = found("ASC");
    return from === undefined ? null : { from, to: found("DESC")! };
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

  /** Deletes some rows whose objects are past their retention, up to the slowest sink's cursor. @returns how many. */
  trim(nowMs: number, cursor: number): number {
    return this.#sql.exec(
      `DELETE FROM segments WHERE seq IN
         (SELECT seq FROM segments WHERE seq < ? AND committed_at < ? ORDER BY seq LIMIT ?)`,
      cursor,
      nowMs - ROWS_KEPT_MS,
      ROWS_PER_TRIM,
    ).rowsWritten;
  }

  /** The first seq committed at or after a time, head + 1 if there is none: a search by halves. */
  #firstSeqAt(timeMs: number, head: number): number {
    let low = this.oldest(head);
    let high = head + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.committedAt(middle) ?? 0) < timeMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export const refOf = (row: SegmentRow): SegmentRef => ({
  seq: row.seq,
  key: row.key,
  bytes: row.bytes,
  events: row.events,
  quarantined: row.quarantined,
  minReceivedAt: row.min_received_at,
  maxReceivedAt: row.max_received_at,
  committedAt: row.committed_at,
  ...(row.kind !== "" && { kind: row.kind }),
  ...(row.sinks !== "*" && { sinks: sinksOf(row.sinks)! }),
  ...(row.republished > 0 && { republished: row.republished }),
});
