/**
 * What a client sends, told apart: a query, one that was prepared, a question about tables (SHOW, DESCRIBE), which is a
 * query over the tables about tables, or a change of its session, which is an answer with headers: the server keeps no
 * session.
 */

import type { LakeSchema } from "../../../r2-layout/promoted-columns.ts";
import { stringText } from "../plan/string-text.ts";
import { TrinoFailed } from "./errors.ts";
import { FUNCTION_NAMES } from "./function-names.ts";
import { lakeColumns, SYSTEM_SCHEMAS } from "./metadata-tables.ts";
import { CATALOG, SCHEMA_NAME, SESSION_PROPERTIES, type TrinoSession } from "./session.ts";
import { inQuotes } from "./sql-text.ts";
import { checkSchema, fullName, isLakeTable } from "./table-names.ts";
import { Words } from "./words.ts";

export type Command =
  | { readonly kind: "query"; readonly sql: string; readonly parameters: string }
  /** Columns of a prepared statement's result, or its parameters, instead of its rows. */
  | { readonly kind: "describe"; readonly what: "input" | "output"; readonly sql: string }
  | { readonly kind: "done"; readonly updateType: string; readonly headers: Readonly<Record<string, string>> };

/** @throws TrinoFailed */
export function readCommand(
  sql: string,
  session: TrinoSession,
  lake: () => Promise<LakeSchema>,
): Promise<Command> | Command {
  const words = new Words(sql);
  if (words.isEnd) throw new TrinoFailed("SYNTAX_ERROR", "Query text is empty");
  if (words.takes("SHOW")) return show(words, session, lake);
  if (words.takes("DESCRIBE", "INPUT"))
    return { kind: "describe", what: "input", sql: prepared(words.name(), session) };
  if (words.takes("DESCRIBE", "OUTPUT"))
    return { kind: "describe", what: "output", sql: prepared(words.name(), session) };
  if (words.takes("DESCRIBE") || words.takes("DESC")) return describeTable(words, session);
  if (words.takes("EXECUTE", "IMMEDIATE")) return execute(words, words.text());
  if (words.takes("EXECUTE")) return execute(words, prepared(words.name(), session));
  if (words.takes("PREPARE")) return prepare(words);
  if (words.takes("DEALLOCATE", "PREPARE")) {
    const name = only(words.name());
    prepared([name], session);
    return done("DEALLOCATE", { "deallocated-prepare": name });
  }
  if (words.takes("USE")) return use(words, session);
  if (words.takes("SET", "SESSION")) return setSession(words);
  if (words.takes("RESET", "SESSION")) return done("RESET SESSION", { "clear-session": words.name().join(".") });
  if (words.takes("SET", "TIME", "ZONE")) return done("SET TIME ZONE", {});
  // One statement is one reading of one state: there is nothing to begin or to end.
  if (words.takes("START", "TRANSACTION"))
    return done("START TRANSACTION", { "started-transaction-id": crypto.randomUUID() });
  if (words.takes("COMMIT") || words.takes("ROLLBACK")) return done("COMMIT", { "clear-transaction-id": "true" });
  return { kind: "query", sql: words.rest(), parameters: "" };
}

const done = (updateType: string, headers: Readonly<Record<string, string>>): Command => ({
  kind: "done",
  updateType,
  headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [`x-trino-${name}`, value])),
});

const query = (sql: string): Command => ({ kind: "query", sql, parameters: "" });

const only = (parts: readonly string[]): string => parts.join(".");

function prepared(name: readonly string[], { prepared: statements }: TrinoSession): string {
  const sql = statements[only(name)];
  if (sql === undefined) throw new TrinoFailed("NOT_FOUND", `Prepared statement not found: ${only(name)}`);
  return sql;
}

/** What EXECUTE names may itself be a command. */
function execute(words: Words, sql: string): Command {
  if (words.takes("USING")) return { kind: "query", sql, parameters: words.rest() };
  words.end();
  return query(sql);
}

function prepare(words: Words): Command {
  const name = only(words.name());
  if (!words.takes("FROM")) throw words.wrong();
  const sql = words.rest();
  if (sql === "") throw words.wrong();
  return done("PREPARE", { "added-prepare": `${encodeURIComponent(name)}=${encodeURIComponent(sql)}` });
}

function use(words: Words, session: TrinoSession): Command {
  const [schema = "", catalog = session.catalog] = words
    .name()
    .map((part) => part.toLowerCase())
    .toReversed();
  words.end();
  checkSchema(catalog, schema);
  return done("USE", { "set-catalog": catalog, "set-schema": schema });
}

function setSession(words: Words): Command {
  const name = only(words.name()).toLowerCase();
  if (!words.takes("=")) throw words.wrong();
  const value = words.rest();
  if (!SESSION_PROPERTIES.some(([known]) => known === name)) {
    throw new TrinoFailed("INVALID_SESSION_PROPERTY", `Session property '${name}' does not exist`);
  }
  const text = /^'(.*)'$/s.exec(value)?.[1]?.replaceAll("''", "'") ?? value;
  return done("SET SESSION", { "set-session": `${name}=${encodeURIComponent(text)}` });
}

function like(words: Words, column: string): string {
  if (!words.takes("LIKE")) {
    words.end();
    return "";
  }
  const pattern = words.text();
  const sign = words.takes("ESCAPE") ? ` ESCAPE ${stringText(words.text())}` : "";
  words.end();
  return ` AND ${column} LIKE ${stringText(pattern)}${sign}`;
}

function show(words: Words, session: TrinoSession, lake: () => Promise<LakeSchema>): Command | Promise<Command> {
  if (words.takes("CATALOGS")) {
    const filter = like(words, "catalog_name");
    return query(`SELECT catalog_name AS "Catalog" FROM system.metadata.catalogs WHERE TRUE${filter} ORDER BY 1`);
  }
  if (words.takes("SCHEMAS")) return showSchemas(words, session);
  if (words.takes("TABLES")) return showTables(words, session);
  if (words.takes("COLUMNS")) {
    if (!words.takes("FROM") && !words.takes("IN")) throw words.wrong();
    return describeTable(words, session);
  }
  if (words.takes("FUNCTIONS")) {
    const rows = FUNCTION_NAMES.map((name) => `(${stringText(name)})`).join(", ");
    const filter = like(words, "f");
    return query(
      `SELECT f AS "Function", '' AS "Return Type", '' AS "Argument Types", 'scalar' AS "Function Type", true AS "Deterministic", '' AS "Description" FROM (VALUES ${rows}) AS t (f) WHERE TRUE${filter} ORDER BY 1`,
    );
  }
  if (words.takes("SESSION")) {
    const rows = SESSION_PROPERTIES.map(([name, standard, type, description]) =>
      [name, session.properties[name] ?? standard, standard, type, description].map(stringText).join(", "),
    );
    return query(
      `SELECT * FROM (VALUES (${rows.join("), (")})) AS t ("Name", "Value", "Default", "Type", "Description") ORDER BY 1`,
    );
  }
  if (words.takes("CREATE", "TABLE")) return showCreate(fullName(words.name(), session), lake);
  if (words.takes("CREATE", "SCHEMA"))
    return query(`SELECT 'CREATE SCHEMA ${CATALOG}.${inQuotes(SCHEMA_NAME)}' AS "Create Schema"`);
  if (words.takes("ROLES") || words.takes("CURRENT", "ROLES") || words.takes("ROLE", "GRANTS")) {
    return query(`SELECT role_name AS "Role" FROM information_schema.roles`);
  }
  throw words.wrong();
}

function showSchemas(words: Words, session: TrinoSession): Command {
  const from = words.takes("FROM") || words.takes("IN") ? only(words.name()).toLowerCase() : session.catalog;
  checkSchema(from, "information_schema");
  const schemas = from === CATALOG ? [SCHEMA_NAME, "information_schema"] : SYSTEM_SCHEMAS;
  const rows = schemas.map((schema) => `(${stringText(schema)})`).join(", ");
  const filter = like(words, "s");
  return query(`SELECT s AS "Schema" FROM (VALUES ${rows}) AS t (s) WHERE TRUE${filter} ORDER BY 1`);
}

function showTables(words: Words, session: TrinoSession): Command {
  const from = words.takes("FROM") || words.takes("IN") ? words.name().map((part) => part.toLowerCase()) : [];
  const [schema = session.schema, catalog = session.catalog] = from.toReversed();
  checkSchema(catalog, schema);
  const filter = like(words, "table_name");
  return query(
    `SELECT table_name AS "Table" FROM ${CATALOG}.information_schema.tables WHERE table_catalog = ${stringText(catalog)} AND table_schema = ${stringText(schema)}${filter} ORDER BY 1`,
  );
}

function describeTable(words: Words, session: TrinoSession): Command {
  const [catalog, schema, table] = fullName(words.name(), session);
  checkSchema(catalog, schema);
  if (!isLakeTable(catalog, schema, table)) {
    throw new TrinoFailed("TABLE_NOT_FOUND", `Table '${catalog}.${schema}.${table}' does not exist`);
  }
  const filter = like(words, "column_name");
  return query(
    `SELECT column_name AS "Column", data_type AS "Type", coalesce(extra_info, '') AS "Extra", coalesce(comment, '') AS "Comment" FROM ${CATALOG}.information_schema.columns WHERE table_schema = ${stringText(schema)} AND table_name = ${stringText(table)}${filter} ORDER BY ordinal_position`,
  );
}

async function showCreate(
  [catalog, schema, table]: readonly [string, string, string],
  lake: () => Promise<LakeSchema>,
): Promise<Command> {
  if (!isLakeTable(catalog, schema, table)) {
    throw new TrinoFailed("TABLE_NOT_FOUND", `Table '${catalog}.${schema}.${table}' does not exist`);
  }
  const columns = lakeColumns(await lake())
    .filter((column) => column.table === table)
    .map(({ name, type, isRequired }) => `   ${name} ${type}${isRequired ? " NOT NULL" : ""}`);
  const text = `CREATE TABLE ${catalog}.${inQuotes(schema)}.${table} (\n${columns.join(",\n")}\n)`;
  return query(`SELECT ${stringText(text)} AS "Create Table"`);
}
