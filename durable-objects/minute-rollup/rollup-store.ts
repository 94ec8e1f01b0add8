/**
 * What a MinuteRollup keeps in SQLite, and how a batch changes it. Runs inside one transaction of the object:
 *
 *     position     last_seq, complete_until, events: one row
 *     minutes      one packed row each, kept 48 hours by its start
 *     hours, days  the same, kept for good
 *
 * Rows written by a batch of live traffic: position, minute, hour, day: four, whatever its events; five when they span two
 * minutes. Every delta is applied to all three, so the larger ones need no job that adds up the smaller, and a minute that is
 * too old to be kept still counts in its hour and day.
 */
import { MINUTE_MS, ROLLUP } from "../../r2-layout/limits.ts";
import {
  DIMENSIONS,
  GRAINS,
  type Grain,
  type PartValue,
  type RollupAnswer,
  type RollupBatch,
  type RollupPart,
  type RollupParts,
  type RollupQuery,
} from "./api.ts";
import { GRAIN_MS, grainStart, isFinal } from "./grains.ts";
import { decodeDimension, decodeRevenue, decodeRow, encodeRow, type RollupRow } from "./rollup-row.ts";
import { addDelta, applyCaps, emptyState, type RollupState } from "./rollup-state.ts";
import { decodeSketch } from "./user-sketch.ts";

const TABLES = { minute: "minutes", hour: "hours", day: "days" } as const satisfies Record<Grain, string>;

export interface Position {
  lastSeq: number;
  completeUntil: number;
  events: number;
}

/** A minute with its version: how often it changed after it was final, plus one. */
export interface StoredMinute {
  readonly minute: number;
  readonly version: number;
  readonly state: RollupState;
}

interface OpenRow {
  readonly grain: Grain;
  readonly start: number;
  readonly version: number;
  readonly state: RollupState;
}

/** @returns the minutes it changed, of those that are kept. */
export type Applied = RollupAnswer & { readonly changed: readonly number[] };

export class RollupStore {
  readonly #sql: SqlStorage;
  /** Decoded rows by grain and start, least recently used first. SQLite is the truth. */
  readonly #recent = new Map<string, OpenRow>();
  #sweptMinute = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    migrate(sql);
  }

  position(): Position {
    const rows = this.#sql
      .exec<{ last_seq: number; complete_until: number; events: number }>(
        "SELECT last_seq, complete_until, events FROM position",
      )
      .toArray();
    const [row] = rows;
    return row
      ? { lastSeq: row.last_seq, completeUntil: row.complete_until, events: row.events }
      : { lastSeq: 0, completeUntil: 0, events: 0 };
  }

  /**
   * Applies a batch that starts right after what was applied, and nothing of any other.
   *
   *     to <= lastSeq              all of it is here: only its completeUntil is news
   *     from = lastSeq + 1         applied
   *     from <= lastSeq < to       some of it is here: refused, its sums cannot be taken apart
   *     from > lastSeq + 1         something is missing before it: refused
   *
   * To be called in a transaction; if that fails, call `forget`. @param now milliseconds
   */
  apply(batch: RollupBatch, now: number): Applied {
    const before = this.position();
    const repeated = batch.to <= before.lastSeq;
    const applied = batch.from === before.lastSeq + 1;
    if (!applied && !repeated) return { applied: false, lastSeq: before.lastSeq, changed: [] };
    const completeUntil = Math.max(before.completeUntil, batch.completeUntil);
    if (!applied || batch.to < batch.from) {
      if (completeUntil > before.completeUntil) this.#writePosition({ ...before, completeUntil });
      return { applied, lastSeq: before.lastSeq, changed: [] };
    }
    let { events } = before;
    for (const { events: more } of batch.minutes) events += more;
    const changed = this.#applyDeltas(batch, before.completeUntil, now);
    this.#writePosition({ lastSeq: batch.to, completeUntil, events });
    this.#sweep(now);
    return { applied, lastSeq: batch.to, changed };
  }

  /** Drops what is held in memory: after a transaction that was rolled back it may be ahead of the rows. */
  forget(): void {
    this.#recent.clear();
  }

  /** Minutes with starts in from..to (ms, half open) or only those of them that are named, oldest first. */
  minutes(from: number, to: number, only?: ReadonlySet<number>): StoredMinute[] {
    const starts = only
      ? [...only].filter((start) => start >= from && start < to).sort((one, other) => one - other)
      : this.#sql
          .exec<{ start: number }>("SELECT start FROM minutes WHERE start >= ? AND start < ? ORDER BY start", from, to)
          .toArray()
          .map(({ start }) => start);
    return starts.flatMap((start) => {
      const row = this.#recent.get(rowKey("minute", start)) ?? this.#read("minute", start);
      return row ? [{ minute: start, version: row.version, state: row.state }] : [];
    });
  }

  query({ metric, grain, from, to, by }: RollupQuery): RollupParts {
    const column = metric === "users" ? "users" : (by ?? (metric === "events" ? "events" : "revenue"));
    const rows = this.#sql.exec<{ start: number; version: number; found: number | string | ArrayBuffer }>(
      `SELECT start, version, ${column} AS found FROM ${TABLES[grain]} WHERE start >= ? AND start < ? ORDER BY start`,
      from,
      to,
    );
    const parts: RollupPart[] = [];
    let values = 0;
    let cut = false;
    for (const { start, version, found } of rows) {
      const part: RollupPart =
        typeof found === "number"
          ? { start, version, approximate: false, values: [{ key: null, events: found }] }
          : found instanceof ArrayBuffer
            ? { start, version, approximate: false, values: [], sketch: new Uint8Array(found) }
            : by
              ? { start, version, ...dimensionValues(found, metric === "revenue") }
              : { start, version, approximate: false, values: currencyValues(null, decodeRevenue(found)) };
      values += Math.max(1, part.values.length);
      if (values > ROLLUP.pointsPerAnswer) {
        cut = true;
        break;
      }
      parts.push(part);
    }
    return { completeUntil: this.position().completeUntil, parts, cut };
  }

  openMinutes(): number {
    const finalBefore = this.position().completeUntil - ROLLUP.finalAfterMs - MINUTE_MS;
    return this.#sql.exec<{ n: number }>("SELECT count(*) AS n FROM minutes WHERE start > ?", finalBefore).one().n;
  }

  /** One row of each grain is open at a time: deltas come oldest first, so each row is written once. */
  #applyDeltas(batch: RollupBatch, completeBefore: number, now: number): number[] {
    const keptFrom = now - ROLLUP.minutesKeptMs;
    const changed: number[] = [];
    const open: Partial<Record<Grain, OpenRow>> = {};
    for (const delta of batch.minutes.toSorted((one, other) => one.minute - other.minute)) {
      const users = decodeSketch(delta.users);
      for (const grain of GRAINS) {
        if (grain === "minute") {
          if (delta.minute < keptFrom) continue;
          changed.push(delta.minute);
        }
        const start = grainStart(grain, delta.minute);
        let row = open[grain];
        if (row?.start !== start) {
          if (row) this.#write(row);
          row = this.#openRow(grain, start, completeBefore);
          open[grain] = row;
        }
        addDelta(row.state, delta, users);
      }
    }
    for (const row of Object.values(open)) this.#write(row);
    return changed;
  }

  /**
   * The row as this batch will leave it. What was final before the batch gets a new version, and so does one that did not exist then:
   * that there was nothing was final too. Nothing was final before the first batch.
   */
  #openRow(grain: Grain, start: number, completeBefore: number): OpenRow {
    const known = this.#recent.get(rowKey(grain, start)) ?? this.#read(grain, start);
    const late = isFinal(grain, start, completeBefore);
    const version = (known?.version ?? 1) + (late ? 1 : 0);
    return { grain, start, version, state: known?.state ?? emptyState() };
  }

  #read(grain: Grain, start: number): OpenRow | null {
    const [row] = this.#sql
      .exec<RollupRow & { version: number }>(`SELECT * FROM ${TABLES[grain]} WHERE start = ?`, start)
      .toArray();
    return row ? { grain, start, version: row.version, state: decodeRow(row) } : null;
  }

  #write(open: OpenRow): void {
    applyCaps(open.state);
    const row = encodeRow(open.state);
    this.#sql.exec(
      `INSERT OR REPLACE INTO ${TABLES[open.grain]} (start, version, events, revenue, users, ${DIMENSIONS.join(", ")})
       VALUES (?, ?, ?, ?, ?${", ?".repeat(DIMENSIONS.length)})`,
      open.start,
      open.version,
      row.events,
      row.revenue,
      row.users,
      ...DIMENSIONS.map((dimension) => row[dimension]),
    );
    const key = rowKey(open.grain, open.start);
    this.#recent.delete(key);
    this.#recent.set(key, open);
    if (this.#recent.size > ROLLUP.rowsInMemory) this.#recent.delete(this.#recent.keys().next().value!);
  }

  #writePosition({ lastSeq, completeUntil, events }: Position): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO position (id, last_seq, complete_until, events) VALUES (1, ?, ?, ?)",
      lastSeq,
      completeUntil,
      events,
    );
  }

  /** Once a minute at most: as many rows go as came, in live traffic one. */
  #sweep(now: number): void {
    const minute = grainStart("minute", now);
    if (minute === this.#sweptMinute) return;
    this.#sweptMinute = minute;
    this.#sql.exec("DELETE FROM minutes WHERE start < ?", now - ROLLUP.minutesKeptMs);
  }
}

const rowKey = (grain: Grain, start: number): string => `${grain}:${start / GRAIN_MS[grain]}`;

function dimensionValues(text: string, revenue: boolean): { approximate: boolean; values: PartValue[] } {
  const { approximate, values } = decodeDimension(text);
  return {
    approximate,
    values: revenue
      ? values.flatMap((value) => currencyValues(value.key, value.revenue ?? []))
      : values.map(({ key, events }) => ({ key, events })),
  };
}

const currencyValues = (key: string | null, revenue: readonly (readonly [string, bigint])[]): PartValue[] =>
  revenue.map(([currency, micro]) => ({ key, currency, micro }));

function migrate(sql: SqlStorage): void {
  sql.exec(`CREATE TABLE IF NOT EXISTS position (
    id INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, complete_until INTEGER NOT NULL, events INTEGER NOT NULL)`);
  for (const grain of GRAINS) {
    sql.exec(`CREATE TABLE IF NOT EXISTS ${TABLES[grain]} (
      start INTEGER PRIMARY KEY, version INTEGER NOT NULL, events INTEGER NOT NULL, revenue TEXT NOT NULL,
      users BLOB NOT NULL, ${DIMENSIONS.map((dimension) => `${dimension} TEXT NOT NULL`).join(", ")})`);
  }
}
