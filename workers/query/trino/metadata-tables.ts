/**
 * Tables about tables: information_schema and the parts of Trino's system catalog that drivers read. A statement asks
 * them as any other, with filters, joins and sorting, so their rows are put into it as a relation of one text, which the
 * engine takes apart: a list of values would be thousands of words, and a statement is bounded by its words.
 */
import type { TableName } from "../../../r2-layout/event-columns.ts";
import type { LakeSchema } from "../../../r2-layout/promoted-columns.ts";
import { tableColumns } from "../../../r2-layout/promoted-columns.ts";
import { stringText } from "../plan/string-text.ts";
import { JDBC_TYPES, jdbcColumn } from "./jdbc-types.ts";
import { CATALOG, SCHEMA_NAME, SESSION_PROPERTIES } from "./session.ts";
import { quoted } from "./sql-text.ts";
import { TRINO_VERSION } from "./trino-functions.ts";
import { COLUMN_TYPES } from "./trino-types.ts";

type Value = string | number | boolean | null;

interface MetadataTable {
  /** Name, and the type where it is not varchar. */
  readonly columns: readonly (readonly [string, ("BIGINT" | "BOOLEAN")?])[];
  readonly rows: (lake: LakeSchema) => readonly (readonly Value[])[];
}

export const LAKE_TABLES: readonly TableName[] = ["events", "quarantine"];
/** What a table holds, for those who list tables. */
export const TABLE_COMMENTS: Record<TableName, string> = {
  events: "Every event that fits its columns, once.",
  quarantine: "Events that were accepted but do not fit, with their cause.",
};

export interface ColumnFacts {
  readonly table: TableName;
  readonly name: string;
  readonly type: string;
  readonly position: number;
  readonly isRequired: boolean;
  readonly doc: string;
}

export function lakeColumns({ promoted }: LakeSchema): ColumnFacts[] {
  return LAKE_TABLES.flatMap((table) =>
    Object.entries(tableColumns(table, promoted)).map(([name, { type, required, doc }], at) => ({
      table,
      name,
      type: COLUMN_TYPES[type],
      position: at + 1,
      isRequired: required,
      doc,
    })),
  );
}

const names = (text: string): [string][] => text.split(" ").map((name) => [name]);
const none = () => [];

const INFORMATION_SCHEMA: Readonly<Record<string, MetadataTable>> = {
  schemata: {
    columns: names("catalog_name schema_name"),
    rows: () => [
      [CATALOG, SCHEMA_NAME],
      [CATALOG, "information_schema"],
    ],
  },
  tables: {
    columns: names("table_catalog table_schema table_name table_type table_comment"),
    rows: () => [
      ...LAKE_TABLES.map((table) => [CATALOG, SCHEMA_NAME, table, "BASE TABLE", TABLE_COMMENTS[table]]),
      ...Object.keys(INFORMATION_SCHEMA).map((table) => [CATALOG, "information_schema", table, "BASE TABLE", null]),
    ],
  },
  columns: {
    columns: [
      ...names("table_catalog table_schema table_name column_name"),
      ["ordinal_position", "BIGINT"],
      ...names("column_default is_nullable data_type comment extra_info"),
    ],
    rows: (lake) =>
      lakeColumns(lake).map(({ table, name, position, isRequired, type, doc }) => [
        CATALOG,
        SCHEMA_NAME,
        table,
        name,
        position,
        null,
        isRequired ? "NO" : "YES",
        type,
        doc,
        null,
      ]),
  },
  views: { columns: names("table_catalog table_schema table_name view_definition"), rows: none },
  table_privileges: {
    columns: names(
      "grantor grantor_type grantee grantee_type table_catalog table_schema table_name privilege_type is_grantable with_hierarchy",
    ),
    rows: none,
  },
  roles: { columns: names("role_name"), rows: none },
  applicable_roles: { columns: names("grantee grantee_type role_name is_grantable"), rows: none },
  enabled_roles: { columns: names("role_name"), rows: none },
};

const SYSTEM: Readonly<Record<string, MetadataTable>> = {
  "jdbc.catalogs": { columns: names("table_cat"), rows: () => [[CATALOG], ["system"]] },
  "jdbc.schemas": {
    columns: names("table_schem table_catalog"),
    rows: () => [
      [SCHEMA_NAME, CATALOG],
      ["information_schema", CATALOG],
      ...["information_schema", "jdbc", "metadata", "runtime"].map((schema) => [schema, "system"]),
    ],
  },
  "jdbc.table_types": { columns: names("table_type"), rows: () => [["TABLE"], ["VIEW"]] },
  "jdbc.tables": {
    columns: names(
      "table_cat table_schem table_name table_type remarks type_cat type_schem type_name self_referencing_col_name ref_generation",
    ),
    rows: () =>
      LAKE_TABLES.map((table) => [CATALOG, SCHEMA_NAME, table, "TABLE", TABLE_COMMENTS[table], ...Array(5).fill(null)]),
  },
  "jdbc.columns": {
    columns: [
      ...names("table_cat table_schem table_name column_name"),
      ["data_type", "BIGINT"],
      ["type_name"],
      ["column_size", "BIGINT"],
      ["buffer_length", "BIGINT"],
      ["decimal_digits", "BIGINT"],
      ["num_prec_radix", "BIGINT"],
      ["nullable", "BIGINT"],
      ...names("remarks column_def"),
      ["sql_data_type", "BIGINT"],
      ["sql_datetime_sub", "BIGINT"],
      ["char_octet_length", "BIGINT"],
      ["ordinal_position", "BIGINT"],
      ...names("is_nullable scope_catalog scope_schema scope_table"),
      ["source_data_type", "BIGINT"],
      ...names("is_autoincrement is_generatedcolumn"),
    ],
    rows: (lake) => lakeColumns(lake).map((column) => jdbcColumn(CATALOG, SCHEMA_NAME, column)),
  },
  "jdbc.types": {
    columns: [
      ["type_name"],
      ["data_type", "BIGINT"],
      ["precision", "BIGINT"],
      ...names("literal_prefix literal_suffix create_params"),
      ["nullable", "BIGINT"],
      ["case_sensitive", "BOOLEAN"],
      ["searchable", "BIGINT"],
      ["unsigned_attribute", "BOOLEAN"],
      ["fixed_prec_scale", "BOOLEAN"],
      ["auto_increment", "BOOLEAN"],
      ["local_type_name"],
      ["minimum_scale", "BIGINT"],
      ["maximum_scale", "BIGINT"],
      ["sql_data_type", "BIGINT"],
      ["sql_datetime_sub", "BIGINT"],
      ["num_prec_radix", "BIGINT"],
    ],
    rows: () => JDBC_TYPES,
  },
  "jdbc.procedures": {
    columns: names("procedure_cat procedure_schem procedure_name remarks procedure_type specific_name"),
    rows: none,
  },
  "jdbc.udts": {
    columns: names("type_cat type_schem type_name class_name data_type remarks base_type"),
    rows: none,
  },
  "metadata.catalogs": {
    columns: names("catalog_name connector_id connector_name state"),
    rows: () => [
      [CATALOG, CATALOG, CATALOG, "OPERATIONAL"],
      ["system", "system", "system", "OPERATIONAL"],
    ],
  },
  "metadata.table_comments": {
    columns: names("catalog_name schema_name table_name comment"),
    rows: () => LAKE_TABLES.map((table) => [CATALOG, SCHEMA_NAME, table, TABLE_COMMENTS[table]]),
  },
  "metadata.materialized_views": {
    columns: names(
      "catalog_name schema_name name storage_catalog storage_schema storage_table freshness comment definition",
    ),
    rows: none,
  },
  "metadata.session_properties": {
    columns: names("name default_value type description"),
    rows: () => SESSION_PROPERTIES,
  },
  "runtime.nodes": {
    columns: [...names("node_id http_uri node_version"), ["coordinator", "BOOLEAN"], ["state"]],
    rows: () => [[CATALOG, "", TRINO_VERSION, true, "active"]],
  },
};

/** @returns null where there is no such table. */
export function metadataTable(catalog: string, schema: string, table: string): MetadataTable | null {
  if (schema === "information_schema") return own(INFORMATION_SCHEMA, table);
  return catalog === "system" ? own(SYSTEM, `${schema}.${table}`) : null;
}

export const SYSTEM_SCHEMAS = ["information_schema", "jdbc", "metadata", "runtime"];

const own = <T>(of: Readonly<Record<string, T>>, name: string): T | null =>
  Object.hasOwn(of, name) ? of[name]! : null;

const FIELD = "\u001f";
const ROW = "\u001e";
const NULL = "\u0001";

/** A relation with the table's rows, in DuckDB's words. */
export function relationText({ columns, rows }: MetadataTable, lake: LakeSchema): string {
  const lines = rows(lake).map((row) => row.map((value) => (value === null ? NULL : String(value))).join(FIELD));
  const fields = columns.map(([name, type], at) => {
    const text = `nullif(split_part(_r, ${stringText(FIELD)}, ${at + 1}), ${stringText(NULL)})`;
    return `${type ? `CAST(${text} AS ${type})` : text} AS ${quoted(name)}`;
  });
  const empty = lines.length === 0 ? " WHERE FALSE" : "";
  return `(SELECT ${fields.join(", ")} FROM (SELECT unnest(string_split(${stringText(lines.join(ROW))}, ${stringText(ROW)})) AS _r) AS _rows${empty})`;
}
