/**
 * Sorted runs merged into one, in the order of row-order.ts, as Arrow batches. Rows are told by (run, row) until a batch is
 * full; then their columns are gathered. A batch has rows of one target only: an event name that has files of its own, or
 * all other names together.
 *
 * A run that is not quite sorted (rows that a rule changed stay where they were) costs order, not rows.
 */
import { type Data, makeData, RecordBatch, type Schema, Struct } from "apache-arrow";
import { gather, type Spans } from "./arrow-gather.ts";
import { LAKE } from "./limits.ts";
import { compareBytes, type Names, type SortedRun, type Window } from "./sorted-run.ts";

/** Microseconds, half open: rows outside are another merge's. */
export interface TimeRange {
  readonly from: number;
  readonly to: number;
}

export interface MergedBatch {
  readonly batch: RecordBatch;
  readonly rows: number;
  readonly wideBytes: number;
  /** About what they took in their files. */
  readonly packedBytes: number;
  /** Rows by event name; those without one do not count. */
  readonly names: ReadonlyMap<string, number>;
}

export class SortedMerge {
  readonly #schema: Schema;
  readonly #names: Names;
  readonly #own: ReadonlySet<string>;
  readonly #range: TimeRange | null;
  /** A heap: the run whose row is next comes first. */
  readonly #heap: SortedRun[] = [];
  /** Runs that have not begun. */
  #waiting: SortedRun[];

  /**
   * @param own event names whose rows make batches, and files, of their own.
   * @param range only rows of it are taken; null: all.
   */
  constructor(
    schema: Schema,
    names: Names,
    own: ReadonlySet<string>,
    runs: readonly SortedRun[],
    range: TimeRange | null = null,
  ) {
    this.#schema = schema;
    this.#names = names;
    this.#own = own;
    this.#range = range;
    this.#waiting = [...runs];
  }

  /** The name whose files the next row goes to, null for those of the others; undefined at the end. */
  async target(): Promise<string | null | undefined> {
    for (const run of this.#waiting.splice(0)) if (await this.#settle(run)) this.#push(run);
    const run = this.#heap[0];
    return run && this.#targetOf(run.window!.names[run.at]!);
  }

  /** The next rows of one target, `rowsMax` at most. To be called where `target` tells of one. */
  async next(rowsMax: number): Promise<MergedBatch> {
    const target = await this.target();
    const picked = new PickedRows(Math.min(rowsMax, LAKE.batchRows));
    const counts = new Map<number, number>();
    let name = -1;
    let named = 0;
    const count = () => {
      if (named > 0) counts.set(name, (counts.get(name) ?? 0) + named);
      named = 0;
    };
    fill: for (;;) {
      const run = this.#heap[0];
      if (!run) break;
      const window = run.window!;
      const second = this.#second();
      // A run keeps its turn for as long as its rows come before all others'.
      do {
        const number = window.names[run.at]!;
        if (number !== name) {
          if (this.#targetOf(number) !== target) break fill;
          count();
          name = number;
        }
        if (!picked.add(window, run.at)) break fill;
        named++;
        run.at++;
        this.#skip(run);
      } while (run.at < window.rows && (second === undefined || this.#before(run, second)));
      if (run.at === window.rows) {
        if (await this.#settle(run)) this.#sink();
        else this.#drop();
        if (picked.retire(window)) break;
      } else this.#sink();
    }
    count();
    counts.delete(0);
    const names = new Map([...counts].map(([number, rows]) => [this.#names.texts[number]!, rows]));
    const { rows, wideBytes, packedBytes } = picked;
    return { batch: picked.batch(this.#schema), rows, wideBytes, packedBytes, names };
  }

  #targetOf(name: number): string | null {
    const text = this.#names.texts[name]!;
    return name !== 0 && this.#own.has(text) ? text : null;
  }

  /** Steps over rows of other days, within the window. */
  #skip(run: SortedRun): void {
    if (this.#range === null) return;
    const { times, rows } = run.window!;
    while (run.at < rows && (times[run.at]! < this.#range.from || times[run.at]! >= this.#range.to)) run.at++;
  }

  /** Brings a run to its next row. @returns false at its end. */
  async #settle(run: SortedRun): Promise<boolean> {
    while (await run.load()) {
      this.#skip(run);
      if (run.at < run.window!.rows) return true;
    }
    return false;
  }

  #before(a: SortedRun, b: SortedRun): boolean {
    const [x, y] = [a.window!, b.window!];
    const [i, j] = [a.at, b.at];
    const [nameX, nameY] = [x.names[i]!, y.names[j]!];
    if (nameX !== nameY) {
      const [one, other] = [this.#names.bytes[nameX]!, this.#names.bytes[nameY]!];
      const order = compareBytes(one, 0, one.length, other, 0, other.length);
      if (order !== 0) return order < 0;
    }
    const order = compareBytes(
      x.identity[x.identityOf[i]!]!,
      x.identityFrom[i]!,
      x.identityTo[i]!,
      y.identity[y.identityOf[j]!]!,
      y.identityFrom[j]!,
      y.identityTo[j]!,
    );
    if (order !== 0) return order < 0;
    if (x.times[i] !== y.times[j]) return x.times[i]! < y.times[j]!;
    return a.index < b.index;
  }

  #second(): SortedRun | undefined {
    const [, left, right] = this.#heap;
    return left && right && this.#before(right, left) ? right : left;
  }

  #push(run: SortedRun): void {
    const heap = this.#heap;
    heap.push(run);
    for (let at = heap.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#before(heap[at]!, heap[parent]!)) return;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  #drop(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink();
  }

  /** The first run has another row: where it belongs now. */
  #sink(): void {
    const heap = this.#heap;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && this.#before(heap[child]!, heap[least]!)) least = child;
      }
      if (least === at) return;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}

/** Rows chosen for one batch, as spans of windows. */
class PickedRows {
  readonly #rowsMax: number;
  readonly #windows: Window[] = [];
  readonly #indexOf = new Map<Window, number>();
  readonly #source: Int32Array;
  readonly #start: Int32Array;
  readonly #length: Int32Array;
  #spans = 0;
  #retiredBytes = 0;
  rows = 0;
  wideBytes = 0;
  packedBytes = 0;

  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax;
    this.#source = new Int32Array(rowsMax);
    this.#start = new Int32Array(rowsMax);
    this.#length = new Int32Array(rowsMax);
  }

  /** @returns false where the batch is full, of rows or of their bytes. */
  add(window: Window, row: number): boolean {
    if (this.rows === this.#rowsMax) return false;
    if (this.rows > 0 && this.wideBytes + window.wide[row]! > LAKE.batchChars) return false;
    const last = this.#spans - 1;
    const isNeighbour =
      last >= 0 && this.#windows[this.#source[last]!] === window && this.#start[last]! + this.#length[last]! === row;
    if (isNeighbour) this.#length[last]!++;
    else this.#span(this.#indexOf.get(window) ?? this.#window(window), row);
    this.rows++;
    this.wideBytes += window.wide[row]!;
    this.packedBytes += window.packedRowBytes;
    return true;
  }

  /** A window that its run is done with lives on for the batch. @returns true where there is enough of that. */
  retire(window: Window): boolean {
    if (this.#indexOf.has(window)) this.#retiredBytes += window.bytes;
    return this.#retiredBytes > LAKE.batchWindowBytes;
  }

  #window(window: Window): number {
    const index = this.#windows.push(window) - 1;
    this.#indexOf.set(window, index);
    return index;
  }

  #span(source: number, row: number): void {
    this.#source[this.#spans] = source;
    this.#start[this.#spans] = row;
    this.#length[this.#spans++] = 1;
  }

  batch(schema: Schema): RecordBatch {
    const spans: Spans = {
      count: this.#spans,
      source: this.#source,
      start: this.#start,
      length: this.#length,
      rows: this.rows,
    };
    const children = schema.fields.map(
      ({ type }, at): Data =>
        gather(
          type,
          this.#windows.map(({ columns }) => columns[at]!),
          spans,
        ),
    );
    const struct = makeData({ type: new Struct(schema.fields), length: this.rows, nullCount: 0, children });
    return new RecordBatch(schema, struct);
  }
}
