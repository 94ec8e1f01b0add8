/**
 * The first of rows that come in parts, each in order: at most so many, and at most so many bytes of them as JSON, but one
 * in any case. Where a part says that it ends early, what other parts have behind its end is not told: rows between may be
 * missing.
 */
export interface RowsInOrder<Row> {
  readonly rows: readonly Row[];
  /** Whether these are all that there are. */
  readonly isWhole: boolean;
}

export class FirstRows<Row extends object> implements RowsInOrder<Row> {
  readonly #compare: (a: Row, b: Row) => number;
  readonly #limit: number;
  readonly #bytesMax: number;
  readonly #sizes = new WeakMap<Row, number>();
  #rows: Row[] = [];
  /** Rows are known up to this one. */
  #end: Row | null = null;

  constructor(compare: (a: Row, b: Row) => number, limit: number, bytesMax: number) {
    this.#compare = compare;
    this.#limit = limit;
    this.#bytesMax = bytesMax;
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  get isWhole(): boolean {
    return this.#end === null;
  }

  add({ rows, isWhole }: RowsInOrder<Row>): void {
    const last = rows.at(-1);
    if (!isWhole && last && (this.#end === null || this.#compare(last, this.#end) < 0)) this.#end = last;
    const sorted = [...this.#rows, ...rows].sort(this.#compare);
    this.#rows = [];
    let bytes = 0;
    for (const row of sorted) {
      if (this.#end !== null && this.#compare(row, this.#end) > 0) return;
      bytes += this.#sizeOf(row);
      const isFull = this.#rows.length === this.#limit || bytes > this.#bytesMax;
      if (isFull && this.#rows.length > 0) {
        this.#end = this.#rows.at(-1)!;
        return;
      }
      this.#rows.push(row);
    }
  }

  #sizeOf(row: Row): number {
    let size = this.#sizes.get(row);
    if (size === undefined) {
      size = JSON.stringify(row).length;
      this.#sizes.set(row, size);
    }
    return size;
  }
}
