/**
 * Columns promoted from properties: typed, nullable, added to a lake at run time and there for good, as those of
 * event-columns.ts are. The LakeCatalog keeps them; whoever writes, reads, describes or plans over data files is handed
 * the list as of its version and takes the columns of a table from `tableColumns`.
 *
 * Versions of a lake's schema are dense: the base's, then one more for each column. As columns only ever come, a version
 * is a prefix of the list, and a file of an older one lacks what follows: it reads as null. The property itself stays in
 * `properties`. Quarantined rows have none, so their table has none of these columns.
 */
import {
  BASE_SCHEMA_VERSION,
  type Column,
  type Columns,
  type ColumnType,
  TABLES,
  type TableName,
} from "./event-columns.ts";
import { SCHEMA } from "./limits.ts";

/** What people call the types, in the order in which they are offered, and what they are in files. */
export const PROMOTED_TYPES = {
  string: "utf8",
  long: "int64",
  double: "float64",
  boolean: "boolean",
  timestamp: "timestamp_us",
} as const satisfies Record<string, ColumnType>;

export type PromotedType = keyof typeof PROMOTED_TYPES;

/** What somebody asks for. */
export interface NewPromotedColumn {
  readonly name: string;
  readonly type: PromotedType;
  /** The key in `properties` that the values come from. */
  readonly property: string;
  readonly doc: string;
  /** Its values tell people apart, as an e-mail address does: no file and no catalog has bounds of them. Absent: no. */
  readonly identifier?: boolean;
}

export interface PromotedColumn extends NewPromotedColumn {
  /** Iceberg and Parquet field id: `FIRST_PROMOTED_ID`, and one more for each column, in the order of adding. */
  readonly fieldId: number;
  /** The first version of the schema that has it. */
  readonly schemaVersion: number;
  /** The snapshot that added it: a snapshot before does not have it. */
  readonly addedSeq: number;
  /** Milliseconds. */
  readonly addedAt: number;
}

export const FIRST_PROMOTED_ID = 1_001;

/** The schema of a lake as of a snapshot. */
export interface LakeSchema {
  readonly version: number;
  /** In the order of adding; all that the version has. */
  readonly promoted: readonly PromotedColumn[];
}

export const BASE_SCHEMA: LakeSchema = { version: BASE_SCHEMA_VERSION, promoted: [] };

/** The columns of a table: its own, then the promoted ones. The same list gives the same object, to be a cache's key. */
export function tableColumns(table: TableName, promoted: readonly PromotedColumn[]): Columns {
  if (table !== "events" || promoted.length === 0) return TABLES[table];
  const known = eventColumns.get(promoted);
  if (known) return known;
  const columns: Columns = { ...TABLES.events, ...Object.fromEntries(promoted.map((of) => [of.name, column(of)])) };
  eventColumns.set(promoted, columns);
  return columns;
}

const eventColumns = new WeakMap<readonly PromotedColumn[], Columns>();

function column({ fieldId, type, doc, identifier }: PromotedColumn): Column {
  const text = type === "string" && { maxBytes: SCHEMA.textBytes };
  return { id: fieldId, type: PROMOTED_TYPES[type], required: false, ...text, ...(identifier && { identifier }), doc };
}

export const isPromoted = ({ id }: Column): boolean => id >= FIRST_PROMOTED_ID;

/** The version of the schema that a table's columns are of: what a file that has them is marked with. */
export function schemaVersionOf(columns: Columns): number {
  return BASE_SCHEMA_VERSION + Object.values(columns).filter(isPromoted).length;
}

/** Those that a version has: what a file of this version was written with. */
export function promotedAt(promoted: readonly PromotedColumn[], version: number): readonly PromotedColumn[] {
  return promoted.every(({ schemaVersion }) => schemaVersion <= version)
    ? promoted
    : promoted.filter(({ schemaVersion }) => schemaVersion <= version);
}
