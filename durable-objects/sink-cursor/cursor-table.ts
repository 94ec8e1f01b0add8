/**
 * Cursors in a table, one row per shard: the position of a sink, who may move it, and what passed under it. Used by the
 * SinkCursor object (one row) and by the LakeCatalog, which moves a cursor in the transaction that adds the files.
 *
 * Leases only save work; fencing is what keeps the order. A consumer that lost its lease (it hung for a minute, and
 * another took over) may still run, so every move names its token and where it starts:
 *
 *     A leases token 7, cursor 10         B: -
 *     A applies 11..20, hangs             the lease runs out; B leases token 8, cursor 10, applies 11..15
 *     A advances (7, 10 -> 20)            refused: 7 is not the newest token
 *                                         B advances (8, 10 -> 15)
 *
 * All methods are synchronous, so that the caller can put them into one transaction with its own effect.
 */
import { addColumns } from "../add-columns.ts";
import type {
  AppliedCounts,
  CursorStatus,
  Failures,
  GenerationPlace,
  Hole,
  HolesRequest,
  Lease,
  Moved,
  RecordedHole,
} from "./api.ts";
import { GenerationTable, type PassedCounts } from "./generation-table.ts";
import { HoleTable } from "./hole-table.ts";

type CursorRow = PassedCounts & {
  shard: number;
  cursor: number;
  token: number;
  owner: string | null;
  ttl_ms: number;
  expires_at: number;
  moved_at: number;
  /** Of builds: the newest in which a switch was made, or would have been. */
  move: number;
};

/** As of `GenerationsApi.switchTo`. */
export interface Switch {
  readonly generation: number;
  readonly cursor: number;
  readonly met?: AppliedCounts | undefined;
  readonly move?: number | undefined;
}

export class CursorTable {
  readonly #sql: SqlStorage;
  readonly #holes: HoleTable;
  readonly #generations: GenerationTable;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#holes = new HoleTable(sql);
    this.#generations = new GenerationTable(sql);
    sql.exec(`CREATE TABLE IF NOT EXISTS sink_cursor (
      shard INTEGER PRIMARY KEY,
      cursor INTEGER NOT NULL,
      token INTEGER NOT NULL,
      owner TEXT,
      ttl_ms INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      events INTEGER NOT NULL,
      quarantined INTEGER NOT NULL,
      moved_at INTEGER NOT NULL)`);
    addColumns(sql, "sink_cursor", {
      skipped_events: "INTEGER NOT NULL DEFAULT 0",
      skipped_quarantined: "INTEGER NOT NULL DEFAULT 0",
      retracted: "INTEGER NOT NULL DEFAULT 0",
      move: "INTEGER NOT NULL DEFAULT 0",
    });
  }

  /**
   * Null while another owner's lease runs. An owner that asks again renews its lease and keeps its token, unless
   * somebody else had the shard in between.
   */
  lease(shard: number, owner: string, ttlMs: number, nowMs: number): Lease | null {
    const row = this.#row(shard);
    if (!row) {
      this.#sql.exec(
        `INSERT INTO sink_cursor (shard, cursor, token, owner, ttl_ms, expires_at, events, quarantined, moved_at)
           VALUES (?, 0, 1, ?, ?, ?, 0, 0, 0)`,
        shard,
        owner,
        ttlMs,
        nowMs + ttlMs,
      );
      return { cursor: 0, token: 1 };
    }
    if (row.owner !== null && row.owner !== owner && row.expires_at > nowMs) return null;
    const token = row.owner === owner ? row.token : row.token + 1;
    this.#sql.exec(
      "UPDATE sink_cursor SET token = ?, owner = ?, ttl_ms = ?, expires_at = ? WHERE shard = ?",
      token,
      owner,
      ttlMs,
      nowMs + ttlMs,
      shard,
    );
    const holes = this.#holes.ahead(shard, row.cursor);
    const generation = this.#generations.live(shard);
    return { cursor: row.cursor, token, ...(generation > 0 && { generation }), ...(holes.length > 0 && { holes }) };
  }

  /**
   * Compare-and-set: moves from `from` to `to` for the newest token only, and renews the lease, for whoever moves is
   * alive. Refused, it changes nothing. @throws RangeError if `to` lies before `from`.
   */
  advance(shard: number, token: number, from: number, to: number, applied: AppliedCounts, nowMs: number): Moved {
    if (to < from) throw new RangeError(`cursor of shard ${shard} cannot move back from ${from} to ${to}`);
    const row = this.#row(shard);
    if (!row || row.token !== token || row.cursor !== from) return { moved: false, cursor: row?.cursor ?? 0 };
    this.#sql.exec(
      `UPDATE sink_cursor SET cursor = ?, events = events + ?, quarantined = quarantined + ?, moved_at = ?,
         skipped_events = skipped_events + ?, skipped_quarantined = skipped_quarantined + ?, retracted = retracted + ?,
         expires_at = CASE WHEN owner IS NULL THEN expires_at ELSE ? END WHERE shard = ?`,
      to,
      applied.events,
      applied.quarantined,
      nowMs,
      applied.skipped?.events ?? 0,
      applied.skipped?.quarantined ?? 0,
      applied.retracted ?? 0,
      nowMs + row.ttl_ms,
      shard,
    );
    return { moved: true, cursor: to };
  }

  /** Ends the lease of this token; an older token's release changes nothing. */
  release(shard: number, token: number): void {
    this.#sql.exec("UPDATE sink_cursor SET owner = NULL, expires_at = 0 WHERE shard = ? AND token = ?", shard, token);
  }

  /** As `GenerationsApi.switchTo`. */
  switchTo(shard: number, { generation, cursor, met, move }: Switch, nowMs: number): GenerationPlace {
    const live = this.#generations.live(shard);
    const row = this.#row(shard);
    if (move !== undefined) this.#noteMove(shard, move, row?.move ?? 0);
    const at = row?.cursor ?? 0;
    const ahead = this.#holes.ahead(shard, at);
    const passed = this.#holes.ahead(shard, cursor).flatMap(({ seq }) => (seq <= at ? [seq] : []));
    const left = {
      ...{ cursor: at, counts: countsOf(row), holes: this.#leftOut(shard, at) },
      ...(ahead.length > 0 && { ahead }),
      ...(passed.length > 0 && { passed }),
    };
    const stood = { generation: live, cursor: left.cursor };
    if (live === generation) return stood;
    const known = this.#generations.leftAt(shard, generation, cursor);
    if (cursor > left.cursor) this.#holes.forget(shard, left.cursor, cursor, known?.passed ?? []);
    const counts =
      this.#leftCounts(shard, generation, cursor) ?? countsHere(left, cursor) ?? this.#countsOf(shard, cursor, met);
    this.#holes.restore(shard, known?.ahead ?? [], nowMs);
    this.#generations.switch(shard, generation, left);
    this.#insertNew(shard);
    this.#sql.exec(
      `UPDATE sink_cursor SET cursor = ?, moved_at = ?, token = token + 1, owner = NULL, expires_at = 0, events = ?,
         quarantined = ?, skipped_events = ?, skipped_quarantined = ?, retracted = ? WHERE shard = ?`,
      cursor,
      nowMs,
      counts.events,
      counts.quarantined,
      counts.skipped_events,
      counts.skipped_quarantined,
      counts.retracted,
      shard,
    );
    return stood;
  }

  /** @throws RangeError where a later one is known: this one hung, and what it was for has been undone since. */
  #noteMove(shard: number, move: number, newest: number): void {
    if (move < newest) throw new RangeError(`a switch of ${move} comes after one of ${newest} to shard ${shard}`);
    this.#insertNew(shard);
    this.#sql.exec("UPDATE sink_cursor SET move = ? WHERE shard = ?", move, shard);
  }

  /** One that nobody has leased yet. */
  #insertNew(shard: number): void {
    this.#sql.exec(
      `INSERT OR IGNORE INTO sink_cursor (shard, cursor, token, owner, ttl_ms, expires_at, events, quarantined, moved_at)
         VALUES (?, 0, 0, NULL, 0, 0, 0, 0, 0)`,
      shard,
    );
  }

  /** As the generation was left at this cursor; null where it was not. */
  #leftCounts(shard: number, generation: number, cursor: number): PassedCounts | null {
    const known = this.#generations.leftAt(shard, generation, cursor);
    if (!known) return null;
    const holes = this.#leftOut(shard, cursor);
    if (known.holes.events === holes.events && known.holes.quarantined === holes.quarantined) return known.counts;
    throw new RangeError(`holes: below ${cursor} of shard ${shard} lines were left out that this generation has`);
  }

  #countsOf(shard: number, cursor: number, met: AppliedCounts | undefined): PassedCounts {
    const holes = this.#leftOut(shard, cursor);
    if (!met) throw new RangeError(`what was met up to ${cursor} of shard ${shard} is not known`);
    const counts = { events: met.events - holes.events, quarantined: met.quarantined - holes.quarantined };
    return { ...counts, skipped_events: 0, skipped_quarantined: 0, retracted: 0 };
  }

  #leftOut(shard: number, cursor: number): Pick<PassedCounts, "events" | "quarantined"> {
    const { events, quarantined } = this.#holes.counts(shard, cursor);
    return { events, quarantined };
  }

  /** As `HolesApi.failed`: a straggler's failure does not count. */
  failed(shard: number, token: number, seq: number, cause: string, nowMs: number): Failures {
    const row = this.#row(shard);
    if (!row || row.token !== token || row.cursor + 1 !== seq) return { attempts: 0, sinceMs: 0, inARow: 0 };
    return this.#holes.failed(shard, seq, cause, nowMs);
  }

  /** As `HolesApi.decide`. */
  decide(shard: number, token: number, from: number, hole: Hole, nowMs: number): boolean {
    const row = this.#row(shard);
    if (!row || row.token !== token || row.cursor !== from || hole.seq !== from + 1) return false;
    this.#holes.decide(shard, hole, nowMs);
    return true;
  }

  holes(shard: number, request: HolesRequest = {}): RecordedHole[] {
    return this.#holes.passed(shard, this.#row(shard)?.cursor ?? 0, request);
  }

  close(shard: number, hole: number, seq: number): void {
    this.#holes.close(shard, hole, seq);
  }

  status(shard: number): CursorStatus {
    const row = this.#row(shard);
    return row ? this.#statusOf(row) : { cursor: 0, applied: { events: 0, quarantined: 0 }, moved_at: 0 };
  }

  /** Every shard that was ever leased. */
  all(): Record<number, CursorStatus> {
    const cursors: Record<number, CursorStatus> = {};
    for (const row of this.#sql.exec<CursorRow>("SELECT * FROM sink_cursor ORDER BY shard")) {
      cursors[row.shard] = this.#statusOf(row);
    }
    return cursors;
  }

  #row(shard: number): CursorRow | undefined {
    return this.#sql.exec<CursorRow>("SELECT * FROM sink_cursor WHERE shard = ?", shard).toArray()[0];
  }

  #statusOf(row: CursorRow): CursorStatus {
    const { events, quarantined, open } = this.#holes.counts(row.shard, row.cursor);
    const passed = {
      events: events + row.skipped_events,
      quarantined: quarantined + row.skipped_quarantined,
      open,
    };
    const generation = this.#generations.live(row.shard);
    const left = this.#generations.left(row.shard);
    return {
      cursor: row.cursor,
      applied: { events: row.events, quarantined: row.quarantined },
      moved_at: row.moved_at,
      token: row.token,
      ...(passed.events + passed.quarantined > 0 && { holes: passed }),
      ...(row.retracted > 0 && { retracted: row.retracted }),
      ...(generation > 0 && { generation }),
      ...(left.length > 0 && { left }),
    };
  }
}

const countsHere = (left: { cursor: number; counts: PassedCounts }, cursor: number): PassedCounts | null =>
  cursor === left.cursor ? left.counts : null;

const countsOf = (row: CursorRow | undefined): PassedCounts => ({
  events: row?.events ?? 0,
  quarantined: row?.quarantined ?? 0,
  skipped_events: row?.skipped_events ?? 0,
  skipped_quarantined: row?.skipped_quarantined ?? 0,
  retracted: row?.retracted ?? 0,
});
