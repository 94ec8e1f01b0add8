/**
 * An object's `storage.sql` over node:sqlite. The same results as workerd's for what is used here, shown by the contract
 * suite; a cursor is read whole at once, where workerd reads as the caller iterates.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";

export type SqlValue = string | number | null | ArrayBuffer;
type Row = Record<string, SqlValue>;
/** As the platform has it. */
const BOUND_PARAMETERS = 100;

type Stored = SqlValue | Uint8Array<ArrayBuffer>;

interface Prepared {
  readonly statement: StatementSync;
  columns: readonly string[];
  /** Compiled for its columns: each row of a statement has the same shape. */
  rowOf: (values: readonly Stored[]) => Row;
  readonly reads: boolean;
}

/** A database and what was prepared for it, which costs more than to run it. */
export class Database {
  readonly raw: DatabaseSync;
  readonly #prepared = new Map<string, Prepared | "many">();

  constructor(raw: DatabaseSync) {
    this.raw = raw;
  }

  /** @returns "many" for several statements in one text. */
  prepare(query: string): Prepared | "many" {
    let prepared = this.#prepared.get(query);
    if (prepared === undefined) {
      if (/;\s*\S/.test(query)) prepared = "many";
      else {
        const statement = this.raw.prepare(query);
        statement.setReturnArrays(true);
        const columns = columnsOf(statement);
        prepared = { statement, columns, rowOf: rowMaker(columns), reads: /^\s*select/i.test(query) };
      }
      this.#prepared.set(query, prepared);
    }
    return prepared;
  }

  /** For what has neither parameters nor rows. */
  run(query: string): void {
    (this.prepare(query) as Prepared).statement.run();
  }
}

const columnsOf = (statement: StatementSync) => statement.columns().map(({ name }) => name);

function rowMaker(columns: readonly string[]): Prepared["rowOf"] {
  const members = columns.map((name, i) => `[${JSON.stringify(name)}]: valueOf(values[${i}])`);
  return new Function("valueOf", `return (values) => ({ ${members.join(", ")} });`)(sqlValue) as Prepared["rowOf"];
}

const sqlValue = (value: Stored): SqlValue => (ArrayBuffer.isView(value) ? copied(value) : value);

export class SimulatedSql {
  readonly #database: Database;
  readonly #wrote: () => void;

  /** @param wrote called before each statement that may write: it may throw. */
  constructor(database: Database, wrote: () => void) {
    this.#database = database;
    this.#wrote = wrote;
  }

  get databaseSize(): number {
    const page = (name: string) => Object.values(this.#database.raw.prepare(`PRAGMA ${name}`).get()!)[0] as number;
    return page("page_count") * page("page_size");
  }

  exec(query: string, ...bindings: unknown[]): SimulatedCursor {
    if (bindings.length > BOUND_PARAMETERS) throw new Error(`too many SQL variables: ${bindings.length}`);
    const prepared = this.#database.prepare(query);
    if (prepared === "many") {
      if (bindings.length > 0) throw new Error("several statements with parameters are not simulated");
      this.#wrote();
      this.#database.raw.exec(query);
      return new SimulatedCursor([], [], 0);
    }
    if (!prepared.reads) this.#wrote();
    const { statement } = prepared;
    const values = bindings as (string | number | null | Uint8Array)[];
    for (let i = 0; i < values.length; i++) values[i] = bound(values[i]);
    if (prepared.columns.length === 0) return new SimulatedCursor([], [], Number(statement.run(...values).changes));
    const found = statement.all(...values) as unknown as Stored[][];
    if (found.length > 0 && found[0]!.length !== prepared.columns.length) {
      prepared.columns = columnsOf(statement);
      prepared.rowOf = rowMaker(prepared.columns);
    }
    const { columns, rowOf } = prepared;
    const rows = found.map(rowOf);
    return new SimulatedCursor(rows, columns, prepared.reads ? 0 : rows.length);
  }
}

export class SimulatedCursor {
  readonly columnNames: readonly string[];
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly #rows: Row[];
  #at = 0;

  constructor(rows: Row[], columnNames: readonly string[], rowsWritten: number) {
    this.#rows = rows;
    this.columnNames = columnNames;
    this.rowsRead = rows.length;
    this.rowsWritten = rowsWritten;
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
    if (rows.length === 1) return rows[0]!;
    const found = rows.length === 0 ? "no results" : "multiple results";
    throw new Error(`Expected exactly one result from SQL query, but got ${found}`);
  }

  *raw(): IterableIterator<SqlValue[]> {
    for (const row of this.toArray()) yield Object.values(row);
  }

  *[Symbol.iterator](): IterableIterator<Row> {
    for (let row = this.next(); !row.done; row = this.next()) yield row.value;
  }
}

/** The bytes belong to the statement. */
function copied({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

function bound(value: unknown): string | number | null | Uint8Array {
  if (value === null || typeof value === "string" || typeof value === "number") return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength);
  throw new TypeError(`a ${typeof value} cannot be bound to SQL`);
}
