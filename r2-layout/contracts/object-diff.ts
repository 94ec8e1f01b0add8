/**
 * What differs between two versions of an object. Which properties may come and go depends on its content model: open
 * (anything else is allowed: `additionalProperties` true or absent), closed (false), or partly open (a schema, or patterns).
 */
import type { Difference } from "./differences.ts";
import { pointer, type Schema, type SchemaObject } from "./json-schema.ts";
import { diffBound, isAnything, type SchemaDiff } from "./schema-diff.ts";

export function diffObject(diff: SchemaDiff, old: SchemaObject, next: SchemaObject, path: string): Difference[] {
  return [
    ...diffBound("MAX_PROPERTIES", old.maxProperties, next.maxProperties, pointer(path, "maxProperties")),
    ...diffBound("MIN_PROPERTIES", old.minProperties, next.minProperties, pointer(path, "minProperties")),
    ...diffAdditional(diff, old, next, path),
    ...diffPatterns(diff, old, next, path),
    ...diffDependent(old, next, path),
    ...diffProperties(diff, old, next, path),
    ...diffRequired(old, next, path),
  ];
}

type Properties = Readonly<Record<string, Schema>>;

const propertiesOf = (schema: SchemaObject): Properties => schema.properties ?? {};
const own = (properties: Properties, name: string): Schema | undefined =>
  Object.hasOwn(properties, name) ? properties[name] : undefined;

/** What the schemas for unnamed properties ask of this one, each of them; empty: anything. Null: it must not be there. */
function coverOf(schema: SchemaObject, name: string): readonly Schema[] | null {
  const patterns = Object.entries(schema.patternProperties ?? {}).filter(([text]) => new RegExp(text, "u").test(name));
  if (patterns.length > 0) return patterns.map(([, each]) => each);
  const others = schema.additionalProperties ?? true;
  if (others === false) return null;
  return isAnything(others) ? [] : [others];
}

const isOpen = (schema: SchemaObject): boolean =>
  isAnything(schema.additionalProperties ?? true) && Object.keys(schema.patternProperties ?? {}).length === 0;

function diffProperties(diff: SchemaDiff, old: SchemaObject, next: SchemaObject, path: string): Difference[] {
  const [was, is] = [propertiesOf(old), propertiesOf(next)];
  const out: Difference[] = [];
  for (const name of new Set([...Object.keys(was), ...Object.keys(is)])) {
    const at = pointer(pointer(path, "properties"), name);
    const [before, after] = [own(was, name), own(is, name)];
    if (before !== undefined && after !== undefined) out.push(...diff.diff(before, after, at));
    else if (after !== undefined) out.push(...added(diff, old, next, name, after, at));
    else if (before !== undefined) out.push(gone(diff, next, name, before, at));
  }
  return out;
}

function added(
  diff: SchemaDiff,
  old: SchemaObject,
  next: SchemaObject,
  name: string,
  schema: Schema,
  path: string,
): Difference[] {
  const cover = coverOf(old, name);
  const isRequired = next.required?.includes(name) ?? false;
  if (cover === null) {
    if (!isRequired) return [{ type: "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", path }];
    return hasDefault(schema)
      ? [{ type: "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL", path }]
      : [{ type: "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", path }];
  }
  // It was allowed, and in nobody's mind.
  const isMissing: Difference[] = isRequired && !hasDefault(schema) ? [{ type: "REQUIRED_ATTRIBUTE_ADDED", path }] : [];
  if (isOpen(old)) {
    const type = isAnything(schema)
      ? "PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL"
      : "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL";
    return [{ type, path }, ...isMissing];
  }
  // All of the cover hold for a value: it is enough that the schema follows from one of them.
  const isCovered = isAnything(schema) || cover.some((each) => diff.isCompatible(diff.diff(each, schema, path)));
  const type = isCovered
    ? "PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
    : "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL";
  return [{ type, path }, ...isMissing];
}

function gone(diff: SchemaDiff, next: SchemaObject, name: string, schema: Schema, path: string): Difference {
  if (isOpen(next)) return { type: "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL", path };
  const cover = coverOf(next, name);
  if (cover === null) {
    return schema === false
      ? { type: "PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL", path }
      : { type: "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", path };
  }
  return cover.every((each) => diff.isCompatible(diff.diff(schema, each, path)))
    ? { type: "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", path }
    : { type: "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", path };
}

/** Of properties that both versions have; what is new and required says so itself. */
function diffRequired(old: SchemaObject, next: SchemaObject, path: string): Difference[] {
  const [was, is] = [new Set(old.required), new Set(next.required)];
  const at = (name: string) => pointer(pointer(path, "required"), name);
  const out: Difference[] = [];
  for (const name of is) {
    const schema = own(propertiesOf(next), name);
    const isNew = own(propertiesOf(old), name) === undefined && schema !== undefined;
    if (was.has(name) || isNew) continue;
    const type =
      schema !== undefined && hasDefault(schema) ? "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED" : "REQUIRED_ATTRIBUTE_ADDED";
    out.push({ type, path: at(name) });
  }
  for (const name of was) if (!is.has(name)) out.push({ type: "REQUIRED_ATTRIBUTE_REMOVED", path: at(name) });
  return out;
}

function diffAdditional(diff: SchemaDiff, old: SchemaObject, next: SchemaObject, path: string): Difference[] {
  const [was, is] = [old.additionalProperties ?? true, next.additionalProperties ?? true];
  const at = pointer(path, "additionalProperties");
  if (isAnything(was) && isAnything(is)) return [];
  if (was === false && is === false) return [];
  if (was === false) return [{ type: "ADDITIONAL_PROPERTIES_ADDED", path: at }];
  if (is === false) return [{ type: "ADDITIONAL_PROPERTIES_REMOVED", path: at }];
  if (isAnything(is)) return [{ type: "ADDITIONAL_PROPERTIES_EXTENDED", path: at }];
  if (isAnything(was)) return [{ type: "ADDITIONAL_PROPERTIES_NARROWED", path: at }];
  return diff.diff(was, is, at);
}

/**
 * Patterns that both have are compared. One that is new asks something of names that were free; one that is gone leaves
 * its names to `additionalProperties`.
 */
function diffPatterns(diff: SchemaDiff, old: SchemaObject, next: SchemaObject, path: string): Difference[] {
  const [was, is] = [old.patternProperties ?? {}, next.patternProperties ?? {}];
  const others = next.additionalProperties ?? true;
  return [...new Set([...Object.keys(was), ...Object.keys(is)])].flatMap((text): Difference[] => {
    const at = pointer(pointer(path, "patternProperties"), text);
    const [before, after] = [own(was, text), own(is, text)];
    if (before !== undefined && after !== undefined) return diff.diff(before, after, at);
    if (after !== undefined) {
      const cover = old.additionalProperties ?? true;
      const isCovered = cover === false || diff.isCompatible(diff.diff(cover, after, at));
      return isCovered
        ? [{ type: "ADDITIONAL_PROPERTIES_EXTENDED", path: at }]
        : [{ type: "ADDITIONAL_PROPERTIES_NARROWED", path: at }];
    }
    const isCovered = others !== false && diff.isCompatible(diff.diff(before!, others, at));
    return isCovered
      ? [{ type: "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", path: at }]
      : [{ type: "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", path: at }];
  });
}

function diffDependent(old: SchemaObject, next: SchemaObject, path: string): Difference[] {
  const [was, is] = [old.dependentRequired ?? {}, next.dependentRequired ?? {}];
  return [...new Set([...Object.keys(was), ...Object.keys(is)])].flatMap((name): Difference[] => {
    const at = pointer(pointer(path, "dependentRequired"), name);
    const [before, after] = [
      Object.hasOwn(was, name) ? was[name] : undefined,
      Object.hasOwn(is, name) ? is[name] : undefined,
    ];
    if (!before) return [{ type: "DEPENDENCY_ARRAY_ADDED", path: at }];
    if (!after) return [{ type: "DEPENDENCY_ARRAY_REMOVED", path: at }];
    const more = after.some((each) => !before.includes(each));
    const fewer = before.some((each) => !after.includes(each));
    if (more && fewer) return [{ type: "DEPENDENCY_ARRAY_CHANGED", path: at }];
    if (more) return [{ type: "DEPENDENCY_ARRAY_EXTENDED", path: at }];
    return fewer ? [{ type: "DEPENDENCY_ARRAY_NARROWED", path: at }] : [];
  });
}

const hasDefault = (schema: Schema): boolean => typeof schema === "object" && "default" in schema;
