/** The rows of cuts (cuts.ts). Synchronous, for the transaction of their caller. */

import type { DayTally } from "../../r2-layout/day-tally.ts";
import type { TableName } from "../../r2-layout/event-columns.ts";
import { MICROS_PER_MS } from "../../r2-layout/time.ts";
import type { TableTotals } from "./api.ts";
import type { Cut, CutComparison, CutDiff, CutMissing, CutPhase, OpenCut } from "./cuts-api.ts";

type Row = {
  name: string;
  version: number;
  day: string | null;
  state: Cut["state"] | null;
  phase: CutPhase;
  seq: number | null;
  from_time: number | null;
  through: number | null;
  next_at: number;
  record: string;
  tally: string | null;
  progress: string | null;
};

/** What is known of a cut besides where it stands. */
export interface CutRecord {
  /** By the schedule, not by hand. */
  readonly daily?: boolean;
  /** Asked for at once: it waits for nothing. */
  readonly now?: boolean;
  /** Milliseconds. */
  readonly openedAt: number;
  readonly markedAt?: number;
  readonly heads?: Readonly<Record<number, number>>;
  readonly frozenAt?: number;
  readonly cursors?: Readonly<Record<number, number>>;
  readonly tables?: Readonly<Record<TableName, TableTotals>>;
  /** What had been erased by then is taken off `tables` (snapshots.ts). */
  readonly erasedSums?: number;
  readonly missing?: readonly CutMissing[];
  readonly state?: Cut["state"];
  /** The version before was partial and this one is not: it is published, whatever the diff says. */
  readonly completes?: boolean;
  readonly swapped?: { readonly out: readonly number[]; readonly in: readonly number[] };
  readonly diff?: CutDiff;
  readonly comparison?: CutComparison;
  /** The day is as it was frozen, up to this snapshot. */
  readonly checkedSeq?: number;
  /** Failures in a row of the phase that it is in. */
  readonly attempts?: number;
  /** Partitions whose files are not merged any more, and merges so far. */
  readonly merged?: readonly string[];
  readonly rounds?: number;
  /** Files of the day when it was frozen, while they are being merged. */
  readonly frozenFiles?: readonly number[];
  /** Why there is no tally. */
  readonly note?: string;
}

/** A tally under way: files to be added and taken off, in order. */
export interface TallyProgress {
  readonly todo: readonly (readonly [file: number, sign: 1 | -1])[];
  readonly done: number;
  readonly contents: boolean;
}

export interface CutRow extends Omit<Row, "record" | "tally" | "progress" | "from_time"> {
  readonly from: number | null;
  readonly record: CutRecord;
  readonly tally: DayTally | null;
  readonly progress: TallyProgress | null;
}

type Patch = Partial<Pick<CutRow, "state" | "phase" | "seq" | "next_at" | "record" | "tally" | "progress">>;

export class CutTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS cut (
      name TEXT NOT NULL,
      version INTEGER NOT NULL,
      day TEXT,
      state TEXT,
      phase TEXT NOT NULL,
      seq INTEGER,
      from_time INTEGER,
      through INTEGER,
      next_at INTEGER NOT NULL,
      record TEXT NOT NULL,
      tally TEXT,
      progress TEXT,
      PRIMARY KEY (name, version)) WITHOUT ROWID`);
    sql.exec("CREATE INDEX IF NOT EXISTS cut_seq ON cut (seq, through)");
    sql.exec("CREATE INDEX IF NOT EXISTS cut_open ON cut (next_at) WHERE phase <> 'done'");
  }

  insert(cut: Pick<CutRow, "name" | "version" | "day" | "phase" | "from" | "through" | "next_at" | "record">): void {
    this.#sql.exec(
      "INSERT INTO cut (name, version, day, phase, from_time, through, next_at, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      cut.name,
      cut.version,
      cut.day,
      cut.phase,
      cut.from,
      cut.through,
      cut.next_at,
      JSON.stringify(cut.record),
    );
  }

  update({ name, version }: Pick<CutRow, "name" | "version">, patch: Patch): void {
    const values = Object.entries(patch).filter(([, value]) => value !== undefined);
    const stored = values.map(([, value]) =>
      typeof value === "object" && value !== null ? JSON.stringify(value) : value,
    );
    this.#sql.exec(
      `UPDATE cut SET ${values.map(([column]) => `${column} = ?`).join()} WHERE name = ? AND version = ?`,
      ...(stored as SqlStorageValue[]),
      name,
      version,
    );
  }

  delete({ name, version }: Pick<CutRow, "name" | "version">): void {
    this.#sql.exec("DELETE FROM cut WHERE name = ? AND version = ?", name, version);
  }

  get(name: string, version: number): CutRow | null {
    return this.#rows("WHERE name = ? AND version = ?", name, version)[0] ?? null;
  }

  /** All versions, with their tallies. */
  ofDay(day: string): CutRow[] {
    return this.#rows("WHERE day = ? AND seq IS NOT NULL", day);
  }

  /** The newest version, published or not. */
  newest(name: string): CutRow | null {
    return this.#rows("WHERE name = ? ORDER BY version DESC LIMIT 1", name)[0] ?? null;
  }

  newestPublished(name: string): CutRow | null {
    return this.#rows("WHERE name = ? AND state IS NOT NULL ORDER BY version DESC LIMIT 1", name)[0] ?? null;
  }

  /** Those with work whose time has come, the one that has waited longest first. */
  open(nowMs: number, limit: number): CutRow[] {
    return this.#rows("WHERE phase <> 'done' AND next_at <= ? ORDER BY next_at, name LIMIT ?", nowMs, limit);
  }

  /** Files of these days are held for cuts: frozen, and not compacted yet. */
  holding(): CutRow[] {
    return this.#lean("WHERE phase IN ('diff', 'compact') AND day IS NOT NULL");
  }

  /** Newest versions of days that nobody works on and that are to be looked at again. */
  unchecked(nowMs: number, limit: number): CutRow[] {
    return this.#lean(
      `WHERE day IS NOT NULL AND phase = 'done' AND next_at <= ?
         AND version = (SELECT max(version) FROM cut AS other WHERE other.name = cut.name) ORDER BY next_at LIMIT ?`,
      nowMs,
      limit,
    );
  }

  hasDay(day: string): boolean {
    return this.#sql.exec("SELECT 1 FROM cut WHERE name = ? LIMIT 1", day).toArray().length > 0;
  }

  firstDaily(): string | null {
    return this.#sql
      .exec<{ day: string | null }>("SELECT min(day) AS day FROM cut WHERE json_extract(record, '$.daily')")
      .one().day;
  }

  list(limit: number, before: { name: string; version: number } | null): CutRow[] {
    return before === null
      ? this.#lean("WHERE state IS NOT NULL ORDER BY name DESC, version DESC LIMIT ?", limit)
      : this.#lean(
          "WHERE state IS NOT NULL AND (name < ? OR (name = ? AND version < ?)) ORDER BY name DESC, version DESC LIMIT ?",
          before.name,
          before.name,
          before.version,
          limit,
        );
  }

  /** Lets go what ended before a time, microseconds; cuts by hand what was frozen before it. @returns how many. */
  drop(beforeUs: number): number {
    return this.#sql
      .exec(
        `DELETE FROM cut WHERE coalesce(through, json_extract(record, '$.frozenAt') * ${MICROS_PER_MS}) < ?
           AND phase = 'done' RETURNING name`,
        beforeUs,
      )
      .toArray().length;
  }

  #rows(where: string, ...values: (string | number)[]): CutRow[] {
    return this.#sql
      .exec<Row>(`SELECT * FROM cut ${where}`, ...values)
      .toArray()
      .map(cutRow);
  }

  /** Many, without their tallies. */
  #lean(where: string, ...values: (string | number)[]): CutRow[] {
    const columns = "name, version, day, state, phase, seq, from_time, through, next_at, record";
    return this.#sql
      .exec<Row>(`SELECT ${columns}, NULL AS tally, NULL AS progress FROM cut ${where}`, ...values)
      .toArray()
      .map(cutRow);
  }
}

function cutRow({ record, tally, progress, from_time, ...row }: Row): CutRow {
  return {
    ...row,
    from: from_time,
    record: JSON.parse(record) as CutRecord,
    tally: tally === null ? null : (JSON.parse(tally) as DayTally),
    progress: progress === null ? null : (JSON.parse(progress) as TallyProgress),
  };
}

/** @throws TypeError for a cut of no day. */
export function openCut({ name, version, day, phase, from, through, record }: CutRow): OpenCut {
  if (day === null || from === null || through === null) throw new TypeError(`cut ${name} is of no day`);
  const { markedAt = 0, heads = {}, cursors = {}, attempts = 0 } = record;
  return { name, version, day, phase, from, through, markedAt, heads, cursors, attempts };
}

export function publicCut(row: CutRow, expiredRows: number): Cut {
  const { record } = row;
  return {
    name: row.name,
    version: row.version,
    day: row.day,
    state: row.state!,
    missing: record.missing ?? [],
    seq: row.seq!,
    through: row.through,
    frozenAt: record.frozenAt!,
    cursors: record.cursors!,
    tables: record.tables!,
    swapped: record.swapped ?? { out: [], in: [] },
    diff: record.diff ?? null,
    comparison: record.comparison ?? null,
    expiredRows,
    phase: row.phase,
  };
}
