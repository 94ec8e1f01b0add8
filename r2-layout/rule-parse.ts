/**
 * A rule's filter and change, read from what a request says: every field must be a column of `events` or a property,
 * every value must fit it, and what is not known is refused, because a misspelt condition would widen a retraction.
 */
import { type Column, EVENT_COLUMNS } from "./event-columns.ts";
import { INGEST, RULE } from "./limits.ts";
import { err, ok, type Result } from "./result.ts";
import type { RuleValue } from "./rule.ts";
import { type EventPlace, IDENTITY_FIELDS, type RuleChange, type RuleField, type RuleFilter } from "./rule.ts";
import { parseTime } from "./time.ts";
import { isLongerThan } from "./utf8.ts";

/** What is wrong, and where: `where.app_version`, `values.country`. */
export interface RuleMismatch {
  readonly field: string;
  readonly detail: string;
}

/** A field that holds one value, or `flags`, which holds a list of texts. */
interface FieldType {
  readonly name: RuleField;
  readonly column: Pick<Column, "type" | "required" | "maxBytes">;
}

const PROPERTY = "properties.";
const PROPERTY_COLUMN = { type: "utf8", required: false, maxBytes: INGEST.propertyValueBytes } as const;
const EVENT_TYPES: ReadonlySet<unknown> = new Set(["page", "screen", "track", "identify", "group", "alias"]);
/** A four-digit year: what SQL and people write. Microseconds. */
const LAST_TIME = Date.UTC(9999, 11, 31, 23, 59, 59, 999) * 1_000;

/** Thrown and caught in here: one way out of a nest of values. */
class Mismatch extends Error {
  readonly mismatch: RuleMismatch;

  constructor(field: string, detail: string) {
    super(detail);
    this.mismatch = { field, detail };
  }
}

/** A filter that names nothing at all is refused: it would mean every event there is. */
export function parseRuleFilter(value: unknown): Result<RuleFilter, RuleMismatch> {
  return attempt(() => {
    const given = record(value, "filter", ["from", "to", "where", "places"]);
    const filter: { -readonly [K in keyof RuleFilter]: RuleFilter[K] } = {};
    if (isGiven(given.from)) filter.from = time(given.from, "from");
    if (isGiven(given.to)) filter.to = time(given.to, "to");
    if (filter.from !== undefined && filter.to !== undefined && filter.from >= filter.to) {
      throw new Mismatch("to", "must be later than from");
    }
    if (isGiven(given.where)) {
      const where = fieldRecord(given.where, "where").map(([name, values]) => {
        const path = `where.${name}`;
        const type = fieldType(name, path);
        return [type.name, conditionValues(values, type, path)] as const;
      });
      filter.where = Object.fromEntries(where);
    }
    if (isGiven(given.places)) filter.places = places(given.places);
    if (Object.keys(filter).length === 0) throw new Mismatch("filter", "names no condition: every event would match");
    return bounded(filter, "filter");
  });
}

export function parseRuleChange(value: unknown): Result<RuleChange, RuleMismatch> {
  return attempt(() => {
    const { kind } = record(value, "change", ["kind", "values", "field"]);
    switch (kind) {
      case "retract":
        record(value, "change", ["kind"]);
        return { kind };
      case "set": {
        const given = fieldRecord(record(value, "change", ["kind", "values"]).values, "values");
        const values = given.map(([name, to]) => {
          const type = settable(name, `values.${name}`);
          return [type.name, newValue(to, type, `values.${name}`)] as const;
        });
        return bounded({ kind, values: Object.fromEntries(values) }, "change");
      }
      case "map": {
        const given = record(value, "change", ["kind", "field", "values"]);
        if (typeof given.field !== "string") throw new Mismatch("field", "names the field to map");
        const type = settable(given.field, "field");
        const entries = Object.entries(record(given.values, "values"));
        if (entries.length === 0) throw new Mismatch("values", "maps nothing");
        if (entries.length > RULE.mapped) throw new Mismatch("values", `maps at most ${RULE.mapped} values`);
        const values = entries.map(([from, to]) => [from, newValue(to, type, `values.${from}`)] as const);
        return bounded({ kind, field: type.name, values: Object.fromEntries(values) }, "change");
      }
      default:
        throw new Mismatch("kind", "is set, map or retract");
    }
  });
}

function fieldType(name: string, path: string): FieldType {
  if (name.startsWith(PROPERTY)) {
    if (isLongerThan(name, RULE.propertyNameBytes)) throw new Mismatch(path, "is too long a property's name");
    // In the lake such a name is another one than in the log.
    if (!name.isWellFormed() || name.includes("\0")) throw new Mismatch(path, "is no property's name");
    return { name: name as RuleField, column: PROPERTY_COLUMN };
  }
  if (name === "properties") throw new Mismatch(path, "is a map: name one of them, as properties.<name>");
  if (!Object.hasOwn(EVENT_COLUMNS, name)) throw new Mismatch(path, "is no column of events");
  return { name: name as RuleField, column: EVENT_COLUMNS[name as keyof typeof EVENT_COLUMNS] };
}

function settable(name: string, path: string): FieldType {
  const type = fieldType(name, path);
  if ((IDENTITY_FIELDS as readonly string[]).includes(name)) {
    throw new Mismatch(path, "says which event it is, and cannot be changed");
  }
  return type;
}

function conditionValues(given: unknown, type: FieldType, path: string): RuleValue[] {
  const values = Array.isArray(given) ? given : [given];
  if (values.length === 0) throw new Mismatch(path, "needs a value");
  if (values.length > RULE.values) throw new Mismatch(path, `takes at most ${RULE.values} values`);
  return values.map((value) => fitting(value, type, path));
}

function newValue(given: unknown, type: FieldType, path: string): RuleValue {
  const value = fitting(given, type, path);
  const { required, maxBytes } = type.column;
  if (value === null && required) throw new Mismatch(path, "is never without a value");
  if (typeof value === "string" && maxBytes !== undefined && isLongerThan(value, maxBytes)) {
    throw new Mismatch(path, `takes at most ${maxBytes} bytes`);
  }
  if (type.name === "event_type" && !EVENT_TYPES.has(value)) throw new Mismatch(path, "is no type of event");
  return value;
}

/** A value of the field's type. Times come as ISO text or microseconds, properties as what their text is made of. */
function fitting(value: unknown, { name, column }: FieldType, path: string): RuleValue {
  if (value === null) return null;
  switch (column.type) {
    case "utf8":
    case "list_utf8":
      if (typeof value === "string") return text(value, path);
      if (name.startsWith(PROPERTY) && (typeof value === "number" || typeof value === "boolean")) return String(value);
      throw new Mismatch(path, "takes a text");
    case "timestamp_us":
      return time(value, path);
    case "int32":
    case "int64": {
      const max = column.type === "int32" ? 2 ** 31 - 1 : Number.MAX_SAFE_INTEGER;
      if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= max) return value;
      throw new Mismatch(path, "takes a whole number");
    }
    case "float64":
      if (typeof value === "number" && Number.isFinite(value)) return value;
      throw new Mismatch(path, "takes a number");
    case "boolean": // None of the columns that a rule may name: a promoted one follows its property.
      throw new Mismatch(path, "cannot be named by a rule");
    case "map_utf8":
      throw new Mismatch(path, "is a map");
  }
}

function text(value: string, path: string): string {
  if (isLongerThan(value, INGEST.propertyValueBytes)) throw new Mismatch(path, "is too long");
  if (value.includes("\0")) throw new Mismatch(path, "has a NUL character, which no filter can name");
  return value.toWellFormed();
}

function time(value: unknown, path: string): number {
  const us = parseTime(value);
  if (us === null || us < 0 || us > LAST_TIME) throw new Mismatch(path, "is no time");
  return us;
}

function places(given: unknown): EventPlace[] {
  if (!Array.isArray(given) || given.length === 0) throw new Mismatch("places", "is a list of places");
  if (given.length > RULE.places) throw new Mismatch("places", `takes at most ${RULE.places} places`);
  return given.map((place: unknown, i) => {
    const path = `places.${i}`;
    const { shard, seq, source, event_id } = record(place, path, ["shard", "seq", "source", "event_id"]);
    const count = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
    if (!count(shard) || !count(seq)) throw new Mismatch(path, "has a shard and a seq, whole numbers");
    if (typeof source !== "string" || typeof event_id !== "string")
      throw new Mismatch(path, "has a source and an event_id");
    return { shard, seq, source: text(source, path), event_id: text(event_id, path) };
  });
}

function fieldRecord(value: unknown, path: string): [name: string, value: unknown][] {
  const entries = Object.entries(record(value, path));
  if (entries.length === 0) throw new Mismatch(path, "names no field");
  if (entries.length > RULE.fields) throw new Mismatch(path, `names at most ${RULE.fields} fields`);
  return entries;
}

function record(value: unknown, path: string, known?: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Mismatch(path, "is no object");
  for (const name of known ? Object.keys(value) : []) {
    if (!known!.includes(name)) throw new Mismatch(`${path}.${name}`, `is unknown; known are ${known!.join(", ")}`);
  }
  return value as Readonly<Record<string, unknown>>;
}

/** Null is as good as absent for a condition as a whole. */
const isGiven = (value: unknown): boolean => value !== undefined && value !== null;

function bounded<T>(value: T, path: string): T {
  if (isLongerThan(JSON.stringify(value), RULE.bytes)) throw new Mismatch(path, `is larger than ${RULE.bytes} bytes`);
  return value;
}

function attempt<T>(parse: () => T): Result<T, RuleMismatch> {
  try {
    return ok(parse());
  } catch (error) {
    if (error instanceof Mismatch) return err(error.mismatch);
    throw error;
  }
}
