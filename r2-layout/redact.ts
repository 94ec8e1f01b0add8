/**
 * Names of erased people out of JSON: each text or member's name that is one of them becomes its placeholder. A placeholder
 * hashes to what the name did (subjects.ts), so that a rule about a person whom an erasure names stays a rule about that person.
 */
import { placeholderOf, type SubjectHash } from "./subjects.ts";

/** Null where none of them is in it. */
export function redacted(value: unknown, names: ReadonlyMap<string, string>): { readonly value: unknown } | null {
  if (typeof value === "string") {
    const placeholder = names.get(value);
    return placeholder === undefined ? null : { value: placeholder };
  }
  if (typeof value !== "object" || value === null) return null;
  let found = false;
  const replace = (each: unknown): unknown => {
    const change = redacted(each, names);
    if (change) found = true;
    return change ? change.value : each;
  };
  const copy = Array.isArray(value)
    ? value.map(replace)
    : Object.fromEntries(Object.entries(value).map(([name, each]) => [replace(name), replace(each)]));
  return found ? { value: copy } : null;
}

/** Of JSON text. Null where none of them is in it. */
export function redactedJson(text: string | null, names: ReadonlyMap<string, string>): string | null {
  if (text === null) return null;
  const change = redacted(JSON.parse(text), names);
  return change && JSON.stringify(change.value);
}

/** @param subjects plain identifiers, with the hash of each */
export const placeholders = (subjects: Iterable<readonly [id: string, hash: SubjectHash]>): Map<string, string> =>
  new Map(Array.from(subjects, ([id, hash]) => [id, placeholderOf(hash)]));
