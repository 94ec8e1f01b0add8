/**
 * What a sink left out: rows beside its cursors. A hole is decided before the step that leaves it out is applied, and
 * counts from the moment the cursor passes it, so the two together are one decision however they are cut apart:
 *
 *     decided, then a crash                       the next lease names it, its lines are left out whether they can be read now or not
 *     decided, the effect made, then a crash      the same: the effect comes again without them, the cursor passes, it counts
 *     a straggler decides                         refused: its token is not the newest, or the cursor has moved
 *     decided twice, the second time wider        the wider holds; what is added must not have taken effect (queues/sink.ts)
 *
 * Were it written with the move of the cursor instead, a segment that heals between the effect and the move would count as
 * applied, and its events would be nowhere.
 */
import { QUARANTINE } from "../../r2-layout/limits.ts";
import type { Failures, Hole, HoleCounts, HolesRequest, RecordedHole } from "./api.ts";

type HoleRow = {
  shard: number;
  seq: number;
  lines: string;
  of_lines: number;
  events: number;
  quarantined: number;
  cause: string;
  detail: string;
  key: string;
  at: number;
  attempts: number;
  redriven_as: number | null;
};

/** More in a row than anybody asks about. */
const IN_A_ROW_MAX = 100;

export class HoleTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS sink_hole (
      shard INTEGER NOT NULL,
      seq INTEGER NOT NULL,
      lines TEXT NOT NULL,
      of_lines INTEGER NOT NULL,
      events INTEGER NOT NULL,
      quarantined INTEGER NOT NULL,
      cause TEXT NOT NULL,
      detail TEXT NOT NULL,
      key TEXT NOT NULL,
      at INTEGER NOT NULL,
      attempts INTEGER NOT NULL,
      redriven_as INTEGER,
      PRIMARY KEY (shard, seq)) WITHOUT ROWID`);
    sql.exec(`CREATE TABLE IF NOT EXISTS sink_failure (
      shard INTEGER PRIMARY KEY,
      seq INTEGER NOT NULL,
      cause TEXT NOT NULL,
      attempts INTEGER NOT NULL,
      since INTEGER NOT NULL)`);
  }

  /** One row a shard: a failure at another place forgets those before. */
  failed(shard: number, seq: number, cause: string, nowMs: number): Failures {
    const known = this.#failure(shard, seq);
    const attempts = (known?.attempts ?? 0) + 1;
    const since = known?.since ?? nowMs;
    this.#sql.exec("INSERT OR REPLACE INTO sink_failure VALUES (?, ?, ?, ?, ?)", shard, seq, cause, attempts, since);
    const last = this.#sql
      .exec<HoleRow>("SELECT * FROM sink_hole WHERE shard = ? ORDER BY seq DESC LIMIT 1", shard)
      .toArray()[0];
    return {
      attempts,
      sinceMs: nowMs - since,
      inARow: this.#mostBefore(shard, seq),
      ...(last && { last: { seq: last.seq, cause: last.cause, ageMs: nowMs - last.at } }),
    };
  }

  decide(shard: number, hole: Hole, nowMs: number): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO sink_hole VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
      shard,
      hole.seq,
      JSON.stringify(hole.lines),
      hole.of,
      hole.events,
      hole.quarantined,
      hole.cause,
      hole.detail,
      hole.key,
      nowMs,
      this.#failure(shard, hole.seq)?.attempts ?? 0,
    );
  }

  /** Decided, and not passed yet. */
  ahead(shard: number, cursor: number): Hole[] {
    return this.#sql
      .exec<HoleRow>("SELECT * FROM sink_hole WHERE shard = ? AND seq > ? ORDER BY seq", shard, cursor)
      .toArray()
      .map(holeOf);
  }

  /**
   * Those after..until (exclusive, inclusive), which were decided and never passed; one that has come back was.
   * @param passed these were, too
   */
  forget(shard: number, after: number, until: number, passed: readonly number[]): void {
    this.#sql.exec(
      `DELETE FROM sink_hole WHERE shard = ? AND seq > ? AND seq <= ? AND redriven_as IS NULL
         AND seq NOT IN (SELECT value FROM json_each(?))`,
      shard,
      after,
      until,
      JSON.stringify(passed),
    );
  }

  /** Decides those again that were forgotten. */
  restore(shard: number, holes: readonly Hole[], nowMs: number): void {
    for (const hole of holes) if (!this.#has(shard, hole.seq)) this.decide(shard, hole, nowMs);
  }

  counts(shard: number, cursor: number): HoleCounts {
    return this.#sql
      .exec<{ events: number; quarantined: number; open: number }>(
        `SELECT coalesce(sum(events), 0) AS events, coalesce(sum(quarantined), 0) AS quarantined,
           coalesce(sum(redriven_as IS NULL), 0) AS open FROM sink_hole WHERE shard = ? AND seq <= ?`,
        shard,
        cursor,
      )
      .one();
  }

  /** Newest first. */
  passed(
    shard: number,
    cursor: number,
    { until, before, limit = QUARANTINE.holesPerAnswer, seq, open = false }: HolesRequest,
  ): RecordedHole[] {
    const newest = Math.min(until ?? Number.MAX_SAFE_INTEGER, before?.at ?? Number.MAX_SAFE_INTEGER);
    return this.#sql
      .exec<HoleRow>(
        `SELECT * FROM sink_hole WHERE shard = ? AND seq <= ? AND at <= ? AND seq >= ?
           AND (at < ? OR seq < ?) AND (redriven_as IS NULL OR NOT ?)
           ORDER BY at DESC, seq DESC LIMIT ?`,
        shard,
        Math.min(cursor, seq ?? cursor),
        newest,
        seq ?? 0,
        before?.at ?? Number.MAX_SAFE_INTEGER,
        before?.seq ?? Number.MAX_SAFE_INTEGER,
        open ? 1 : 0,
        Math.min(limit, QUARANTINE.holesPerAnswer),
      )
      .toArray()
      .map((row) => ({ ...holeOf(row), shard, at: row.at, attempts: row.attempts, redrivenAs: row.redriven_as }));
  }

  /** The first seq that is named stays. */
  close(shard: number, hole: number, seq: number): void {
    this.#sql.exec(
      "UPDATE sink_hole SET redriven_as = coalesce(redriven_as, ?) WHERE shard = ? AND seq = ?",
      seq,
      shard,
      hole,
    );
  }

  /** Segments right before this one that were left out for the most part although their objects were there. */
  #mostBefore(shard: number, seq: number): number {
    let count = 0;
    for (const row of this.#sql.exec<HoleRow>(
      "SELECT * FROM sink_hole WHERE shard = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
      shard,
      seq,
      IN_A_ROW_MAX,
    )) {
      const most = 2 * (row.events + row.quarantined) > row.of_lines;
      if (row.seq !== seq - 1 - count || !most || row.cause === "segment_missing") break;
      count++;
    }
    return count;
  }

  #has(shard: number, seq: number): boolean {
    return this.#sql.exec("SELECT 1 FROM sink_hole WHERE shard = ? AND seq = ?", shard, seq).toArray().length > 0;
  }

  #failure(shard: number, seq: number): { attempts: number; since: number } | undefined {
    return this.#sql
      .exec<{ attempts: number; since: number }>(
        "SELECT attempts, since FROM sink_failure WHERE shard = ? AND seq = ?",
        shard,
        seq,
      )
      .toArray()[0];
  }
}

const holeOf = (row: HoleRow): Hole => ({
  seq: row.seq,
  lines: JSON.parse(row.lines) as Hole["lines"],
  of: row.of_lines,
  events: row.events,
  quarantined: row.quarantined,
  cause: row.cause,
  detail: row.detail,
  key: row.key,
});
