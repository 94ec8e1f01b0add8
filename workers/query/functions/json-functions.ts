/** What SQL's JSON functions compute, as plain functions of texts; null is SQL's. */
import { asText, isJson, jsonAt, nameAt, parsePath, places, type Step } from "./json-text.ts";

/** Paths are mostly constants, so the last few are kept. */
const paths = new Map<string, readonly Step[]>();
const PATHS_MAX = 64;

function stepsOf(path: string): readonly Step[] {
  const known = paths.get(path);
  if (known) return known;
  if (paths.size >= PATHS_MAX) paths.clear();
  const steps = parsePath(path);
  paths.set(path, steps);
  return steps;
}

export const extract = (json: string, path: string): string | null => jsonAt(json, stepsOf(path));
export const extractText = (json: string, path: string): string | null => asText(extract(json, path));

/** The name of the entry that a path begins with, in a map: of `$.address.city`, `address`. */
export function mapKey(path: string): string | null {
  const [first] = stepsOf(path);
  return first === undefined ? null : String(first);
}

/** A map's value is a text, or the JSON of what was none: the rest of the path leads on into that. */
export function extractEntry(value: string, path: string): string | null {
  const rest = stepsOf(path).slice(1);
  const json = isJson(value) ? value : JSON.stringify(value);
  return jsonAt(json, rest);
}

export function extractEntryText(value: string, path: string): string | null {
  const rest = stepsOf(path).slice(1);
  return rest.length === 0 ? value : asText(jsonAt(value, rest));
}

export const valid = (json: string): boolean => isJson(json);

export function arrayLength(json: string): number | null {
  const value = jsonAt(json, []);
  if (value === null) return null;
  return value.startsWith("[") ? [...places(value, 0)].length : 0;
}

/** The names of an object's members, each behind a separator. */
export function keys(json: string): string | null {
  const value = jsonAt(json, []);
  if (value === null) return null;
  return value.startsWith("{") ? [...places(value, 0)].map((at) => SEPARATOR + nameAt(value, at)).join("") : "";
}

/** What no name has but by way of an escape. */
export const SEPARATOR = "\u001f";

export function type(json: string): string | null {
  const value = jsonAt(json, []);
  if (value === null) return null;
  const byFirst: Record<string, string> = {
    "{": "OBJECT",
    "[": "ARRAY",
    '"': "VARCHAR",
    t: "BOOLEAN",
    f: "BOOLEAN",
    n: "NULL",
  };
  const known = byFirst[value[0]!];
  if (known) return known;
  if (/[.eE]/.test(value)) return "DOUBLE";
  return value.startsWith("-") ? "BIGINT" : "UBIGINT";
}

/** A text as JSON's. */
export const quoted = (text: string): string => JSON.stringify(text);
