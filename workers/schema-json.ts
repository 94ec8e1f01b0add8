/** The lake's schema as the API says it, to the console, too. */
import type { SchemaStatus } from "../durable-objects/lake-catalog/schema-api.ts";
import { BASE_SCHEMA_VERSION, TABLES, type TableName } from "../r2-layout/event-columns.ts";
import { type PromotedColumn, tableColumns } from "../r2-layout/promoted-columns.ts";
import { SQL_TYPES } from "../r2-layout/sql-types.ts";

export interface ColumnJson {
  readonly name: string;
  /** DuckDB's name. */
  readonly type: string;
  readonly nullable: boolean;
  readonly doc: string;
  readonly field_id: number;
  /** Null for the columns that every lake has. */
  readonly since: { readonly version: number; readonly snapshot: number; readonly at: string } | null;
  /** Of a promoted column: where its values come from, and how many did not convert. Null for others. */
  readonly property: string | null;
  readonly conflicts: number | null;
  /** Of a promoted column: whether its values tell people apart, so that no bounds of them are kept. Null for others. */
  readonly identifier: boolean | null;
}

export interface SchemaJson {
  readonly version: number;
  readonly snapshot: number;
  readonly tables: Readonly<Record<TableName, { readonly version: number; readonly columns: readonly ColumnJson[] }>>;
}

export function schemaJson({ version, snapshot, promoted, conflicts }: SchemaStatus): SchemaJson {
  const columnsOf = (table: TableName) => {
    const of = new Map(promoted.map((column) => [column.name, column]));
    return Object.entries(tableColumns(table, promoted)).map(([name, { id, type, required, doc }]): ColumnJson => {
      const column = Object.hasOwn(TABLES[table], name) ? undefined : of.get(name);
      const basics = { name, type: SQL_TYPES[type], nullable: !required, doc, field_id: id };
      return { ...basics, ...originOf(column, conflicts) };
    });
  };
  return {
    version,
    snapshot,
    tables: {
      events: { version, columns: columnsOf("events") },
      quarantine: { version: BASE_SCHEMA_VERSION, columns: columnsOf("quarantine") },
    },
  };
}

function originOf(
  column: PromotedColumn | undefined,
  conflicts: SchemaStatus["conflicts"],
): Pick<ColumnJson, "since" | "property" | "conflicts" | "identifier"> {
  if (!column) return { since: null, property: null, conflicts: null, identifier: null };
  const { name, property, identifier = false, schemaVersion: version, addedSeq: snapshot, addedAt } = column;
  return {
    since: { version, snapshot, at: new Date(addedAt).toISOString() },
    property,
    conflicts: conflicts[name] ?? 0,
    identifier,
  };
}
