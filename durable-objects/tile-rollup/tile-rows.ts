/**
 * Rows of tiles: a tile, a level (its grain, hours, days) and a start are one row, its state as JSON, so that it can be read with
 * any tool. The live rows are those of no job; a job's are a window of them that is built anew (tile-builds.ts).
 */
import { DAY_MS, HOUR_MS, TILES } from "../../r2-layout/limits.ts";
import type { TileLevel } from "./definition.ts";
import { capTile, decodeTile, emptyTile, encodeTile, mergeTile, type TileState } from "./tile-state.ts";

/** Of which rows: the live ones, or those of a job. */
export type Side = string;
export const LIVE_SIDE: Side = "";

export interface TileRow {
  readonly start: number;
  readonly version: number;
  readonly state: TileState;
}

export class TileRows {
  readonly #sql: SqlStorage;
  /** Decoded, least recently used first. */
  readonly #recent = new Map<string, TileRow>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS tile_rows (
      side TEXT NOT NULL, tile TEXT NOT NULL, level INTEGER NOT NULL, start INTEGER NOT NULL,
      version INTEGER NOT NULL, state TEXT NOT NULL,
      PRIMARY KEY (side, tile, level, start)) WITHOUT ROWID`);
  }

  /** Drops what is held in memory: after a transaction that was rolled back it may be ahead of the rows. */
  forget(): void {
    this.#recent.clear();
  }

  /** Not to be changed by the caller. */
  read(side: Side, tile: string, level: TileLevel, start: number): TileRow | null {
    const name = nameOf(side, tile, level, start);
    const known = this.#recent.get(name);
    if (known) return known;
    const [row] = this.#sql
      .exec<{ version: number; state: string }>(
        "SELECT version, state FROM tile_rows WHERE side = ? AND tile = ? AND level = ? AND start = ?",
        ...[side, tile, level, start],
      )
      .toArray();
    return row ? this.#keep(name, { start, version: row.version, state: decodeTile(JSON.parse(row.state)) }) : null;
  }

  write(side: Side, tile: string, level: TileLevel, row: TileRow): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO tile_rows (side, tile, level, start, version, state) VALUES (?, ?, ?, ?, ?, ?)",
      ...[side, tile, level, row.start, row.version, JSON.stringify(encodeTile(row.state))],
    );
    this.#keep(nameOf(side, tile, level, row.start), row);
  }

  /** Adds to a row. @param bumps how often it has changed after it was final */
  add(side: Side, tile: string, level: TileLevel, start: number, more: TileState, bumps: number): void {
    const known = this.read(side, tile, level, start);
    const state = known?.state ?? emptyTile();
    mergeTile(state, more);
    capTile(state);
    this.write(side, tile, level, { start, version: (known?.version ?? 1) + bumps, state });
  }

  delete(side: Side, tile: string, level: TileLevel, start: number): void {
    this.#sql.exec(
      "DELETE FROM tile_rows WHERE side = ? AND tile = ? AND level = ? AND start = ?",
      ...[side, tile, level, start],
    );
    this.#recent.delete(nameOf(side, tile, level, start));
  }

  /** Starts in from..to (ms, half open), oldest first. */
  starts(side: Side, tile: string, level: TileLevel, from: number, to: number): number[] {
    return this.#sql
      .exec<{ start: number }>(
        "SELECT start FROM tile_rows WHERE side = ? AND tile = ? AND level = ? AND start >= ? AND start < ? ORDER BY start",
        ...[side, tile, level, from, to],
      )
      .toArray()
      .map(({ start }) => start);
  }

  /** All rows of a job, or of a tile, or of everybody. */
  drop({ side, tile }: { readonly side?: Side; readonly tile?: string }): void {
    if (side !== undefined) this.#sql.exec("DELETE FROM tile_rows WHERE side = ?", side);
    else if (tile !== undefined) this.#sql.exec("DELETE FROM tile_rows WHERE tile = ?", tile);
    else this.#sql.exec("DELETE FROM tile_rows");
    this.forget();
  }

  /** What is too old to be kept: a build has none of it when it is swapped in. */
  sweep(tiles: readonly string[], now: number): void {
    for (const tile of tiles) {
      for (const level of [1, 5, 60] as const) {
        this.#sql.exec(
          "DELETE FROM tile_rows WHERE side = ? AND tile = ? AND level = ? AND start < ?",
          ...[LIVE_SIDE, tile, level, keptFrom(level, now)],
        );
      }
    }
    for (const [name, row] of this.#recent) {
      const level = Number(name.split("/", 1)[0]) as TileLevel;
      if (row.start < keptFrom(level, now)) this.#recent.delete(name);
    }
  }

  #keep(name: string, row: TileRow): TileRow {
    this.#recent.delete(name);
    this.#recent.set(name, row);
    if (this.#recent.size > TILES.rowsInMemory) this.#recent.delete(this.#recent.keys().next().value!);
    return row;
  }
}

const KEPT_MS: Readonly<Record<TileLevel, number>> = {
  1: TILES.minutesKeptMs,
  5: TILES.minutesKeptMs,
  60: TILES.hoursKeptMs,
  1440: Number.POSITIVE_INFINITY,
};

/** Starts before it are not kept. Hours go a day at a time, so that a day has all of its hours or none. */
export function keptFrom(level: TileLevel, now: number): number {
  const from = now - KEPT_MS[level];
  if (from === Number.NEGATIVE_INFINITY) return from;
  return level === 60 ? Math.floor(from / DAY_MS) * DAY_MS : Math.floor(from / HOUR_MS) * HOUR_MS;
}

const nameOf = (side: Side, tile: string, level: TileLevel, start: number): string =>
  `${level}/${side}/${tile}/${start}`;
