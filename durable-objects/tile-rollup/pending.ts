/**
 * What came since rows were last written: a batch a second would otherwise write three rows a second for each tile. It is one
 * text in the object's own row, written with each batch; once a minute, or when it grows long, its sums go into the rows.
 */
import type { TileDelta } from "./api.ts";
import { levelStart, levelsOf, type TileDefinition, type TileLevel } from "./definition.ts";
import { isFinalStart } from "./merge.ts";
import {
  capTile,
  decodeTile,
  type EncodedState,
  emptyTile,
  encodeTile,
  mergeTile,
  type TileState,
} from "./tile-state.ts";

interface Entry {
  readonly tile: string;
  /** Of the tile's own grain, milliseconds. */
  readonly start: number;
  readonly state: TileState;
  /** By level: batches that changed it after it was final. */
  readonly bumps: Partial<Record<TileLevel, number>>;
  text: string | null;
}

type EncodedEntry = readonly [tile: string, start: number, state: EncodedState, bumps: Entry["bumps"]];

export class Pending {
  readonly #entries = new Map<string, Entry>();

  constructor(text = "[]") {
    for (const [tile, start, state, bumps] of JSON.parse(text) as EncodedEntry[]) {
      this.#entries.set(nameOf(tile, start), { tile, start, state: decodeTile(state), bumps, text: null });
    }
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  entries(): readonly Readonly<Entry>[] {
    return [...this.#entries.values()];
  }

  /** @param completeBefore what was final before the batch has another version after it */
  add(definition: TileDefinition, { tile, start }: TileDelta, more: TileState, completeBefore: number): void {
    const name = nameOf(tile, start);
    let entry = this.#entries.get(name);
    if (!entry) {
      entry = { tile, start, state: emptyTile(), bumps: {}, text: null };
      this.#entries.set(name, entry);
    }
    mergeTile(entry.state, more);
    capTile(entry.state);
    entry.text = null;
    for (const level of levelsOf(definition)) {
      if (!isFinalStart(level, levelStart(level, start), completeBefore)) continue;
      entry.bumps[level] = (entry.bumps[level] ?? 0) + 1;
    }
  }

  /** What is pending for one start of a level. */
  of(tile: string, level: TileLevel, start: number): { state: TileState; bumps: number } | null {
    let found: { state: TileState; bumps: number } | null = null;
    for (const entry of this.#entries.values()) {
      if (entry.tile !== tile || levelStart(level, entry.start) !== start) continue;
      found ??= { state: emptyTile(), bumps: 0 };
      mergeTile(found.state, entry.state);
      found.bumps += entry.bumps[level] ?? 0;
    }
    return found;
  }

  /** Starts of a level that something is pending for, in no order. */
  starts(tile: string, level: TileLevel): Set<number> {
    const starts = new Set<number>();
    for (const entry of this.#entries.values()) if (entry.tile === tile) starts.add(levelStart(level, entry.start));
    return starts;
  }

  drop(tile: string): void {
    for (const [name, entry] of this.#entries) if (entry.tile === tile) this.#entries.delete(name);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** As the constructor reads it. Only what changed is encoded anew. */
  encode(): string {
    const texts = Array.from(this.#entries.values(), (entry) => {
      const { tile, start, state, bumps } = entry;
      entry.text ??= JSON.stringify([tile, start, encodeTile(state), bumps] satisfies EncodedEntry);
      return entry.text;
    });
    return `[${texts.join(",")}]`;
  }
}

const nameOf = (tile: string, start: number): string => `${tile}/${start}`;
