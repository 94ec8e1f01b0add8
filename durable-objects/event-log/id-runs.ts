/**
 * Sorted runs of ids in SQLite: the dedup window's long memory. A run is rows of at most `LOG.idsPerRow` packed ids, keyed
 * by (run, first id), beside a Bloom filter in small rows. A look-up asks the filters, newest run first, and reads a row of
 * ids only where a filter says maybe. The newest runs' filters are in memory up to a budget; older ones are read row by
 * row, in order, because sorted ids meet a filter's blocks in order.
 *
 * Runs merge in slices of the hash space, a slice a transaction, so that no commit waits long and an eviction between two
 * slices loses nothing:
 *
 *     building   the output: asked by nobody yet; `slice` says how far it is
 *     live       asked; the inputs stay live until the transaction that makes the output live drops them
 *     dropped    merged or expired: asked by nobody, its rows are deleted a few at a time
 */
import { LOG } from "../../r2-layout/limits.ts";
import { BLOCK_BYTES, blockOf, blocksFor, mayHold, setBits } from "./bloom.ts";
import { compareIds, ID_BYTES, ID_WORDS, sortedBytesHold, sortIds, toBytes, toWords } from "./packed-ids.ts";

/** Blocks in one row of a filter: 8 kB, little to read for one id and few rows to write for a run. */
const BLOCKS_PER_ROW = 128;
/** Ids that one slice of a merge holds in memory: 4 MB with its copies, some 20 ms. */
const IDS_PER_SLICE = 131_072;
/** Rows of a dropped run deleted in one step. */
const ROWS_PER_DELETE = 256;

export interface IdRun {
  readonly run: number;
  /** Milliseconds: when its oldest and its newest id were committed. */
  readonly fromAt: number;
  readonly toAt: number;
  readonly ids: number;
}

type RunRow = {
  run: number;
  from_at: number;
  to_at: number;
  ids: number;
  blocks: number;
  state: "building" | "live" | "dropped";
  inputs: string;
  slice: number;
};

interface LiveRun extends IdRun {
  readonly blocks: number;
  /** The whole filter; null where it is not in memory. */
  bits: Uint8Array | null;
}

export class IdRuns {
  readonly #sql: SqlStorage;
  readonly #memoryBytes: number;
  /** Newest first. A cache of the rows, read again once `#changed`. */
  #live: LiveRun[] = [];
  #changed = true;

  /** @param memoryBytes filters held in memory at most. */
  constructor(sql: SqlStorage, memoryBytes: number) {
    this.#sql = sql;
    this.#memoryBytes = memoryBytes;
    sql.exec(`CREATE TABLE IF NOT EXISTS runs (
      run INTEGER PRIMARY KEY, from_at INTEGER NOT NULL, to_at INTEGER NOT NULL, ids INTEGER NOT NULL,
      blocks INTEGER NOT NULL, state TEXT NOT NULL, inputs TEXT NOT NULL, slice INTEGER NOT NULL)`);
    // Without row ids: an index beside the table would double the rows written.
    sql.exec(`CREATE TABLE IF NOT EXISTS run_ids (
      run INTEGER NOT NULL, first BLOB NOT NULL, ids BLOB NOT NULL, PRIMARY KEY (run, first)) WITHOUT ROWID`);
    sql.exec(`CREATE TABLE IF NOT EXISTS run_filters (
      run INTEGER NOT NULL, part INTEGER NOT NULL, bits BLOB NOT NULL, PRIMARY KEY (run, part)) WITHOUT ROWID`);
  }

  /** Live runs, oldest first. */
  runs(): IdRun[] {
    return this.#runs().toReversed();
  }

  /** Reads the list of runs again: after a transaction that was rolled back. */
  forget(): void {
    this.#live = []; // The filters too: a run's number may have been given to a run that never was.
    this.#changed = true;
  }

  get idCount(): number {
    return this.#runs().reduce((sum, { ids }) => sum + ids, 0);
  }

  get bytes(): number {
    return this.#runs().reduce((sum, { bits }) => sum + (bits?.byteLength ?? 0), 0);
  }

  /** Writes ids as a new live run. To be called in a transaction. @param words no id twice. */
  add(words: Uint32Array, fromAt: number, toAt: number): void {
    const ids = words.length / ID_WORDS;
    const run = this.#insertRun(fromAt, toAt, ids, "live", []);
    this.#writeSorted(run, sortIds(words), blocksFor(ids));
    this.#changed = true;
  }

  /** Sets `owned[i]` to 1 for each id that a live run holds; ids already marked are passed over. @param found which run. */
  mark(words: Uint32Array, owned: Uint8Array, found?: (i: number, run: IdRun) => void): void {
    const live = this.#runs();
    if (live.length === 0) return;
    let order = ascending(words, owned);
    for (const run of live) {
      if (order.length === 0) return;
      const candidates = run.bits ? this.#mayHold(run, run.bits, words, order) : this.#mayHoldStored(run, words, order);
      if (candidates.length === 0) continue;
      this.#markExact(run.run, words, candidates, owned);
      if (found) for (const i of candidates) if (owned[i] === 1) found(i, run);
      order = order.filter((i) => owned[i] === 0);
    }
  }

  /** Ids of live runs with an id of this time (ms, half open), whose first word lies in from..to (inclusive, exclusive). */
  idsAround(fromMs: number, toMs: number, from: number, to: number): Uint32Array[] {
    const runs = this.#runs().filter((run) => run.fromAt < toMs && run.toAt >= fromMs);
    return runs.flatMap(({ run }) => this.#readRange(run, from, to));
  }

  /** Starts to merge live runs into one. To be called in a transaction. */
  startMerge(inputs: readonly IdRun[]): void {
    const fromAt = Math.min(...inputs.map((run) => run.fromAt));
    const toAt = Math.max(...inputs.map((run) => run.toAt));
    const ids = inputs.reduce((sum, run) => sum + run.ids, 0);
    const numbers = inputs.map(({ run }) => run);
    this.#insertRun(fromAt, toAt, ids, "building", numbers);
  }

  /** Marks runs for deletion; from now on nobody asks them. To be called in a transaction. */
  drop(runs: readonly number[]): void {
    for (const run of runs) this.#sql.exec("UPDATE runs SET state = 'dropped' WHERE run = ?", run);
    this.#changed = true;
  }

  get merging(): boolean {
    return this.#rowIn("building") !== undefined;
  }

  get dropping(): boolean {
    return this.#rowIn("dropped") !== undefined;
  }

  /** One slice of the merge under way. To be called in a transaction. @param idsPerSlice for tests. */
  mergeStep(idsPerSlice = IDS_PER_SLICE): void {
    const building = this.#rowIn("building");
    if (!building) return;
    const inputs = JSON.parse(building.inputs) as number[];
    const slices = Math.max(1, Math.ceil(building.ids / idsPerSlice));
    const from = Math.floor((building.slice * 2 ** 32) / slices);
    const to = building.slice + 1 === slices ? 2 ** 32 : Math.floor(((building.slice + 1) * 2 ** 32) / slices);
    const parts = inputs.flatMap((run) => this.#readRange(run, from, to));
    const gathered = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      gathered.set(part, at);
      at += part.length;
    }
    this.#writeSorted(building.run, sortIds(gathered), building.blocks);
    if (building.slice + 1 < slices) {
      this.#sql.exec("UPDATE runs SET slice = slice + 1 WHERE run = ?", building.run);
      return;
    }
    this.#sql.exec("UPDATE runs SET state = 'live', inputs = '[]' WHERE run = ?", building.run);
    this.drop(inputs);
  }

  /** Deletes some rows of a dropped run. To be called in a transaction. */
  dropStep(): void {
    const dropped = this.#rowIn("dropped");
    if (!dropped) return;
    let deleted = 0;
    for (const [table, key] of [
      ["run_ids", "first"],
      ["run_filters", "part"],
    ] as const) {
      deleted += this.#sql.exec(
        `DELETE FROM ${table} WHERE run = ?1 AND ${key} IN (SELECT ${key} FROM ${table} WHERE run = ?1 LIMIT ?2)`,
        dropped.run,
        ROWS_PER_DELETE,
      ).rowsWritten;
    }
    if (deleted === 0) this.#sql.exec("DELETE FROM runs WHERE run = ?", dropped.run);
  }

  #runs(): LiveRun[] {
    if (!this.#changed) return this.#live;
    const held = new Map(this.#live.map(({ run, bits }) => [run, bits]));
    const rows = this.#sql
      .exec<RunRow>("SELECT * FROM runs WHERE state = 'live' ORDER BY to_at DESC, run DESC")
      .toArray();
    let room = this.#memoryBytes;
    this.#live = rows.map((row) => {
      const bytes = row.blocks * BLOCK_BYTES;
      const fits = bytes <= room;
      room = fits ? room - bytes : 0; // Once one does not fit, no older one either: memory goes to the newest.
      const bits = fits ? (held.get(row.run) ?? this.#readFilter(row)) : null;
      return { run: row.run, fromAt: row.from_at, toAt: row.to_at, ids: row.ids, blocks: row.blocks, bits };
    });
    this.#changed = false;
    return this.#live;
  }

  #readFilter(row: RunRow): Uint8Array {
    const bits = new Uint8Array(row.blocks * BLOCK_BYTES);
    const parts = this.#sql.exec<{ part: number; bits: ArrayBuffer }>(
      "SELECT part, bits FROM run_filters WHERE run = ?",
      row.run,
    );
    for (const part of parts) bits.set(new Uint8Array(part.bits), part.part * BLOCKS_PER_ROW * BLOCK_BYTES);
    return bits;
  }

  #mayHold(run: LiveRun, bits: Uint8Array, words: Uint32Array, order: readonly number[]): number[] {
    return order.filter((i) => mayHold(bits, blockOf(words, i, run.blocks) * BLOCK_BYTES, words, i));
  }

  #mayHoldStored(run: LiveRun, words: Uint32Array, order: readonly number[]): number[] {
    let part = -1;
    let bits = new Uint8Array();
    return order.filter((i) => {
      const block = blockOf(words, i, run.blocks);
      if (Math.floor(block / BLOCKS_PER_ROW) !== part) {
        part = Math.floor(block / BLOCKS_PER_ROW);
        bits = this.#filterPart(run.run, part) ?? new Uint8Array();
      }
      return bits.length > 0 && mayHold(bits, (block % BLOCKS_PER_ROW) * BLOCK_BYTES, words, i);
    });
  }

  #filterPart(run: number, part: number): Uint8Array<ArrayBuffer> | null {
    const row = this.#sql
      .exec<{ bits: ArrayBuffer }>("SELECT bits FROM run_filters WHERE run = ? AND part = ?", run, part)
      .toArray()[0];
    return row ? new Uint8Array(row.bits) : null;
  }

  /** @param candidates ascending by first word, so that a row of ids is read about once. */
  #markExact(run: number, words: Uint32Array, candidates: readonly number[], owned: Uint8Array): void {
    let ids = new Uint8Array();
    let bounds: Uint32Array | null = null;
    for (const i of candidates) {
      if (!bounds || compareIds(words, i, bounds, 0) < 0 || compareIds(words, i, bounds, 1) > 0) {
        const row = this.#sql
          .exec<{ ids: ArrayBuffer }>(
            "SELECT ids FROM run_ids WHERE run = ? AND first <= ? ORDER BY first DESC LIMIT 1",
            run,
            idBytes(words, i),
          )
          .toArray()[0];
        if (!row) continue;
        ids = new Uint8Array(row.ids);
        bounds = new Uint32Array(2 * ID_WORDS);
        bounds.set(toWords(ids.subarray(0, ID_BYTES)), 0);
        bounds.set(toWords(ids.subarray(ids.byteLength - ID_BYTES)), ID_WORDS);
      }
      if (sortedBytesHold(ids, words, i)) owned[i] = 1;
    }
  }

  /** Ids of a run whose first word lies in from..to (inclusive, exclusive). */
  #readRange(run: number, from: number, to: number): Uint32Array[] {
    const low = firstWord(from);
    const start = this.#sql
      .exec<{ first: ArrayBuffer }>(
        "SELECT first FROM run_ids WHERE run = ? AND first <= ? ORDER BY first DESC LIMIT 1",
        run,
        low,
      )
      .toArray()[0]?.first;
    const rows = this.#sql.exec<{ ids: ArrayBuffer }>(
      "SELECT ids FROM run_ids WHERE run = ? AND first >= ? ORDER BY first",
      run,
      start ?? low,
    );
    const parts: Uint32Array[] = [];
    for (const row of rows) {
      const words = toWords(new Uint8Array(row.ids));
      if (words[0]! >= to) break;
      parts.push(words.subarray(lowerBound(words, from), lowerBound(words, to)));
    }
    return parts;
  }

  #insertRun(fromAt: number, toAt: number, ids: number, state: RunRow["state"], inputs: readonly number[]): number {
    return this.#sql
      .exec<{ run: number }>(
        "INSERT INTO runs (from_at, to_at, ids, blocks, state, inputs, slice) VALUES (?, ?, ?, ?, ?, ?, 0) RETURNING run",
        fromAt,
        toAt,
        ids,
        blocksFor(ids),
        state,
        JSON.stringify(inputs),
      )
      .one().run;
  }

  /** Adds sorted ids, all above those the run has, as rows of ids and of the filter. */
  #writeSorted(run: number, sorted: Uint32Array, blocks: number): void {
    const count = sorted.length / ID_WORDS;
    const packed = toBytes(sorted);
    for (let i = 0; i < count; i += LOG.idsPerRow) {
      const row = packed.subarray(i * ID_BYTES, Math.min(count, i + LOG.idsPerRow) * ID_BYTES);
      this.#sql.exec("INSERT INTO run_ids VALUES (?, ?, ?)", run, row.subarray(0, ID_BYTES), row);
    }
    for (let i = 0; i < count; ) {
      const part = Math.floor(blockOf(sorted, i, blocks) / BLOCKS_PER_ROW);
      const size = Math.min(BLOCKS_PER_ROW, blocks - part * BLOCKS_PER_ROW) * BLOCK_BYTES;
      const bits = this.#filterPart(run, part) ?? new Uint8Array(size); // The slice before may have begun it.
      for (; i < count; i++) {
        const block = blockOf(sorted, i, blocks);
        if (block >= (part + 1) * BLOCKS_PER_ROW) break;
        setBits(bits, (block % BLOCKS_PER_ROW) * BLOCK_BYTES, sorted, i);
      }
      this.#sql.exec("INSERT OR REPLACE INTO run_filters VALUES (?, ?, ?)", run, part, bits);
    }
  }

  #rowIn(state: RunRow["state"]): RunRow | undefined {
    return this.#sql.exec<RunRow>("SELECT * FROM runs WHERE state = ? ORDER BY run LIMIT 1", state).toArray()[0];
  }
}

/** Indexes of the ids not yet marked, ascending by first word: two numbers packed into one double sort natively. */
function ascending(words: Uint32Array, owned: Uint8Array): number[] {
  const keys = new Float64Array(owned.length);
  let count = 0;
  for (let i = 0; i < owned.length; i++) {
    if (owned[i] === 0) keys[count++] = words[i * ID_WORDS]! * 2 ** 20 + i;
  }
  return Array.from(keys.subarray(0, count).sort(), (key) => key % 2 ** 20);
}

/** Index into `words` of the first id whose first word is at least `value`. */
function lowerBound(words: Uint32Array, value: number): number {
  let low = 0;
  let high = words.length / ID_WORDS;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (words[middle * ID_WORDS]! < value) low = middle + 1;
    else high = middle;
  }
  return low * ID_WORDS;
}

const idBytes = (words: Uint32Array, i: number): Uint8Array =>
  toBytes(words.subarray(i * ID_WORDS, (i + 1) * ID_WORDS));

/** The least id with this first word. */
const firstWord = (value: number): Uint8Array => toBytes(Uint32Array.of(value, 0, 0, 0));
