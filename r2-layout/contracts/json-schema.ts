/**
 * The part of JSON Schema (draft 2020-12) that contracts are written in, and the check that a document keeps to it. What an
 * unknown keyword means nobody could compare, so it is refused rather than passed over; annotations are free.
 */
import safeRegex from "safe-regex2";
import { CONTRACT } from "../limits.ts";
import { err, ok, type Result } from "../result.ts";

export type JsonType = "string" | "number" | "integer" | "boolean" | "null" | "object" | "array";
export type Schema = boolean | SchemaObject;

export interface SchemaObject {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly type?: JsonType | readonly JsonType[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly dependentRequired?: Readonly<Record<string, readonly string[]>>;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly not?: Schema;
}

/** Where a document is not a schema as contracts are written in, and what is wrong there. */
export interface SchemaFault {
  /** JSON pointer, as `#/properties/plan/type`. */
  readonly path: string;
  readonly detail: string;
}

const TYPES: readonly string[] = ["string", "number", "integer", "boolean", "null", "object", "array"];
/** Formats that the edge's validator checks. */
const FORMATS: readonly string[] = [
  "date-time",
  "date",
  "time",
  "duration",
  "email",
  "hostname",
  "ipv4",
  "ipv6",
  "uri",
  "uri-reference",
  "uuid",
];

type Check = (value: unknown, path: string, checker: Checker, depth: number) => void;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

class Unfit extends Error {
  readonly fault: SchemaFault;
  constructor(path: string, detail: string) {
    super(detail);
    this.fault = { path, detail };
  }
}

const expected =
  (what: string, fits: (value: unknown) => boolean): Check =>
  (value, path) => {
    if (!fits(value)) throw new Unfit(path, `must be ${what}`);
  };

const count = expected("a whole number from 0 on", (value) => Number.isSafeInteger(value) && (value as number) >= 0);
const number = expected("a number", (value) => typeof value === "number" && Number.isFinite(value));
const flag = expected("true or false", (value) => typeof value === "boolean");
const anything: Check = () => {};
const names = expected(
  "a list of different names",
  (value) =>
    Array.isArray(value) && value.every((name) => typeof name === "string") && new Set(value).size === value.length,
);
const schema: Check = (value, path, checker, depth) => checker.schema(value, path, depth + 1);
const schemas: Check = (value, path, checker, depth) => {
  if (!Array.isArray(value) || value.length === 0) throw new Unfit(path, "must be a list of at least one schema");
  for (const [i, each] of value.entries()) checker.schema(each, `${path}/${i}`, depth + 1);
};
const record =
  (check: Check, key?: Check): Check =>
  (value, path, checker, depth) => {
    if (!isRecord(value)) throw new Unfit(path, "must be an object");
    for (const [name, each] of Object.entries(value)) {
      key?.(name, pointer(path, name), checker, depth);
      check(each, pointer(path, name), checker, depth);
    }
  };
const pattern: Check = (value, path) => {
  if (typeof value !== "string") throw new Unfit(path, "must be a regular expression");
  if (value.length > CONTRACT.patternChars) throw new Unfit(path, `is longer than ${CONTRACT.patternChars} characters`);
  try {
    new RegExp(value, "u");
  } catch {
    throw new Unfit(path, "is no regular expression");
  }
  // The validator asks it of every event: one that goes back and forth over a value that nearly fits would hold up the edge.
  if (!safeRegex(value)) throw new Unfit(path, "repeats what repeats, which may take for ever to check");
};

const KEYWORDS: Readonly<Record<keyof SchemaObject | string, Check>> = {
  $schema: expected(
    "the address of draft 2020-12",
    (value) => value === "https://json-schema.org/draft/2020-12/schema",
  ),
  $id: anything,
  $comment: anything,
  title: anything,
  description: anything,
  examples: anything,
  deprecated: flag,
  readOnly: flag,
  writeOnly: flag,
  default: anything,
  $ref: expected(
    "a place in this document, as #/$defs/name",
    (v) => typeof v === "string" && /^#\/\$defs\/[^/]+$/.test(v),
  ),
  $defs: record(schema),
  type: (value, path) => {
    const list = Array.isArray(value) ? value : [value];
    if (list.length === 0 || !list.every((type) => TYPES.includes(type as string)) || new Set(list).size < list.length)
      throw new Unfit(path, `must be of ${TYPES.join(", ")}`);
  },
  enum: expected("a list of at least one value", (value) => Array.isArray(value) && value.length > 0),
  const: anything,
  minLength: count,
  maxLength: count,
  pattern,
  format: expected(`one of ${FORMATS.join(", ")}`, (value) => FORMATS.includes(value as string)),
  minimum: number,
  maximum: number,
  exclusiveMinimum: number,
  exclusiveMaximum: number,
  multipleOf: expected("a number above 0", (value) => typeof value === "number" && value > 0 && Number.isFinite(value)),
  properties: record(schema),
  required: names,
  additionalProperties: schema,
  patternProperties: record(schema, pattern),
  minProperties: count,
  maxProperties: count,
  dependentRequired: record(names),
  items: schema,
  minItems: count,
  maxItems: count,
  uniqueItems: flag,
  allOf: schemas,
  anyOf: schemas,
  oneOf: schemas,
  not: schema,
};

class Checker {
  readonly #root: unknown;
  #schemas = 0;

  constructor(root: unknown) {
    this.#root = root;
  }

  schema(value: unknown, path: string, depth: number): void {
    if (typeof value === "boolean") return;
    if (!isRecord(value)) throw new Unfit(path, "must be a schema: an object, true or false");
    if (depth > CONTRACT.schemaDepth) throw new Unfit(path, `lies deeper than ${CONTRACT.schemaDepth} schemas`);
    if (++this.#schemas > CONTRACT.schemasMax)
      throw new Unfit(path, `there are more than ${CONTRACT.schemasMax} schemas`);
    for (const [keyword, argument] of Object.entries(value)) {
      if (keyword.startsWith("x-")) continue;
      const check = Object.hasOwn(KEYWORDS, keyword) ? KEYWORDS[keyword] : undefined;
      if (!check) throw new Unfit(pointer(path, keyword), "is no keyword that contracts are written in");
      check(argument, pointer(path, keyword), this, depth);
      if (keyword === "$ref" && resolveRef(this.#root as SchemaObject, argument as string) === undefined)
        throw new Unfit(pointer(path, keyword), "names nothing in this document");
    }
  }
}

/** @param document parsed JSON. @returns the same document, as a schema. */
export function parseSchema(document: unknown): Result<SchemaObject, SchemaFault> {
  try {
    new Checker(document).schema(document, "#", 0);
  } catch (error) {
    if (error instanceof Unfit) return err(error.fault);
    throw error;
  }
  const circle = refCircle(document as SchemaObject);
  if (circle !== null) return err({ path: `#/$defs/${circle}`, detail: "contains itself" });
  if (!isRecord(document) || document.type !== "object")
    return err({ path: "#/type", detail: 'must be "object": an event\'s properties are one' });
  return ok(document as SchemaObject);
}

/** What `#/$defs/<name>` stands for, undefined where there is none of the name. */
export function resolveRef(root: SchemaObject, ref: string): Schema | undefined {
  const name = ref.slice("#/$defs/".length).replaceAll("~1", "/").replaceAll("~0", "~");
  const defs: unknown = root.$defs;
  return isRecord(defs) && Object.hasOwn(defs, name) ? (defs[name] as Schema) : undefined;
}

/** A step down a JSON pointer (RFC 6901). */
export const pointer = (path: string, step: string): string =>
  `${path}/${step.replaceAll("~", "~0").replaceAll("/", "~1")}`;

/** A definition that leads back to itself, by its name: no event could be checked against it in bounded time. */
function refCircle(root: SchemaObject): string | null {
  const leads = new Map<string, string[]>();
  for (const [name, schema] of Object.entries(root.$defs ?? {})) leads.set(pointer("#/$defs", name), refsIn(schema));
  for (const start of leads.keys()) {
    const seen = new Set<string>();
    const open = [...leads.get(start)!];
    for (let ref = open.pop(); ref !== undefined; ref = open.pop()) {
      if (ref === start) return start.slice("#/$defs/".length);
      if (seen.has(ref)) continue;
      seen.add(ref);
      open.push(...(leads.get(ref) ?? []));
    }
  }
  return null;
}

function refsIn(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(refsIn);
  if (!isRecord(schema)) return [];
  return Object.entries(schema).flatMap(([keyword, value]) =>
    keyword === "$ref" && typeof value === "string" ? [value] : refsIn(value),
  );
}
