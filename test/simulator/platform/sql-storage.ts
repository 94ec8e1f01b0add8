/**
 * An object's `storage.sql` over node:sqlite. The same results as workerd's for what is used here, shown by the contract
 * suite; a cursor is read whole at once, where workerd reads as the caller iterates.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";

type Value = string | number | null | ArrayBuffer;
type Row = Record<string, Value>;
/** As the platform has it. */
const BOUND_PARAMETERS = 100;

interface Prepared {
  readonly statement: StatementSync;
  readonly gives: boolean;
}

export class SimulatedSql {
  readonly #database: DatabaseSync;
  readonly #wrote: () => void;
  readonly #prepared = new Map<string, Prepared>();

  /** @param wrote called before each statement that may write. */
  constructor(database: DatabaseSync, wrote: () => void) {
    this.#database = database;
    this.#wrote = wrote;
  }

  get databaseSize(): number {
    const page = (name: string) => Object.values(this.#database.prepare(`PRAGMA ${name}`).get()!)[0] as number;
    return page("page_count") * page("page_size");
  }

  exec(query: string, ...bindings: unknown[]): SimulatedCursor {
    if (bindings.length > BOUND_PARAMETERS) throw new Error(`too many SQL variables: ${bindings.length}`);
    if (!/^\s*select/i.test(query)) this.#wrote();
    if (bindings.length === 0 && /;\s*\S/.test(query)) {
      this.#database.exec(query);
      return new SimulatedCursor([], [], 0);
    }
    const { statement, gives } = this.#prepare(query);
    const values = bindings.map(bound);
    if (!gives) return new SimulatedCursor([], [], Number(statement.run(...values).changes));
    const rows = statement.all(...values) as Row[];
    for (const row of rows) for (const name in row) if (ArrayBuffer.isView(row[name])) row[name] = buffer(row[name]);
    return new SimulatedCursor(rows, statement, rows.length);
  }

  #prepare(query: string): Prepared {
    let prepared = this.#prepared.get(query);
    if (!prepared) {
      const statement = this.#database.prepare(query);
      prepared = { statement, gives: statement.columns().length > 0 };
      this.#prepared.set(query, prepared);
    }
    return prepared;
  }
}

export class SimulatedCursor {
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly #rows: Row[];
  readonly #columns: StatementSync | readonly string[];
  #at = 0;

  constructor(rows: Row[], columns: StatementSync | readonly string[], rowsWritten: number) {
    this.#rows = rows;
    this.#columns = columns;
    this.rowsRead = rows.length;
    this.rowsWritten = rowsWritten;
  }

  get columnNames(): string[] {
    const columns = this.#columns;
    return "columns" in columns ? columns.columns().map(({ name }) => name) : [...columns];
  }

  next(): { done: false; value: Row } | { done: true; value?: undefined } {
    const value = this.#rows[this.#at++];
    return value ? { done: false, value } : { done: true };
  }

  toArray(): Row[] {
    const rest = this.#at === 0 ? this.#rows : this.#rows.slice(this.#at);
    this.#at = this.#rows.length;
    return rest;
  }

  one(): Row {
    const rows = this.toArray();
    if (rows.length !== 1) throw new Error(`Expected exactly one result from SQL query, but got ${describe(rows)}`);
    return rows[0]!;
  }

  *raw(): IterableIterator<Value[]> {
    for (const row of this.toArray()) yield Object.values(row);
  }

  *[Symbol.iterator](): IterableIterator<Row> {
    for (let row = this.next(); !row.done; row = this.next()) yield row.value;
  }
}

const describe = (rows: readonly Row[]) => (rows.length === 0 ? "no results" : "multiple results");

/** A copy: the bytes belong to the statement. */
function buffer(value: unknown): ArrayBuffer {
  const { buffer: shared, byteOffset, byteLength } = value as Uint8Array<ArrayBuffer>;
  return shared.slice(byteOffset, byteOffset + byteLength);
}

function bound(value: unknown): string | number | null | Uint8Array {
  if (value === null || typeof value === "string" || typeof value === "number") return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength);
  throw new TypeError(`a ${typeof value} cannot be bound to SQL`);
}
