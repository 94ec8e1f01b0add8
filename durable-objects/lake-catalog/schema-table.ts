/**
 * The columns that the lake got at run time, each with the snapshot that added it: a schema change is a commit of its
 * own, so that who reads a snapshot knows its columns, and an old snapshot keeps those that it had (promise 6).
 *
 * Promised: once `addColumn` has answered, every event that an append commits has been through the column. So an append
 * says with which version its rows were derived, and is refused ("schema") unless it is the newest:
 *
 *     a drain leases, a column is added, it appends   refused with the new list; the step is derived again, no row is lost
 *     it appends, a column is added                   the events before the POST's answer: null
 *     the answer to the append is lost                its cursor has moved: told "behind", and no conflict counts twice
 *     the POST's answer is lost, it comes again       "known": the same column, no second snapshot
 *     two POSTs of one name at once                   one adds; the other is told "known", or "taken" where they differ
 *     a compaction plans, a column is added           its inputs have no such column, neither has its output
 *     the same, and fresh files have it               not among its inputs: they came after it planned
 *     a rebuild's step reads, a column is added       its rows were in the lake before the POST: null, as in the live files
 *     a writer of before there were such columns      says no version; taken as it is, null: an old Worker beside new ones
 *
 * Conflicts are counted in the transaction that moves the cursor, so once, whatever is applied twice; a rebuild derives
 * events that have been counted, or that came before the column, and counts none.
 */
import { SCHEMA } from "../../r2-layout/limits.ts";
import {
  BASE_SCHEMA,
  FIRST_PROMOTED_ID,
  type LakeSchema,
  type NewPromotedColumn,
  type PromotedColumn,
  type PromotedType,
  promotedAt,
} from "../../r2-layout/promoted-columns.ts";
import { addColumns } from "../add-columns.ts";
import type { ColumnAnswer } from "./schema-api.ts";

type ColumnRow = {
  field_id: number;
  name: string;
  type: PromotedType;
  property: string;
  doc: string;
  schema_version: number;
  added_seq: number;
  added_at: number;
  identifier: number;
};

export class SchemaTable {
  readonly #sql: SqlStorage;
  #newest: LakeSchema | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`CREATE TABLE IF NOT EXISTS promoted_column (
      field_id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      type TEXT NOT NULL,
      property TEXT NOT NULL,
      doc TEXT NOT NULL,
      schema_version INTEGER NOT NULL,
      added_seq INTEGER NOT NULL,
      added_at INTEGER NOT NULL)`);
    addColumns(sql, "promoted_column", { identifier: "INTEGER NOT NULL DEFAULT 0" });
    sql.exec(`CREATE TABLE IF NOT EXISTS column_conflict (
      name TEXT PRIMARY KEY, conflicts INTEGER NOT NULL) WITHOUT ROWID`);
  }

  newest(): LakeSchema {
    this.#newest ??= this.#read();
    return this.#newest;
  }

  /** What the lake had at a snapshot: `added_seq` rises with the version. */
  at(seq: number): LakeSchema {
    const { promoted } = this.newest();
    const version = BASE_SCHEMA.version + promoted.filter(({ addedSeq }) => addedSeq <= seq).length;
    return { version, promoted: promotedAt(promoted, version) };
  }

  /**
   * Inside a transaction.
   * @param commit makes the snapshot that adds it. @returns its number.
   */
  add(column: NewPromotedColumn, commit: () => number, nowMs: number): ColumnAnswer {
    const { version, promoted } = this.newest();
    const known = promoted.find(({ name }) => name === column.name);
    if (known) return { kind: isSame(known, column) ? "known" : "taken", column: known };
    if (promoted.length >= SCHEMA.promotedColumns) return { kind: "full", limit: SCHEMA.promotedColumns };
    const { name, type, property, doc, identifier = false } = column;
    const added: PromotedColumn = {
      ...{ name, type, property, doc, ...(identifier && { identifier }) },
      fieldId: FIRST_PROMOTED_ID + promoted.length,
      schemaVersion: version + 1,
      addedSeq: commit(),
      addedAt: nowMs,
    };
    this.#sql.exec(
      "INSERT INTO promoted_column VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      added.fieldId,
      name,
      type,
      property,
      doc,
      added.schemaVersion,
      added.addedSeq,
      nowMs,
      Number(identifier),
    );
    // Read again when asked: the transaction around us may yet be rolled back.
    this.#newest = null;
    return { kind: "added", column: added };
  }

  /** Inside the transaction that moves the cursor. */
  count(conflicts: Readonly<Record<string, number>>): void {
    for (const [name, count] of Object.entries(conflicts)) {
      this.#sql.exec(
        `INSERT INTO column_conflict VALUES (?, ?)
         ON CONFLICT (name) DO UPDATE SET conflicts = conflicts + excluded.conflicts`,
        name,
        count,
      );
    }
  }

  /** Of every column, 0 where there was none. */
  conflicts(): Record<string, number> {
    const counted = new Map(
      this.#sql
        .exec<{ name: string; conflicts: number }>("SELECT name, conflicts FROM column_conflict")
        .toArray()
        .map(({ name, conflicts }) => [name, conflicts]),
    );
    return Object.fromEntries(this.newest().promoted.map(({ name }) => [name, counted.get(name) ?? 0]));
  }

  #read(): LakeSchema {
    const promoted = this.#sql
      .exec<ColumnRow>("SELECT * FROM promoted_column ORDER BY field_id")
      .toArray()
      .map(
        (row): PromotedColumn => ({
          name: row.name,
          type: row.type,
          property: row.property,
          doc: row.doc,
          ...(row.identifier === 1 && { identifier: true }),
          fieldId: row.field_id,
          schemaVersion: row.schema_version,
          addedSeq: row.added_seq,
          addedAt: row.added_at,
        }),
      );
    return { version: BASE_SCHEMA.version + promoted.length, promoted };
  }
}

const isSame = (known: PromotedColumn, { name, type, property, doc, identifier = false }: NewPromotedColumn): boolean =>
  known.name === name &&
  known.type === type &&
  known.property === property &&
  known.doc === doc &&
  (known.identifier ?? false) === identifier;
