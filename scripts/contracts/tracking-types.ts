/**
 * Contracts -> a TypeScript file with a type for each event's properties and a function that tracks it. The types come from
 * json-schema-to-typescript; the functions are for any SDK whose `track(event, properties)` is Segment's.
 */
import { compile, type JSONSchema } from "json-schema-to-typescript";
import type { Contract } from "../../r2-layout/contracts/contract.ts";
import type { Schema, SchemaObject } from "../../r2-layout/contracts/json-schema.ts";

const HEAD = `/* Made by \`npm run contracts -- types\` from the contracts of these events. Change those, not this. */
`;

/** @param contracts one version of each event, by name */
export async function trackingTypes(contracts: readonly Contract[]): Promise<string> {
  const names = uniqueNames(contracts.map(({ eventName }) => eventName));
  const types: string[] = [];
  for (const [i, contract] of contracts.entries()) types.push(await typeOf(contract, names[i]!));
  const members = contracts.map(({ eventName, meaning, version }, i) => {
    const [type, name] = [names[i]!, JSON.stringify(eventName)];
    return `    /** ${comment(meaning)} Contract version ${version}. */
    ${camel(type)}: (properties: ${type}) => analytics.track(${name}, properties),`;
  });
  return `${HEAD}
${types.join("\n")}
/** Any SDK with Segment's \`track\`. */
export interface Analytics<Result> {
  track(event: string, properties: object): Result;
}

/** A function for each event that has a contract. */
export function createTracker<Result>(analytics: Analytics<Result>) {
  return {
${members.join("\n")}
  };
}
`;
}

async function typeOf({ schema, meaning }: Contract, name: string): Promise<string> {
  const named = { ...(withoutTitles(schema) as SchemaObject), description: meaning } as JSONSchema;
  // A definition is a type of its own, and two contracts may have one of the same name.
  const { $defs = {} } = named as { $defs?: Record<string, JSONSchema> };
  for (const [definition, inner] of Object.entries($defs)) inner.title = `${name} ${definition}`;
  return compile(named, name, {
    bannerComment: "",
    format: true,
    unknownAny: true,
    style: { printWidth: 120 },
  });
}

/** Titles would name types, and several parts may have one. */
function withoutTitles(schema: Schema): Schema {
  if (typeof schema === "boolean") return schema;
  const { title: _, ...rest } = schema as SchemaObject & { title?: unknown };
  return Object.fromEntries(
    Object.entries(rest).map(([keyword, value]) => {
      if (SCHEMA_MAPS.includes(keyword))
        return [
          keyword,
          Object.fromEntries(Object.entries(value as object).map(([key, each]) => [key, withoutTitles(each)])),
        ];
      if (SCHEMA_LISTS.includes(keyword)) return [keyword, (value as Schema[]).map(withoutTitles)];
      return [keyword, SCHEMAS.includes(keyword) ? withoutTitles(value as Schema) : value];
    }),
  ) as SchemaObject;
}

const SCHEMA_MAPS = ["properties", "patternProperties", "$defs"];
const SCHEMA_LISTS = ["allOf", "anyOf", "oneOf"];
const SCHEMAS = ["items", "additionalProperties", "not"];

/** `Signed Up!` -> `SignedUp`, `2nd` -> `Event2Nd`; what would be the same gets a number. */
function uniqueNames(eventNames: readonly string[]): string[] {
  const taken = new Set<string>(["Analytics"]);
  return eventNames.map((eventName) => {
    const words = eventName.match(/[\p{L}\p{N}]+/gu) ?? [];
    // As the compiler of types spells them: also a letter behind a digit is a capital.
    const joined = words
      .map(capital)
      .join("")
      .replaceAll(/\d\p{Ll}/gu, (pair) => pair.toUpperCase());
    const base = /^\p{L}/u.test(joined) ? joined : `Event${joined}`;
    let name = base;
    for (let n = 2; taken.has(name); n++) name = `${base}${n}`;
    taken.add(name);
    return name;
  });
}

const capital = (word: string): string => word[0]!.toUpperCase() + word.slice(1);
const camel = (name: string): string => name[0]!.toLowerCase() + name.slice(1);

const comment = (text: string): string => text.replaceAll("*/", "*\\/").replaceAll(/\s+/g, " ").trim();
