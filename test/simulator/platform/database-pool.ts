/**
 * Databases of one class of objects, used again from run to run with their tables and prepared statements: making them
 * was two thirds of a run's time. A run must not see what another left, so every database it gets is in one and the same
 * state: the tables that the class's constructor makes, and no row.
 */
import { DatabaseSync } from "node:sqlite";
import { Database } from "./sql-storage.ts";

/** Makes an object on an empty database, for the tables' sake. */
export type MakeTables = (database: Database) => void;

export class DatabasePool {
  readonly #makeTables: MakeTables;
  readonly #free: Database[] = [];
  /** Tables and indexes by name, as SQL. */
  #base: ReadonlyMap<string, string> | null = null;

  constructor(makeTables: MakeTables) {
    this.#makeTables = makeTables;
  }

  take(): Database {
    return this.#free.pop() ?? this.#make();
  }

  /** @param database not in a transaction */
  give(database: Database): void {
    if (this.#restore(database)) this.#free.push(database);
    else database.raw.close();
  }

  #make(): Database {
    const database = new Database(new DatabaseSync(":memory:"));
    this.#makeTables(database);
    this.#base ??= schemaOf(database);
    this.#restore(database);
    return database;
  }

  /** @returns false where a table of the base is gone or another. */
  #restore(database: Database): boolean {
    const schema = schemaOf(database);
    for (const [name, sql] of this.#base!) if (schema.get(name) !== sql) return false;
    for (const [name, sql] of schema) {
      if (!this.#base!.has(name)) {
        if (/^create\s+table/i.test(sql)) database.raw.exec(`DROP TABLE "${name}"`);
      } else if (/^create\s+table/i.test(sql)) database.run(`DELETE FROM "${name}"`);
    }
    if (hasSequences(database)) database.run("DELETE FROM sqlite_sequence");
    return true;
  }
}

function schemaOf(database: Database): Map<string, string> {
  const schema = new Map<string, string>();
  const prepared = database.prepare("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL");
  if (prepared === "many") return schema;
  for (const [name, sql] of prepared.statement.all() as unknown as [string, string][]) {
    if (!name.startsWith("sqlite_")) schema.set(name, sql);
  }
  return schema;
}

function hasSequences(database: Database): boolean {
  const prepared = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'");
  return prepared !== "many" && prepared.statement.all().length > 0;
}
