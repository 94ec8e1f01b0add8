/**
 * What differs between two versions of a schema, part by part. A schema is taken as the conjunction of its parts (its type's
 * constraints, its enum, each of allOf, anyOf, oneOf, not), as Confluent's differ takes it; how the parts of one are matched with those of the
 * other (a maximum matching of what is compatible) is its rule, too.
 */
import { canonicalJson } from "./canonical-json.ts";
import { DIFFERENCES, type Difference, type DifferenceType, LENIENT } from "./differences.ts";
import { type JsonType, pointer, resolveRef, type Schema, type SchemaObject } from "./json-schema.ts";
import { diffObject } from "./object-diff.ts";

export type Policy = "strict" | "lenient";

export const isBreak = ({ type }: Difference, policy: Policy): boolean =>
  !DIFFERENCES[type].compatible && !(policy === "lenient" && LENIENT.has(type));

/** @returns what `to` has otherwise than `from`, which are whole documents. */
export function diffSchemas(from: SchemaObject, to: SchemaObject, policy: Policy): Difference[] {
  return new SchemaDiff(from, to, policy).diff(from, to, "#");
}

/** One conjunct of a schema. */
type Part =
  | { readonly kind: "typed"; readonly type: JsonType; readonly schema: SchemaObject }
  | { readonly kind: "untyped"; readonly schema: SchemaObject }
  | { readonly kind: "values"; readonly values: readonly unknown[] }
  | { readonly kind: "sum"; readonly of: "anyOf" | "oneOf"; readonly schemas: readonly Schema[] }
  | { readonly kind: "product"; readonly schemas: readonly Schema[] }
  | { readonly kind: "not"; readonly schema: Schema };

/** Keywords that say something about values of one type; without `type` they hold for those values alone. */
const CONSTRAINTS: Readonly<Record<string, JsonType>> = {
  minLength: "string",
  maxLength: "string",
  pattern: "string",
  format: "string",
  minimum: "number",
  maximum: "number",
  exclusiveMinimum: "number",
  exclusiveMaximum: "number",
  multipleOf: "number",
  properties: "object",
  required: "object",
  additionalProperties: "object",
  patternProperties: "object",
  minProperties: "object",
  maxProperties: "object",
  dependentRequired: "object",
  items: "array",
  minItems: "array",
  maxItems: "array",
  uniqueItems: "array",
};

export class SchemaDiff {
  readonly #from: SchemaObject;
  readonly #to: SchemaObject;
  readonly policy: Policy;

  constructor(from: SchemaObject, to: SchemaObject, policy: Policy) {
    this.#from = from;
    this.#to = to;
    this.policy = policy;
  }

  diff(from: Schema, to: Schema, path: string): Difference[] {
    const [old, next] = [this.#parts(from, this.#from), this.#parts(to, this.#to)];
    // What nothing fits can become anything, and anything can become what everything fits.
    if (old === "nothing" || (next !== "nothing" && next.length === 0)) return [];
    if (next === "nothing" || old.length === 0) return [{ type: "TYPE_CHANGED", path }];
    if (old.length === 1 && next.length === 1) return this.#diffPart(old[0]!, next[0]!, path);
    return this.#diffProduct(old, next, path);
  }

  isCompatible(differences: readonly Difference[]): boolean {
    return !differences.some((difference) => isBreak(difference, this.policy));
  }

  /** "nothing": no value fits. Empty: every value does. */
  #parts(schema: Schema, root: SchemaObject): readonly Part[] | "nothing" {
    if (schema === false) return "nothing";
    if (schema === true) return [];
    const parts: Part[] = [];
    if (schema.$ref !== undefined) {
      const target = this.#parts(resolveRef(root, schema.$ref) ?? true, root);
      if (target === "nothing") return target;
      parts.push(...target);
    }
    const types = typeof schema.type === "string" ? [schema.type] : schema.type;
    if (types?.length === 1) parts.push({ kind: "typed", type: types[0]!, schema });
    else if (types) {
      // The keywords of a list of types hold for each of them.
      const { $ref, enum: _, const: __, allOf, anyOf, oneOf, not, ...own } = schema;
      parts.push({ kind: "sum", of: "anyOf", schemas: types.map((type) => ({ ...own, type })) });
    } else if (Object.keys(schema).some((keyword) => keyword in CONSTRAINTS)) parts.push({ kind: "untyped", schema });
    if (schema.enum) parts.push({ kind: "values", values: schema.enum });
    if ("const" in schema) parts.push({ kind: "values", values: [schema.const] });
    if (schema.allOf) {
      for (const each of schema.allOf) {
        const inner = this.#parts(each, root);
        if (inner === "nothing") return inner;
        parts.push(...inner);
      }
    }
    for (const keyword of ["anyOf", "oneOf"] as const) {
      const schemas = schema[keyword];
      if (schemas) parts.push({ kind: "sum", of: keyword, schemas });
    }
    if (schema.not !== undefined) parts.push({ kind: "not", schema: schema.not });
    return parts;
  }

  #diffPart(old: Part, next: Part, path: string): Difference[] {
    if (old.kind === "sum" || next.kind === "sum") return this.#diffSum(old, next, path);
    if (old.kind === "values" && next.kind === "values") return diffValues(old.values, next.values, path);
    if (old.kind === "not" && next.kind === "not") {
      const turned = new SchemaDiff(this.#to, this.#from, this.policy);
      const isNarrower = turned.isCompatible(turned.diff(next.schema, old.schema, path));
      const same = isNarrower && this.isCompatible(this.diff(old.schema, next.schema, path));
      return same ? [] : [{ type: isNarrower ? "NOT_TYPE_NARROWED" : "NOT_TYPE_EXTENDED", path }];
    }
    if (old.kind === "typed" && next.kind === "typed") {
      const changed = typeChange(old.type, next.type);
      if (changed === "TYPE_CHANGED") return [{ type: changed, path }];
      const within = this.#diffTyped(next.type, old.schema, next.schema, path);
      return changed ? [{ type: changed, path }, ...within] : within;
    }
    if (old.kind === "untyped" && next.kind === "untyped") {
      const types = new Set([...constrained(old.schema), ...constrained(next.schema)]);
      return [...types].flatMap((type) => this.#diffTyped(type, old.schema, next.schema, path));
    }
    if (old.kind === "typed" && next.kind === "untyped") {
      // It says nothing of other types; of this one it may.
      return [
        { type: "TYPE_EXTENDED", path },
        ...this.#diffTyped(old.type, old.schema, ofType(next.schema, old.type), path),
      ];
    }
    return [{ type: "TYPE_CHANGED", path }];
  }

  #diffTyped(type: JsonType, old: SchemaObject, next: SchemaObject, path: string): Difference[] {
    switch (type) {
      case "string":
        return diffString(old, next, path);
      case "number":
      case "integer":
        return diffNumber(old, next, path);
      case "object":
        return diffObject(this, old, next, path);
      case "array":
        return this.#diffArray(old, next, path);
      default:
        return [];
    }
  }

  #diffArray(old: SchemaObject, next: SchemaObject, path: string): Difference[] {
    const out = [
      ...diffBound("MAX_ITEMS", old.maxItems, next.maxItems, pointer(path, "maxItems")),
      ...diffBound("MIN_ITEMS", old.minItems, next.minItems, pointer(path, "minItems")),
    ];
    const [wasUnique, isUnique] = [old.uniqueItems ?? false, next.uniqueItems ?? false];
    if (wasUnique !== isUnique)
      out.push({ type: isUnique ? "UNIQUE_ITEMS_ADDED" : "UNIQUE_ITEMS_REMOVED", path: pointer(path, "uniqueItems") });
    const items = pointer(path, "items");
    if (old.items === undefined && next.items === undefined) return out;
    if (old.items === undefined)
      out.push(...(isAnything(next.items!) ? [] : [{ type: "SCHEMA_ADDED", path: items } as const]));
    else if (next.items === undefined) out.push({ type: "SCHEMA_REMOVED", path: items });
    else out.push(...this.diff(old.items, next.items, items));
    return out;
  }

  /** Both as conjunctions: each part of the newer has to follow from one of the older. */
  #diffProduct(old: readonly Part[], next: readonly Part[], path: string): Difference[] {
    const found = this.#matched(next, old, (to, from) => this.#diffPart(from, to, path));
    const out: Difference[] = [];
    if (next.length > old.length) out.push({ type: "PRODUCT_TYPE_EXTENDED", path });
    else if (next.length < old.length) out.push({ type: "PRODUCT_TYPE_NARROWED", path });
    if (found.pairs < Math.min(old.length, next.length))
      out.push({ type: "COMBINED_TYPE_SUBSCHEMAS_CHANGED", path }, ...found.broken);
    else out.push(...found.differences);
    return out;
  }

  #diffSum(old: Part, next: Part, path: string): Difference[] {
    const alternatives = (part: Part): readonly Part[][] =>
      part.kind === "sum" ? part.schemas.map((schema) => [{ kind: "product", schemas: [schema] }]) : [[part]];
    const [from, to] = [alternatives(old), alternatives(next)];
    const out: Difference[] = [];
    if (old.kind === "sum" && next.kind === "sum" && old.of !== next.of) {
      // Of several that may hold to exactly one that must: two that held together no longer do.
      out.push({ type: next.of === "anyOf" ? "COMBINED_TYPE_EXTENDED" : "COMBINED_TYPE_CHANGED", path });
    }
    // Exactly one of more: what held for one may hold for two.
    const diff = ([one]: Part[], [other]: Part[]) => this.#diffAlternative(one!, other!, path);
    if (old.kind !== "sum") {
      const fits = to.some((each) => this.isCompatible(diff(from[0]!, each)));
      return fits ? [{ type: "SUM_TYPE_EXTENDED", path }] : [{ type: "TYPE_CHANGED", path }];
    }
    if (next.kind !== "sum") {
      const broken = from.flatMap((each) => diff(each, to[0]!)).filter((each) => isBreak(each, this.policy));
      return broken.length === 0 ? out : [{ type: "SUM_TYPE_NARROWED", path }, ...broken];
    }
    const found = this.#matched(from, to, diff);
    if (to.length > from.length) out.push({ type: "SUM_TYPE_EXTENDED", path });
    else if (to.length < from.length) out.push({ type: "SUM_TYPE_NARROWED", path });
    if (found.pairs < Math.min(from.length, to.length))
      out.push({ type: "COMBINED_TYPE_SUBSCHEMAS_CHANGED", path }, ...found.broken);
    else out.push(...found.differences);
    return out;
  }

  #diffAlternative(old: Part, next: Part, path: string): Difference[] {
    const schemaOf = (part: Part): Schema | null => (part.kind === "product" ? part.schemas[0]! : null);
    const [from, to] = [schemaOf(old), schemaOf(next)];
    if (from !== null && to !== null) return this.diff(from, to, path);
    const fromParts = from === null ? [old] : this.#parts(from, this.#from);
    const toParts = to === null ? [next] : this.#parts(to, this.#to);
    if (fromParts === "nothing" || (toParts !== "nothing" && toParts.length === 0)) return [];
    if (toParts === "nothing" || fromParts.length === 0) return [{ type: "TYPE_CHANGED", path }];
    if (fromParts.length === 1 && toParts.length === 1) return this.#diffPart(fromParts[0]!, toParts[0]!, path);
    return this.#diffProduct(fromParts, toParts, path);
  }

  /** A largest set of pairs in which the second follows from the first, by augmenting paths (Kuhn). */
  #matched<L, R>(left: readonly L[], right: readonly R[], diff: (one: L, other: R) => Difference[]) {
    const between = left.map((one) => right.map((other) => diff(one, other)));
    const partner = new Array<number>(right.length).fill(-1);
    const tryFor = (l: number, seen: Set<number>): boolean => {
      for (const [r, differences] of between[l]!.entries()) {
        if (seen.has(r) || !this.isCompatible(differences)) continue;
        seen.add(r);
        if (partner[r] === -1 || tryFor(partner[r]!, seen)) {
          partner[r] = l;
          return true;
        }
      }
      return false;
    };
    const alone = left.flatMap((_, l) => (tryFor(l, new Set()) ? [] : [l]));
    const pairs = partner.filter((l) => l !== -1).length;
    const differences = partner.flatMap((l, r) => (l === -1 ? [] : between[l]![r]!));
    // What keeps one from the partner that it comes nearest to: what people want to read.
    const breaksOf = (all: readonly Difference[]) => all.filter((each) => isBreak(each, this.policy));
    const broken = alone.flatMap((l) =>
      between[l]!.map(breaksOf).reduce(
        (best, each) => (each.length < best.length ? each : best),
        breaksOf(between[l]![0] ?? []),
      ),
    );
    return { pairs, differences, broken };
  }
}

/** Whether every value fits, whatever it is. */
export const isAnything = (schema: Schema): boolean =>
  schema === true ||
  (typeof schema === "object" &&
    !["$ref", "type", "enum", "const", "allOf", "anyOf", "oneOf", "not", ...Object.keys(CONSTRAINTS)].some(
      (k) => k in schema,
    ));

const constrained = (schema: SchemaObject): JsonType[] =>
  Object.keys(schema).flatMap((keyword) => CONSTRAINTS[keyword] ?? []);

/** The keywords that say something of this type. */
function ofType(schema: SchemaObject, type: JsonType): SchemaObject {
  const wanted = type === "integer" ? "number" : type;
  return Object.fromEntries(Object.entries(schema).filter(([keyword]) => CONSTRAINTS[keyword] === wanted));
}

function typeChange(old: JsonType, next: JsonType): DifferenceType | null {
  if (old === next) return null;
  if (old === "integer" && next === "number") return "TYPE_EXTENDED";
  if (old === "number" && next === "integer") return "TYPE_NARROWED";
  return "TYPE_CHANGED";
}

function diffValues(old: readonly unknown[], next: readonly unknown[], path: string): Difference[] {
  const texts = (values: readonly unknown[]) => new Set(values.map(canonicalJson));
  const [was, is] = [texts(old), texts(next)];
  const gone = [...was].some((value) => !is.has(value));
  const come = [...is].some((value) => !was.has(value));
  const at = pointer(path, "enum");
  if (gone) return [{ type: come ? "ENUM_ARRAY_CHANGED" : "ENUM_ARRAY_NARROWED", path: at }];
  return come ? [{ type: "ENUM_ARRAY_EXTENDED", path: at }] : [];
}

function diffString(old: SchemaObject, next: SchemaObject, path: string): Difference[] {
  return [
    ...diffBound("MAX_LENGTH", old.maxLength, next.maxLength, pointer(path, "maxLength")),
    ...diffBound("MIN_LENGTH", old.minLength, next.minLength, pointer(path, "minLength")),
    ...diffText("PATTERN", old.pattern, next.pattern, pointer(path, "pattern")),
    ...diffText("FORMAT", old.format, next.format, pointer(path, "format")),
  ];
}

function diffNumber(old: SchemaObject, next: SchemaObject, path: string): Difference[] {
  const out = [
    ...diffBound("MAXIMUM", old.maximum, next.maximum, pointer(path, "maximum")),
    ...diffBound("MINIMUM", old.minimum, next.minimum, pointer(path, "minimum")),
    ...diffBound("EXCLUSIVE_MAXIMUM", old.exclusiveMaximum, next.exclusiveMaximum, pointer(path, "exclusiveMaximum")),
    ...diffBound("EXCLUSIVE_MINIMUM", old.exclusiveMinimum, next.exclusiveMinimum, pointer(path, "exclusiveMinimum")),
  ];
  const [was, is, at] = [old.multipleOf, next.multipleOf, pointer(path, "multipleOf")];
  if (was === is) return out;
  if (was === undefined) out.push({ type: "MULTIPLE_OF_ADDED", path: at });
  else if (is === undefined) out.push({ type: "MULTIPLE_OF_REMOVED", path: at });
  else if (was % is === 0) out.push({ type: "MULTIPLE_OF_REDUCED", path: at });
  else if (is % was === 0) out.push({ type: "MULTIPLE_OF_EXPANDED", path: at });
  else out.push({ type: "MULTIPLE_OF_CHANGED", path: at });
  return out;
}

type Bound =
  | "MAX_LENGTH"
  | "MIN_LENGTH"
  | "MAXIMUM"
  | "MINIMUM"
  | "EXCLUSIVE_MAXIMUM"
  | "EXCLUSIVE_MINIMUM"
  | "MAX_PROPERTIES"
  | "MIN_PROPERTIES"
  | "MAX_ITEMS"
  | "MIN_ITEMS";

export function diffBound(bound: Bound, was: number | undefined, is: number | undefined, path: string): Difference[] {
  if (was === is) return [];
  if (was === undefined) return [{ type: `${bound}_ADDED`, path }];
  if (is === undefined) return [{ type: `${bound}_REMOVED`, path }];
  return [{ type: is > was ? `${bound}_INCREASED` : `${bound}_DECREASED`, path }];
}

function diffText(
  keyword: "PATTERN" | "FORMAT",
  was: string | undefined,
  is: string | undefined,
  path: string,
): Difference[] {
  if (was === is) return [];
  if (was === undefined) return [{ type: `${keyword}_ADDED`, path }];
  return [{ type: is === undefined ? `${keyword}_REMOVED` : `${keyword}_CHANGED`, path }];
}
