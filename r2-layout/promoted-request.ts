/**
 * What may become a promoted column. A name is for good and for every engine that reads the files, so the rule is
 * strict: a lower-case letter, then lower-case letters, digits and underscores (engines differ in what they make of
 * case), at most `SCHEMA.nameChars`; no column or table that there is; no word that SQL here reads as something else.
 */
import { TABLES, type TableName } from "./event-columns.ts";
import { RULE, SCHEMA } from "./limits.ts";
import { type NewPromotedColumn, PROMOTED_TYPES, type PromotedType } from "./promoted-columns.ts";
import { err, ok, type Result } from "./result.ts";
import { isLongerThan } from "./utf8.ts";

export interface ColumnMismatch {
  readonly parameter: string;
  readonly detail: string;
}

export function parseNewColumn(body: Readonly<Record<string, unknown>>): Result<NewPromotedColumn, ColumnMismatch> {
  const { name, type, property, doc = "", identifier = false } = body;
  const wrong = (parameter: string, detail: string) => err({ parameter, detail });
  if (typeof name !== "string") return wrong("name", "a text");
  const fault = nameFault(name);
  if (fault !== null) return wrong("name", fault);
  if (typeof type !== "string" || !Object.hasOwn(PROMOTED_TYPES, type)) {
    return wrong("type", `one of ${Object.keys(PROMOTED_TYPES).join(", ")}`);
  }
  if (typeof property !== "string" || property === "") return wrong("property", "the name of a property");
  if (!property.isWellFormed() || isLongerThan(property, RULE.propertyNameBytes)) {
    return wrong("property", `at most ${RULE.propertyNameBytes} bytes of UTF-8`);
  }
  if (typeof doc !== "string" || doc.length > SCHEMA.docChars || !DOC.test(doc)) {
    return wrong("doc", `one line of at most ${SCHEMA.docChars} characters`);
  }
  if (typeof identifier !== "boolean") return wrong("identifier", "true where its values tell people apart, or false");
  return ok({ name, type: type as PromotedType, property, doc, ...(identifier && { identifier }) });
}

/** Well-formed text without control characters: it goes into pages and into the metadata of other engines. */
const DOC = /^[^\p{Cc}\p{Cs}]*$/u;

/** Whether a lake may have a promoted column of this name in the table. */
export const mayBePromoted = (table: TableName, name: string): boolean =>
  table === "events" && nameFault(name) === null;

/** Why no column can have this name, or null. */
export function nameFault(name: string): string | null {
  if (!NAME.test(name)) {
    return `a lower-case letter, then letters, digits and underscores; at most ${SCHEMA.nameChars}`;
  }
  for (const [table, columns] of Object.entries(TABLES)) {
    if (Object.hasOwn(columns, name)) return `${name} is a column of ${table}`;
  }
  return RESERVED.has(name) ? `${name} means something else to SQL` : null;
}

const NAME = new RegExp(`^[a-z][a-z0-9_]{0,${SCHEMA.nameChars - 1}}$`);

const RESERVED: ReadonlySet<string> = new Set(
  [
    // Keywords that DuckDB's grammar keeps from being a column: reserved ones, and those for functions and types.
    `all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create default
     deferrable desc describe distinct do else end except false fetch for foreign from group having in initially
     intersect into lambda lateral leading limit not null offset on only or order pivot pivot_longer pivot_wider placing
     primary qualify references returning select show some summarize symmetric table then to trailing true union unique
     unpivot using variadic when where window with
     anti asof at authorization binary by collation columns concurrently cross freeze full generated glob ilike inner is
     isnull join left like map natural notnull outer overlaps positional right semi similar struct tablesample try_cast
     unpack verbose grant`,
    // Words that the planner's parser takes for syntax, somewhere in a statement.
    "cluster cube exclude exists explain interval rollup trim values view",
    // Words that stand for a value, or for something that a scan has beside its columns.
    `current_catalog current_date current_role current_schema current_time current_timestamp current_user localtime
     localtimestamp session_user user file_row_number filename rowid`,
    // The tables, of which a bare name is the row; and what every object of JavaScript has.
    "events quarantine constructor",
  ].flatMap((words) => words.trim().split(/\s+/)),
);
