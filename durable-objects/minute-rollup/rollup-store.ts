/**
 * What a MinuteRollup keeps in SQLite, and how a batch changes it. Runs inside one transaction of the object:
 *
 *     position              last_seq, complete_until, events, rules, incarnation: one row
 *     minutes, hours, days  rollup-rows.ts
 *     changes               what changed in final minutes: change-log.ts
 *     rebuilds, shadow      windows that are built anew: rebuilds.ts
 *
 * Rows written by a batch of live traffic: position, minute, hour, day: four, whatever its events; five when they span two
 * minutes, or when some came after their minute was final. Every delta is applied to all three, so the larger ones need no job that adds
 * up the smaller, and a minute that is too old to be kept still counts in its hour and day.
 */
import { MINUTE_MS, ROLLUP } from "../../r2-layout/limits.ts";
import {
  GRAINS,
  type MinuteDelta,
  type PartValue,
  type RollupAnswer,
  type RollupBatch,
  type RollupPart,
  type RollupParts,
  type RollupQuery,
} from "./api.ts";
import { type Changed, ChangeLog } from "./change-log.ts";
import type { RollupTraces } from "./erasure-api.ts";
import { grainStart, isFinal } from "./grains.ts";
import { type Position, PositionTable } from "./position-table.ts";
import { Rebuilds } from "./rebuilds.ts";
import { RecentBatches } from "./recent-batches.ts";
import { decodeDimension, decodeRevenue } from "./rollup-row.ts";
import { RollupRows, TABLES } from "./rollup-rows.ts";
import type { RollupState } from "./rollup-state.ts";
import { tally } from "./tally.ts";
import type { Tally, TallyRequest } from "./tally-api.ts";

/** A minute with its version: how often it changed after it was final, plus one. */
export interface StoredMinute {
  readonly minute: number;
  readonly version: number;
  readonly state: RollupState;
}

/** How the name of an empty list ends: it has a version all the same. */
export const NO_TILES = "-none";

/** @returns the minutes it changed, of those that are kept. */
export type Applied = RollupAnswer & { readonly changed: readonly number[] };

export class RollupStore {
  readonly rebuilds: Rebuilds;
  readonly changes: ChangeLog;
  readonly #sql: SqlStorage;
  readonly #position: PositionTable;
  readonly #rows: RollupRows;
  readonly #recent = new RecentBatches();
  #sweptMinute = 0;

  /** @param now milliseconds */
  constructor(sql: SqlStorage, now = Date.now()) {
    this.#sql = sql;
    this.#position = new PositionTable(sql, now);
    this.#rows = new RollupRows(sql);
    this.changes = new ChangeLog(sql);
    this.rebuilds = new Rebuilds(sql, this.#rows, this.#position, this.changes, this.#recent);
  }

  position(): Position {
    return this.#position.read();
  }

  /**
   * Applies a batch that starts right after what was applied, and nothing of any other.
   *
   *     to <= lastSeq              all of it is here: only its completeUntil is news
   *     from = lastSeq + 1         applied
   *     from <= lastSeq < to       some of it is here: refused, its sums cannot be taken apart
   *     from > lastSeq + 1         something is missing before it: refused
   *     it would be applied, but passed through older rules than the object knows: refused
   *     it would be applied, but a later lease has fenced its own off: refused
   *
   * To be called in a transaction; if that fails, call `forget`. @param now milliseconds
   */
  apply(batch: RollupBatch, now: number): Applied {
    const before = this.position();
    const answer = this.#apply(batch, before, now);
    return before.tiles === "" || before.tiles.endsWith(NO_TILES) ? answer : { ...answer, tiles: before.tiles };
  }

  #apply(batch: RollupBatch, before: Position, now: number): Applied {
    const repeated = batch.to <= before.lastSeq;
    const follows = batch.from === before.lastSeq + 1;
    if (!follows && !repeated) return { applied: false, lastSeq: before.lastSeq, changed: [] };
    const completeUntil = Math.max(before.completeUntil, batch.completeUntil);
    if (!follows || batch.to < batch.from) {
      if (completeUntil > before.completeUntil) this.#position.write({ ...before, completeUntil });
      return { applied: follows, lastSeq: before.lastSeq, changed: [] };
    }
    const { rules = 0, token = before.token } = batch;
    if (token < before.token) return { applied: false, lastSeq: before.lastSeq, fenced: true, changed: [] };
    if (rules < before.rules) return { applied: false, lastSeq: before.lastSeq, rules: before.rules, changed: [] };
    let { events } = before;
    for (const { events: more } of batch.minutes) events += more;
    const changed = this.#applyDeltas(batch, before.completeUntil, now);
    const leftOut = before.leftOut + (batch.leftOut ?? 0);
    this.#position.write({ ...knowing(before, rules), lastSeq: batch.to, completeUntil, events, leftOut });
    this.#recent.add(batch);
    this.#sweep(now);
    return { applied: true, lastSeq: batch.to, changed };
  }

  raise(rules: number): void {
    const position = this.position();
    if (rules > position.rules) this.#position.write(knowing(position, rules));
  }

  /** As `MinuteRebuildApi.settle`. */
  settle(first: number, last: number): void {
    const position = this.position();
    const { owes, rules } = position;
    if (owes >= first && owes <= last) this.#position.write({ ...position, owes: rules > last ? last + 1 : 0 });
  }

  /** As `RollupErasureApi.tracesOf`. */
  tracesOf(job: string, version: number): RollupTraces {
    const { owes } = this.position();
    const kept = this.rebuilds.jobs().filter((one) => one === job || one.startsWith(`${job}-w`));
    return { records: this.changes.ofJob(job, false), builds: kept.length, isOwed: owes > 0 && owes <= version };
  }

  /** As `MinuteRebuildApi.doubt`. */
  doubt(from: number, to: number): void {
    this.#rows.doubt(from, to);
  }

  /** As `RollupTallyApi.tally`. @param now milliseconds */
  tally(request: TallyRequest, now: number): Tally {
    return tally({ sql: this.#sql, position: this.position(), recent: this.#recent }, request, now);
  }

  /** As `MinuteRollupApi.fence`. */
  fence(token: number): { lastSeq: number } {
    const position = this.position();
    if (token > position.token) this.#position.write({ ...position, token });
    return { lastSeq: position.lastSeq };
  }

  /** As `MinuteRollupApi.announce`. */
  announce(tiles: string): { lastSeq: number } {
    const position = this.position();
    if (Number.parseInt(tiles, 10) > (Number.parseInt(position.tiles, 10) || 0)) {
      this.#position.write({ ...position, tiles });
    }
    return { lastSeq: position.lastSeq };
  }

  /** Drops what is held in memory: after a transaction that was rolled back it may be ahead of the rows. */
  forget(): void {
    this.#rows.forget();
    this.rebuilds.forget();
    this.#recent.forget();
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
      const row = this.#rows.read(null, "minute", start);
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

  #applyDeltas(batch: RollupBatch, completeBefore: number, now: number): number[] {
    const keptFrom = now - ROLLUP.minutesKeptMs;
    const deltas = batch.minutes.toSorted((one, other) => one.minute - other.minute);
    const changed: number[] = [];
    const late: Changed[] = [];
    const change = { completeBefore, keptFrom, seq: batch.to };
    this.#rows.fold(null, deltas, GRAINS, change, (delta: MinuteDelta, rows) => {
      const { minute, events, revenue } = delta;
      const isKept = minute >= keptFrom;
      if (isKept) changed.push(minute);
      if (!isFinal("minute", minute, completeBefore)) return;
      const { version } = (isKept ? rows.minute : rows.hour)!;
      late.push({ minute, grain: "minute", version, events, revenue });
    });
    this.rebuilds.follow(batch, deltas, keptFrom);
    this.changes.record(late, { reason: "late", job: null }, now);
    return changed;
  }

  /** Once a minute at most: as many rows go as came, in live traffic one. */
  #sweep(now: number): void {
    const minute = grainStart("minute", now);
    if (minute === this.#sweptMinute) return;
    this.#sweptMinute = minute;
    this.#rows.sweepMinutes(now - ROLLUP.minutesKeptMs, this.rebuilds.jobs());
    this.changes.sweep(now);
    this.rebuilds.sweep(now);
  }
}

/** With a newer rule, which rows that are here may not have passed. */
const knowing = (position: Position, rules: number): Position => {
  if (rules <= position.rules) return position;
  return { ...position, rules, owes: position.owes || (position.lastSeq > 0 ? position.rules + 1 : 0) };
};

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
