/**
 * Minutes, hours and days as SQLite rows, decoded in memory while they are in use:
 *
 *     minutes      one packed row each, kept 48 hours by its start
 *     hours, days  the same, kept for good
 *     shadow       minutes and hours that a rebuild keeps beside the live ones: its own before the swap, the old ones after it
 */
import { ROLLUP } from "../../r2-layout/limits.ts";
import { addColumns } from "../add-columns.ts";
import { DIMENSIONS, GRAINS, type Grain, type MinuteDelta } from "./api.ts";
import { GRAIN_MS, grainStart, isFinal } from "./grains.ts";
import { decodeRow, encodeRow, type RollupRow } from "./rollup-row.ts";
import { addDelta, applyCaps, emptyState, type RollupState } from "./rollup-state.ts";
import { decodeSketch } from "./user-sketch.ts";

export const TABLES = { minute: "minutes", hour: "hours", day: "days" } as const satisfies Record<Grain, string>;

/** Whose rows: null for the live ones, a job's id for those that it keeps. */
export type Side = string | null;

export interface KeptRow {
  readonly grain: Grain;
  readonly start: number;
  /** How often it changed after it was final, plus one. Of no meaning in a shadow. */
  readonly version: number;
  /** The last seq that may have changed it; null where it may not say what the lake does (tally-api.ts). */
  readonly changedSeq: number | null;
  readonly state: RollupState;
}

const COLUMNS = ["events", "revenue", "users", ...DIMENSIONS] as const;
const COLUMN_TYPES = `version INTEGER NOT NULL, events INTEGER NOT NULL, revenue TEXT NOT NULL,
  users BLOB NOT NULL, ${DIMENSIONS.map((dimension) => `${dimension} TEXT NOT NULL`).join(", ")}`;

const insertInto = (table: string, ...key: readonly string[]): string => {
  const columns = [...key, "version", "changed_seq", ...COLUMNS];
  return `INSERT OR REPLACE INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`;
};
/** Made once: they are most of what a batch runs. */
const INSERT = {
  minute: insertInto(TABLES.minute, "start"),
  hour: insertInto(TABLES.hour, "start"),
  day: insertInto(TABLES.day, "start"),
} as const satisfies Record<Grain, string>;
const INSERT_SHADOW = insertInto("shadow", "job", "grain", "start");

export class RollupRows {
  readonly #sql: SqlStorage;
  /** Decoded rows, least recently used first. SQLite is the truth. */
  readonly #recent = new Map<string, KeptRow>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const table of Object.values(TABLES)) {
      sql.exec(`CREATE TABLE IF NOT EXISTS ${table} (start INTEGER PRIMARY KEY, ${COLUMN_TYPES})`);
    }
    sql.exec(`CREATE TABLE IF NOT EXISTS shadow (job TEXT NOT NULL, grain TEXT NOT NULL, start INTEGER NOT NULL,
      ${COLUMN_TYPES}, PRIMARY KEY (job, grain, start)) WITHOUT ROWID`);
    for (const table of [...Object.values(TABLES), "shadow"]) addColumns(sql, table, { changed_seq: "INTEGER" });
  }

  /** Drops what is held in memory: after a transaction that was rolled back it may be ahead of the rows. */
  forget(): void {
    this.#recent.clear();
  }

  read(side: Side, grain: Grain, start: number): KeptRow | null {
    const known = this.#recent.get(rowKey(side, grain, start));
    if (known) return known;
    const [row] = this.#sql
      .exec<RollupRow & { version: number; changed_seq: number | null }>(
        `SELECT * FROM ${source(side, grain)} start = ?`,
        ...place(side, grain),
        start,
      )
      .toArray();
    if (!row) return null;
    return { grain, start, version: row.version, changedSeq: row.changed_seq, state: decodeRow(row) };
  }

  write(side: Side, row: KeptRow): void {
    const { grain, start, version, changedSeq, state } = row;
    applyCaps(state);
    const encoded = encodeRow(state);
    this.#sql.exec(
      side === null ? INSERT[grain] : INSERT_SHADOW,
      ...place(side, grain),
      start,
      version,
      changedSeq,
      ...COLUMNS.map((column) => encoded[column]),
    );
    const key = rowKey(side, grain, start);
    this.#recent.delete(key);
    this.#recent.set(key, row);
    if (this.#recent.size > ROLLUP.rowsInMemory) this.#recent.delete(this.#recent.keys().next().value!);
  }

  /**
   * Adds deltas, oldest first: then one row of each grain is open at a time, and each row is written once. What was final when the log was
   * complete until `completeBefore` gets a new version, and so does a row that did not exist then: that there was nothing was final too.
   * Minutes before `keptFrom` count in their hour and day only. @param folded told after each delta, with its rows
   * @param change `seq`: the newest that they are of
   */
  fold(
    side: Side,
    deltas: readonly MinuteDelta[],
    grains: readonly Grain[],
    change: { readonly completeBefore: number; readonly keptFrom: number; readonly seq: number },
    folded?: (delta: MinuteDelta, rows: Readonly<Partial<Record<Grain, KeptRow>>>) => void,
  ): void {
    const { completeBefore, keptFrom, seq } = change;
    const open: Partial<Record<Grain, KeptRow>> = {};
    for (const delta of deltas) {
      const users = decodeSketch(delta.users);
      for (const grain of grains) {
        if (grain === "minute" && delta.minute < keptFrom) continue;
        const start = grainStart(grain, delta.minute);
        let row = open[grain];
        if (row?.start !== start) {
          if (row) this.write(side, row);
          const known = this.read(side, grain, start);
          const version = (known?.version ?? 1) + (isFinal(grain, start, completeBefore) ? 1 : 0);
          const changedSeq = known?.changedSeq === null ? null : seq;
          row = { grain, start, version, changedSeq, state: known?.state ?? emptyState() };
        }
        open[grain] = delta.plain ? row : { ...row, changedSeq: null };
        addDelta(row.state, delta, users);
      }
      folded?.(delta, open);
    }
    for (const row of Object.values(open)) this.write(side, row);
  }

  /**
   * Starts in from..to whose live row and whose row of the job are not the same bytes, oldest first. The same counts may have come
   * together in another order and have other bytes: the caller decides.
   */
  unequal(job: string, grain: Grain, from: number, to: number): number[] {
    const live = TABLES[grain];
    const differs = COLUMNS.map((column) => `l.${column} <> s.${column}`).join(" OR ");
    return this.#sql
      .exec<{ start: number }>(
        `SELECT l.start AS start FROM ${live} l LEFT JOIN shadow s ON s.job = ? AND s.grain = ? AND s.start = l.start
           WHERE l.start >= ? AND l.start < ? AND (s.start IS NULL OR ${differs})
         UNION ALL
         SELECT s.start FROM shadow s LEFT JOIN ${live} l ON l.start = s.start
           WHERE s.job = ? AND s.grain = ? AND s.start >= ? AND s.start < ? AND l.start IS NULL
         ORDER BY start`,
        ...[job, grain, from, to],
        ...[job, grain, from, to],
      )
      .toArray()
      .map(({ start }) => start);
  }

  /** Live rows that lie in a window, in part at least, no longer say what the lake does. */
  doubt(from: number, to: number): void {
    for (const grain of GRAINS) {
      this.#sql.exec(
        `UPDATE ${TABLES[grain]} SET changed_seq = NULL WHERE start > ? AND start < ?`,
        from - GRAIN_MS[grain],
        to,
      );
    }
    this.forget();
  }

  /** Events in the hours of a range. */
  eventsOf(side: Side, from: number, to: number): number {
    return (
      this.#sql
        .exec<{ events: number | null }>(
          `SELECT sum(events) AS events FROM ${source(side, "hour")} start >= ? AND start < ?`,
          ...place(side, "hour"),
          from,
          to,
        )
        .one().events ?? 0
    );
  }

  /** All that a job keeps. */
  drop(job: string): void {
    this.#sql.exec("DELETE FROM shadow WHERE job = ?", job);
    this.forget();
  }

  /** Minutes that are no longer kept, of all sides alike: else a rebuild would find them on one side only. */
  sweepMinutes(before: number, jobs: readonly string[]): void {
    this.#sql.exec("DELETE FROM minutes WHERE start < ?", before);
    for (const job of jobs) {
      this.#sql.exec("DELETE FROM shadow WHERE job = ? AND grain = 'minute' AND start < ?", job, before);
    }
    for (const [key, row] of this.#recent) if (row.grain === "minute" && row.start < before) this.#recent.delete(key);
  }
}

const rowKey = (side: Side, grain: Grain, start: number): string => `${side ?? ""}:${grain}:${start / GRAIN_MS[grain]}`;
const source = (side: Side, grain: Grain): string =>
  side === null ? `${TABLES[grain]} WHERE` : "shadow WHERE job = ? AND grain = ? AND";
const place = (side: Side, grain: Grain): string[] => (side === null ? [] : [side, grain]);
