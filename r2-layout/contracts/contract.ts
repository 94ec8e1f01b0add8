/**
 * A contract: what one version of one event may hold, and what it means. It is one JSON Schema document over the event's properties
 * (the traits, of identify and group), kept in the producers' repository; what JSON Schema has no word for stands in members that
 * begin with `x-`, which validators pass over:
 *
 *     { "$schema": "https://json-schema.org/draft/2020-12/schema",
 *       "x-event": "Signed up", "x-version": 2, "x-owner": "growth@example.com",
 *       "description": "A person has an account from now on.",
 *       "x-expectations": { "freshness_minutes": 60, "clock_skew_minutes": 10, "present": { "plan": 0.98 } },
 *       "type": "object", "additionalProperties": false, "required": ["plan"],
 *       "properties": { "plan": { "type": "string", "description": "What is paid for." },
 *                       "price": { "type": "number", "x-unit": "EUR a month" },
 *                       "email": { "type": "string", "format": "email", "x-pii": { "class": "email", "treatment": "hash" } } } }
 */
import { EVENT_COLUMNS } from "../event-columns.ts";
import { CONTRACT } from "../limits.ts";
import { err, ok, type Result } from "../result.ts";
import { isLongerThan } from "../utf8.ts";
import { parseSchema, pointer, type SchemaFault, type SchemaObject } from "./json-schema.ts";

/** What the quarantine says of an event that does not keep to its contract: short and stable. */
export const VIOLATED = "contract_violated";

/** What kind of thing about a person a field says. */
export const PII_CLASSES = [
  "name",
  "email",
  "phone",
  "address",
  "identifier",
  "financial",
  "location",
  "free_text",
] as const;
export type PiiClass = (typeof PII_CLASSES)[number];
/** What becomes of it before it reaches the log. */
export const PII_TREATMENTS = ["keep", "drop", "hash", "truncate", "encrypt"] as const;
export type PiiTreatment = (typeof PII_TREATMENTS)[number];

export interface PiiField {
  /** Names of properties, from the outermost in. */
  readonly path: readonly string[];
  readonly class: PiiClass;
  readonly treatment: PiiTreatment;
}

/** What is normal for this event; looked at by the hour, for each source. */
export interface Expectations {
  /** An event at least so often. */
  readonly freshnessMinutes: number | null;
  /** How far a sender's clock may be off. */
  readonly clockSkewMinutes: number | null;
  /** Events of an hour. */
  readonly perHour: { readonly min: number | null; readonly max: number | null };
  /** By property: the least share of events that have it, 0 to 1. */
  readonly present: Readonly<Record<string, number>>;
}

export interface Contract {
  readonly eventName: string;
  readonly version: number;
  /** What the event means. */
  readonly meaning: string;
  readonly owner: string;
  readonly expectations: Expectations;
  readonly pii: readonly PiiField[];
  readonly schema: SchemaObject;
}

type Members = Readonly<Record<string, unknown>>;

/** @param document parsed JSON. */
export function parseContract(document: unknown): Result<Contract, SchemaFault> {
  const schema = parseSchema(document);
  if (!schema.ok) return schema;
  const members = document as Members;
  try {
    return ok({
      eventName: textOf(members, "x-event", EVENT_COLUMNS.event_name.maxBytes),
      version: versionOf(members),
      meaning: textOf(members, "description", CONTRACT.textBytes),
      owner: textOf(members, "x-owner", CONTRACT.textBytes),
      expectations: expectationsOf(members["x-expectations"], schema.value),
      pii: piiOf(schema.value, "#", []),
      schema: schema.value,
    });
  } catch (error) {
    if (error instanceof Unfit) return err(error.fault);
    throw error;
  }
}

class Unfit extends Error {
  readonly fault: SchemaFault;
  constructor(path: string, detail: string) {
    super(detail);
    this.fault = { path, detail };
  }
}

function textOf(members: Members, name: string, maxBytes: number): string {
  const text = members[name];
  if (typeof text !== "string" || text.trim() === "") throw new Unfit(pointer("#", name), "must be a text, not empty");
  if (isLongerThan(text, maxBytes)) throw new Unfit(pointer("#", name), `is longer than ${maxBytes} bytes`);
  return text;
}

function versionOf(members: Members): number {
  const version = members["x-version"];
  if (!Number.isSafeInteger(version) || (version as number) < 1 || (version as number) > CONTRACT.versions)
    throw new Unfit("#/x-version", `must be a whole number from 1 to ${CONTRACT.versions}`);
  return version as number;
}

const EXPECTED = ["freshness_minutes", "clock_skew_minutes", "per_hour", "present"];

function expectationsOf(given: unknown, { properties = {} }: SchemaObject): Expectations {
  const at = "#/x-expectations";
  const { freshness_minutes, clock_skew_minutes, per_hour, present } = recordOf(given ?? {}, at, EXPECTED);
  const { min, max } = recordOf(per_hour ?? {}, `${at}/per_hour`, ["min", "max"]);
  const shares = recordOf(present ?? {}, `${at}/present`);
  for (const [name, share] of Object.entries(shares)) {
    const path = pointer(`${at}/present`, name);
    if (!Object.hasOwn(properties, name)) throw new Unfit(path, "is no property of this contract");
    if (typeof share !== "number" || !(share >= 0 && share <= 1)) throw new Unfit(path, "must be a share from 0 to 1");
  }
  return {
    freshnessMinutes: amountOf(freshness_minutes, `${at}/freshness_minutes`),
    clockSkewMinutes: amountOf(clock_skew_minutes, `${at}/clock_skew_minutes`),
    perHour: { min: amountOf(min, `${at}/per_hour/min`), max: amountOf(max, `${at}/per_hour/max`) },
    present: shares as Record<string, number>,
  };
}

function recordOf(given: unknown, path: string, known?: readonly string[]): Members {
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw new Unfit(path, "must be an object");
  const odd = known && Object.keys(given).find((name) => !known.includes(name));
  if (odd !== undefined) throw new Unfit(pointer(path, odd), `is not known; there are ${known!.join(", ")}`);
  return given as Members;
}

function amountOf(given: unknown, path: string): number | null {
  if (given === undefined) return null;
  if (typeof given !== "number" || !(given >= 0) || !Number.isFinite(given))
    throw new Unfit(path, "must be a number from 0 on");
  return given;
}

/** Fields of the event and of objects in it; what lies in lists or behind a definition or an alternative has no one place. */
function piiOf(schema: SchemaObject, path: string, names: readonly string[]): PiiField[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    if (typeof field === "boolean") return [];
    const at = pointer(`${path}/properties`, name);
    const inner = piiOf(field, at, [...names, name]);
    const mark = (field as Members)["x-pii"];
    if (mark === undefined) return inner;
    const { class: kind, treatment } = recordOf(mark, `${at}/x-pii`, ["class", "treatment"]);
    const found = {
      path: [...names, name],
      class: oneOf(kind, `${at}/x-pii/class`, PII_CLASSES),
      treatment: oneOf(treatment, `${at}/x-pii/treatment`, PII_TREATMENTS),
    };
    return [found, ...inner];
  });
}

function oneOf<T extends string>(given: unknown, path: string, known: readonly T[]): T {
  if (!known.includes(given as T)) throw new Unfit(path, `must be one of ${known.join(", ")}`);
  return given as T;
}
