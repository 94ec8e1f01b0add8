/** What a dotted name in FROM means: one of the lake's tables, or one about them. */
import type { LakeSchema } from "../../../r2-layout/promoted-columns.ts";
import { TrinoFailed } from "./errors.ts";
import { LAKE_TABLES, metadataTable, relationText, SYSTEM_SCHEMAS } from "./metadata-tables.ts";
import { CATALOG, SCHEMA_NAME, type TrinoSession } from "./session.ts";

type Place = Pick<TrinoSession, "catalog" | "schema">;

/** Catalog, schema and table of a name of one to three parts, without case as Trino takes them. */
export function fullName(parts: readonly string[], session: Place): [string, string, string] {
  const [table = "", schema = session.schema, catalog = session.catalog] = parts
    .map((part) => part.toLowerCase())
    .toReversed();
  return [catalog, schema, table];
}

/** @throws TrinoFailed where there is no such catalog or schema. */
export function checkSchema(catalog: string, schema: string): void {
  const schemas = SCHEMAS[catalog];
  if (!schemas) throw new TrinoFailed("CATALOG_NOT_FOUND", `Catalog '${catalog}' not found`);
  if (!schemas.includes(schema)) throw new TrinoFailed("SCHEMA_NOT_FOUND", `Schema '${schema}' does not exist`);
}

export const SCHEMAS: Readonly<Record<string, readonly string[]>> = {
  __proto__: null as never,
  [CATALOG]: [SCHEMA_NAME, "information_schema"],
  system: SYSTEM_SCHEMAS,
};

export const isLakeTable = (catalog: string, schema: string, table: string): boolean =>
  catalog === CATALOG && schema === SCHEMA_NAME && LAKE_TABLES.some((known) => known === table);

/** @throws TrinoFailed where there is no such table. */
export function tableResolver(lake: LakeSchema, session: Place) {
  return (parts: readonly string[]): { text: string; name: string } => {
    const [catalog, schema, table] = fullName(parts, session);
    checkSchema(catalog, schema);
    if (isLakeTable(catalog, schema, table)) return { text: table, name: table };
    const metadata = metadataTable(catalog, schema, table);
    if (!metadata) throw new TrinoFailed("TABLE_NOT_FOUND", `Table '${catalog}.${schema}.${table}' does not exist`);
    return { text: relationText(metadata, lake), name: table };
  };
}
