/**
 * A window of event_time built anew beside the live rows, then put in their place: how a tile's past is filled in once, and how
 * a correction or a rebuild reaches it. One build at a time, each call one transaction with the live rows:
 *
 *     begin     the object is at seq u: the build is owed segments up to u by the job, and gets every batch after u with the live rows.
 *               So both sides meet exactly once, wherever u is
 *     add       a step of the job; dense numbers, so that one that comes twice is added once
 *     swap      rows of the window change places; days that the window has in part are added up anew from their hours
 *
 *     crash anywhere                     each call says the same when it comes again
 *     live batch between any two calls   in both once: it is above u, the job adds what is at or below
 *     another job begins                 the older build is let go; its job is told at its next call, and begins anew. Jobs wait for each
 *                                        other, so that is one that was forgotten, or a straggler
 *     object wiped, or lost its place    the build is gone: the same
 *     tile removed meanwhile             its rows are gone on both sides
 */
import { DAY_MS, HOUR_MS } from "../../r2-layout/limits.ts";
import type { TileBuild, TileDelta, TileWindow } from "./api.ts";
import { levelStart, levelsOf, type TileDefinition, type TileLevel } from "./definition.ts";
import { isFinalStart } from "./merge.ts";
import { keptFrom, LIVE_SIDE, type TileRow, type TileRows } from "./tile-rows.ts";
import { capTile, decodeTile, emptyTile, mergeTile, sameTile } from "./tile-state.ts";
import type { TileTable } from "./tile-table.ts";

type BuildRow = {
  readonly job: string;
  readonly state: "building" | "swapped";
  readonly from_ms: number;
  readonly to_ms: number;
  /** JSON. */
  readonly tiles: string;
  readonly up_to: number;
  readonly added_to: number;
  readonly step: number;
  readonly shard: number;
};

export class TileBuilds {
  readonly #sql: SqlStorage;
  readonly #rows: TileRows;
  readonly #table: TileTable;

  constructor(sql: SqlStorage, rows: TileRows, table: TileTable) {
    this.#sql = sql;
    this.#rows = rows;
    this.#table = table;
    sql.exec(`CREATE TABLE IF NOT EXISTS builds (job TEXT PRIMARY KEY, state TEXT NOT NULL, from_ms INTEGER NOT NULL,
      to_ms INTEGER NOT NULL, tiles TEXT NOT NULL, up_to INTEGER NOT NULL, added_to INTEGER NOT NULL, step INTEGER NOT NULL, shard INTEGER NOT NULL)`);
  }

  /** @param lastSeq where the live rows are @throws RangeError for no window of whole hours */
  begin({ job, shard, from, to, tiles, after }: TileWindow, lastSeq: number): TileBuild {
    if (from % HOUR_MS !== 0 || to % HOUR_MS !== 0 || from >= to) {
      throw new RangeError(`no window of whole hours: ${from} to ${to}`);
    }
    const known = this.#find(job);
    if (known) return begun(known);
    for (const other of this.#all()) this.#end(other.job);
    const row: BuildRow = {
      ...{ job, state: "building", from_ms: from, to_ms: to, tiles: JSON.stringify(tiles) },
      ...{ up_to: lastSeq, added_to: after, step: 0, shard },
    };
    this.#write(row);
    return begun(row);
  }

  /** A batch that was just added to the live rows. */
  follow(deltas: readonly TileDelta[], now: number): void {
    for (const build of this.#all()) if (build.state === "building") this.#fold(build, deltas, now);
  }

  add(
    job: string,
    { step, to }: { readonly step: number; readonly to: number },
    deltas: readonly TileDelta[],
    now: number,
  ): { step: number } | null {
    const build = this.#find(job);
    if (!build) return null;
    if (step <= build.step) return { step: build.step };
    if (step > build.step + 1) throw new RangeError(`build ${job} is at step ${build.step}, not at ${step - 1}`);
    this.#fold(build, deltas, now);
    this.#write({ ...build, step, added_to: Math.max(build.added_to, to) });
    return { step };
  }

  /** @returns whether rows have changed; null where there is no such build. */
  swap(job: string, completeUntil: number, now: number): { shard: number; changed: boolean } | null {
    const build = this.#find(job);
    if (!build) return null;
    if (build.state === "swapped") return { shard: build.shard, changed: false };
    if (build.added_to < build.up_to) {
      throw new RangeError(`build ${job} has the log up to ${build.added_to} of ${build.up_to}`);
    }
    for (const tile of JSON.parse(build.tiles) as string[]) {
      const definition = this.#table.definitions().get(tile);
      if (!definition) continue;
      const first = !this.#table.isFilled(tile);
      for (const level of levelsOf(definition)) this.#exchange(build, definition, level, { first, completeUntil, now });
      if (build.from_ms === 0) this.#table.setFilled(tile, true);
    }
    this.#rows.drop({ side: job });
    this.#write({ ...build, state: "swapped" });
    return { shard: build.shard, changed: true };
  }

  discard(job: string): void {
    this.#end(job);
  }

  /** What was built so far is of no use. */
  discardAll(): void {
    for (const { job } of this.#all()) this.#end(job);
  }

  #fold({ job, from_ms, to_ms, tiles }: BuildRow, deltas: readonly TileDelta[], now: number): void {
    const wanted = new Set(JSON.parse(tiles) as string[]);
    for (const { tile, start, state } of deltas) {
      const definition = this.#table.definitions().get(tile);
      if (!definition || !wanted.has(tile) || start < from_ms || start >= to_ms) continue;
      const more = decodeTile(state);
      for (const level of levelsOf(definition)) {
        const at = levelStart(level, start);
        // Versions are the live rows': nothing is final in a build.
        if (at >= keptFrom(level, now)) this.#rows.add(job, tile, level, at, more, 0);
      }
    }
  }

  #exchange(
    { job, from_ms: from, to_ms: to }: BuildRow,
    { id }: TileDefinition,
    level: TileLevel,
    options: { readonly first: boolean; readonly completeUntil: number; readonly now: number },
  ): void {
    const firstStart = levelStart(level, from);
    const starts = new Set([
      ...this.#rows.starts(LIVE_SIDE, id, level, firstStart, to),
      ...this.#rows.starts(job, id, level, firstStart, to),
    ]);
    for (const start of starts) {
      // What was too old when a step was added is so now; what is not was added whole.
      if (start < keptFrom(level, options.now)) continue;
      const isWhole = level !== 1440 || (start >= from && start + DAY_MS <= to);
      if (!isWhole && start < keptFrom(60, options.now)) continue;
      const built = isWhole ? this.#rows.read(job, id, level, start)?.state : this.#dayOf(id, start);
      this.#replace(id, level, start, built ?? emptyTile(), options);
    }
  }

  #replace(
    tile: string,
    level: TileLevel,
    start: number,
    state: TileRow["state"],
    { first, completeUntil }: { readonly first: boolean; readonly completeUntil: number },
  ): void {
    const live = this.#rows.read(LIVE_SIDE, tile, level, start);
    if (live && sameTile(live.state, state)) return;
    // Nobody was told that there is nothing before a tile's past was filled in.
    const bump = !first && isFinalStart(level, start, completeUntil) ? 1 : 0;
    // Where nothing is left an empty row stays: it has the version, and screens are told that there is nothing.
    this.#rows.write(LIVE_SIDE, tile, level, { start, version: (live?.version ?? 1) + bump, state });
  }

  #dayOf(tile: string, day: number): TileRow["state"] {
    const state = emptyTile();
    for (const hour of this.#rows.starts(LIVE_SIDE, tile, 60, day, day + DAY_MS)) {
      mergeTile(state, this.#rows.read(LIVE_SIDE, tile, 60, hour)!.state);
    }
    capTile(state);
    return state;
  }

  #end(job: string): void {
    this.#rows.drop({ side: job });
    this.#sql.exec("DELETE FROM builds WHERE job = ?", job);
  }

  #find(job: string): BuildRow | undefined {
    return this.#sql.exec<BuildRow>("SELECT * FROM builds WHERE job = ?", job).toArray()[0];
  }

  #all(): BuildRow[] {
    return this.#sql.exec<BuildRow>("SELECT * FROM builds").toArray();
  }

  #write({ job, state, from_ms, to_ms, tiles, up_to, added_to, step, shard }: BuildRow): void {
    this.#sql.exec(
      `INSERT OR REPLACE INTO builds (job, state, from_ms, to_ms, tiles, up_to, added_to, step, shard)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[job, state, from_ms, to_ms, tiles, up_to, added_to, step, shard],
    );
  }
}

const begun = ({ up_to, added_to, step, state }: BuildRow): TileBuild => ({
  upTo: up_to,
  after: added_to,
  step,
  swapped: state === "swapped",
});
