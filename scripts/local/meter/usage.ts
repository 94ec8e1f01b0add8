/**
 * Counts what one Worker of a local run, and its objects, use of what the platform sells: calls, rows, bytes, time. Only
 * for benchmarks that price a run (EVENTPILE_METER); production bundles contain none of it.
 */

/** Sums by name since the last reset. Bytes of databases, and how many there are, are those of now. */
export interface UsageReport {
  readonly worker: string;
  readonly sums: Readonly<Record<string, number>>;
}

/** What SQLite says of a statement that has run. */
export interface Rows {
  readonly rowsRead: number;
  readonly rowsWritten: number;
}

class Usage {
  #worker: string | null = null;
  readonly #sums = new Map<string, number>();
  readonly #databases = new Map<string, Map<string, number>>();
  #statements: { readonly className: string; readonly rows: Rows }[] = [];

  get isOn(): boolean {
    return this.#worker !== null;
  }

  begin(worker: string): void {
    this.#worker ??= worker;
  }

  add(name: string, amount = 1): void {
    if (this.isOn) this.#sums.set(name, (this.#sums.get(name) ?? 0) + amount);
  }

  /** A statement's rows are known once it has been read to its end: they are asked for when a call of an object ends. */
  statement(className: string, rows: Rows): void {
    this.#statements.push({ className, rows });
  }

  takeRows(): void {
    for (const { className, rows } of this.#statements) {
      this.add(`${className} rows read`, rows.rowsRead);
      this.add(`${className} rows written`, rows.rowsWritten);
    }
    this.#statements = [];
  }

  database(className: string, object: string, bytes: number): void {
    const known = this.#databases.get(className);
    if (known) known.set(object, bytes);
    else this.#databases.set(className, new Map([[object, bytes]]));
  }

  report(): UsageReport {
    const databases = [...this.#databases].flatMap(([className, sizes]) => [
      [`${className} objects`, sizes.size] as const,
      [`${className} database bytes`, [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0)] as const,
    ]);
    return { worker: this.#worker ?? "", sums: Object.fromEntries([...this.#sums, ...databases]) };
  }

  reset(): void {
    this.#sums.clear();
    this.#statements = [];
  }
}

/** One for each isolate. */
export const usage = new Usage();
