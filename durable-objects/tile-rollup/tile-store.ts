/**
 * What a TileRollup keeps in SQLite, and how a batch changes it. Runs inside one transaction of the object:
 *
 *     position      last_seq, complete_until, the list's version, incarnation, and what is pending (pending.ts): one row, written with
 *                   every batch, whatever there is of tiles
 *     tile_rows     by tile, level and start: tile-rows.ts; once a minute
 *     definitions   those of the list, and whether their past is filled in
 *     builds        tile-builds.ts
 *
 *     batch by another list of definitions   refused: the sink computes it by the one that the object has, so that a definition begins
 *                                            for the whole shard with one batch
 *     to <= lastSeq                          all of it is here: only its completeUntil is news
 *     from <= lastSeq < to                   some of it is here: refused, its sums cannot be taken apart
 *     from > lastSeq + 1                     the object lost what came before, or the sink did not know of it: taken, and said, so that all
 *                                            tiles are filled anew; what there was of them stays until then
 */
import { MINUTE_MS, ROLLUP, TILES } from "../../r2-layout/limits.ts";
import { encodeSketch } from "../minute-rollup/user-sketch.ts";
import type { TileAnswer, TileBatch, TileBuild, TilePart, TileParts, TileQuery, TileValue, TileWindow } from "./api.ts";
import { levelStart, levelsOf, type TileDefinition, type TileLevel } from "./definition.ts";
import { type FunnelMinute, funnelCounts, funnelHour } from "./funnel.ts";
import { tileWindow } from "./merge.ts";
import { Pending } from "./pending.ts";
import { TileBuilds } from "./tile-builds.ts";
import { keptFrom, LIVE_SIDE, TileRows } from "./tile-rows.ts";
import {
  type Cell,
  capTile,
  decodeTile,
  emptyTile,
  mergeTile,
  OTHER,
  SHOWN,
  type TileCaps,
  type TileState,
} from "./tile-state.ts";
import { type TilePosition, TileTable } from "./tile-table.ts";

/** Starts that a batch changed, by tile. */
export type ChangedStarts = ReadonlyMap<string, ReadonlySet<number>>;
export type TileApplied = TileAnswer & { readonly changed: ChangedStarts };

const NOTHING: ChangedStarts = new Map();

export class TileStore {
  readonly builds: TileBuilds;
  readonly #table: TileTable;
  readonly #rows: TileRows;
  #pending: Pending | null = null;

  /** @param now milliseconds */
  constructor(sql: SqlStorage, now = Date.now()) {
    this.#table = new TileTable(sql, now);
    this.#rows = new TileRows(sql);
    this.builds = new TileBuilds(sql, this.#rows, this.#table);
  }

  /** Drops what is held in memory: after a transaction that was rolled back it may be ahead of the rows. */
  forget(): void {
    this.#pending = null;
    this.#rows.forget();
    this.#table.forget();
  }

  position(): TilePosition {
    return this.#table.position();
  }

  tiles(): readonly TileDefinition[] {
    return [...this.#table.definitions().values()];
  }

  /** As TileRollupApi. */
  define(version: number, definitions: readonly TileDefinition[]): void {
    const position = this.position();
    if (version <= position.version) return;
    const wanted = new Map(definitions.map((definition) => [definition.id, definition]));
    const known = this.#table.definitions();
    const hadNone = known.size === 0;
    for (const id of known.keys()) {
      if (wanted.has(id)) continue;
      this.#rows.drop({ tile: id });
      this.#waiting().drop(id);
      this.#table.removeDefinition(id);
    }
    for (const [id, definition] of wanted) if (!known.has(id)) this.#table.addDefinition(definition);
    // Without definitions nothing was brought here: whatever comes next is the beginning.
    const fresh = hadNone && { started: false, lastSeq: 0 };
    if (hadNone) this.builds.discardAll();
    this.#table.write({ ...position, version, ...fresh }, this.#waiting().encode());
  }

  /** To be called in a transaction; if that fails, call `forget`. @param now milliseconds */
  apply(batch: TileBatch, now: number): TileApplied {
    const before = this.position();
    const { lastSeq } = before;
    if (batch.version !== before.version) {
      return { applied: false, lastSeq, version: before.version, changed: NOTHING };
    }
    const completeUntil = Math.max(before.completeUntil, batch.completeUntil);
    const isTick = batch.to < batch.from;
    if (isTick ? !before.started || batch.to <= lastSeq : before.started && batch.to <= lastSeq) {
      if (completeUntil > before.completeUntil) this.#write({ ...before, completeUntil });
      return { applied: isTick, lastSeq, changed: NOTHING };
    }
    if (before.started && batch.from <= lastSeq) return { applied: false, lastSeq, changed: NOTHING };
    const lost = before.started && batch.from > lastSeq + 1;
    if (lost) {
      this.builds.discardAll();
      this.#table.setFilled(null, false);
    }
    const changed = this.#add(batch, before.completeUntil, now);
    this.#write(
      {
        ...before,
        started: true,
        lastSeq: batch.to,
        completeUntil,
        ...(lost && { incarnation: Math.max(now, before.incarnation + 1) }),
      },
      now,
    );
    return { applied: true, lastSeq: batch.to, changed, ...(lost && { lost }) };
  }

  /** As TileRollupApi. */
  begin(window: TileWindow): TileBuild {
    const position = this.position();
    if (position.started) return this.builds.begin(window, position.lastSeq);
    this.#write({ ...position, started: true, lastSeq: window.startAt });
    return this.builds.begin(window, window.startAt);
  }

  /** @returns the shard where rows have changed. */
  swap(job: string, now: number): { readonly shard: number; readonly changed: boolean } | null {
    this.#fold(now);
    const position = this.position();
    const swapped = this.builds.swap(job, position.completeUntil, now);
    const incarnation = Math.max(now, position.incarnation + 1);
    this.#write({ ...position, foldedAt: now, ...(swapped?.changed && { incarnation }) });
    return swapped;
  }

  query({ tile, level, from, to }: TileQuery): TileParts {
    const definition = this.#table.definitions().get(tile);
    const { completeUntil, lastSeq, incarnation } = this.position();
    const common = { completeUntil, lastSeq, incarnation };
    if (!definition) return { ...common, known: false, parts: [], cut: false };
    if (definition.measure === "funnel") {
      return { ...common, known: true, parts: this.#funnelParts(definition, level, from, to), cut: false };
    }
    const parts: TilePart[] = [];
    let values = 0;
    for (const start of this.#starts(tile, level, from, to)) {
      const part = this.#part(tile, level, start);
      values += Math.max(1, part.values.length);
      if (values > ROLLUP.pointsPerAnswer) return { ...common, known: true, parts, cut: true };
      parts.push(part);
    }
    return { ...common, known: true, parts, cut: false };
  }

  /** What a screen is shown of a tile, at its own grain. @param only these starts; null: the whole live window */
  published(definition: TileDefinition, only: ReadonlySet<number> | null, now: number): TilePart[] {
    const { id, measure, grainMinutes } = definition;
    if (measure === "funnel") {
      const minute = levelStart(1, now);
      return this.#funnelParts(definition, 1, minute - MINUTE_MS, minute + MINUTE_MS);
    }
    const { from, to } = tileWindow(definition, now);
    const starts = only
      ? [...only].filter((start) => start >= from && start < to)
      : this.#starts(id, grainMinutes, from, to);
    return starts.map((start) => this.#part(id, grainMinutes, start, SHOWN));
  }

  #add(batch: TileBatch, completeBefore: number, now: number): ChangedStarts {
    const changed = new Map<string, Set<number>>();
    const definitions = this.#table.definitions();
    for (const delta of batch.deltas) {
      const definition = definitions.get(delta.tile);
      if (!definition) continue;
      this.#waiting().add(definition, delta, decodeTile(delta.state), completeBefore);
      const starts = changed.get(delta.tile);
      if (starts) starts.add(delta.start);
      else changed.set(delta.tile, new Set([delta.start]));
    }
    this.builds.follow(batch.deltas, now);
    return changed;
  }

  /** @param now given: what is pending goes into the rows, if it is time */
  #write(position: TilePosition, now?: number): void {
    const pending = this.#waiting().encode();
    const isDue = now !== undefined && (pending.length > TILES.pendingBytes || now - position.foldedAt >= TILES.foldMs);
    if (!isDue || this.#waiting().isEmpty) {
      this.#table.write(position, pending);
      return;
    }
    this.#fold(now);
    this.#table.write({ ...position, foldedAt: now }, this.#waiting().encode());
  }

  /** The caller writes the position, and with it that nothing is pending. */
  #fold(now: number): void {
    const pending = this.#waiting();
    const definitions = this.#table.definitions();
    for (const { tile, start, state, bumps } of pending.entries()) {
      const definition = definitions.get(tile);
      for (const level of definition ? levelsOf(definition) : []) {
        const at = levelStart(level, start);
        if (at >= keptFrom(level, now)) this.#rows.add(LIVE_SIDE, tile, level, at, state, bumps[level] ?? 0);
      }
    }
    pending.clear();
    this.#rows.sweep([...definitions.keys()], now);
  }

  #waiting(): Pending {
    this.#pending ??= new Pending(this.#table.position().pending);
    return this.#pending;
  }

  #starts(tile: string, level: TileLevel, from: number, to: number): number[] {
    const starts = new Set(this.#rows.starts(LIVE_SIDE, tile, level, from, to));
    for (const start of this.#waiting().starts(tile, level)) if (start >= from && start < to) starts.add(start);
    return [...starts].sort((one, other) => one - other);
  }

  #row(tile: string, level: TileLevel, start: number): { version: number; state: TileState } {
    const row = this.#rows.read(LIVE_SIDE, tile, level, start);
    const pending = this.#waiting().of(tile, level, start);
    if (row && !pending) return row;
    const state = emptyTile();
    if (row) mergeTile(state, row.state);
    if (pending) mergeTile(state, pending.state);
    capTile(state);
    return { version: (row?.version ?? 1) + (pending?.bumps ?? 0), state };
  }

  #part(tile: string, level: TileLevel, start: number, caps?: TileCaps): TilePart {
    const { version, state: whole } = this.#row(tile, level, start);
    let state = whole;
    if (caps) {
      state = emptyTile();
      mergeTile(state, whole);
      capTile(state, caps);
    }
    return { start, version, approximate: state.approximate, values: [...state.values].map(valueOfCell) };
  }

  /** At the level of hours those of the clock, else the hour that ends with each minute. */
  #funnelParts({ id, steps }: TileDefinition, level: TileLevel, from: number, to: number): TilePart[] {
    const lengthMs = level * MINUTE_MS;
    const hourOf = (start: number) => funnelHour(level === 1 ? start : start + lengthMs - MINUTE_MS);
    const minutes = new Map<number, FunnelMinute & { readonly version: number }>();
    for (const start of this.#starts(id, 1, hourOf(from).from, to + lengthMs)) {
      minutes.set(start, { start, ...this.#row(id, 1, start) });
    }
    const parts: TilePart[] = [];
    for (let start = from; start < to; start += lengthMs) {
      const hour = hourOf(start);
      const inHour = [...minutes.values()].filter((minute) => minute.start >= hour.from && minute.start < hour.to);
      if (inHour.length === 0) continue;
      const version = inHour.reduce((sum, minute) => sum + minute.version - 1, 1);
      parts.push({ start, version, ...funnelCounts(steps!, inHour) });
    }
    return parts;
  }
}

/** Sketches are encoded where they are asked for. */
function valueOfCell([key, { events, denominator, micro, users }]: [string, Cell]): TileValue {
  return {
    key: key === OTHER ? [OTHER] : (JSON.parse(key) as string[]),
    events,
    ...(denominator !== 0 && { denominator }),
    ...(micro !== 0n && { micro }),
    ...(users && { users: encodeSketch(users) }),
  };
}
