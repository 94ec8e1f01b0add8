/**
 * JSON as text: a value is found in it by a path and given as it stands there, so that numbers keep all their digits.
 * Text that is no JSON has no values.
 */

/** A member's name, an index, or an index from the end (-1 is the last). */
export type Step = string | number;

/**
 * Reads `$.a.b[0]`, `$."x y"`, `$[#-1]`, `/a/0`, or a bare name, which is one step.
 * @throws Error where a path begins like one and goes on like none, or has a wildcard.
 */
export function parsePath(path: string): Step[] {
  if (path.startsWith("/")) {
    const parts = path.slice(1).split("/");
    return parts.map((part) =>
      /^(0|[1-9]\d*)$/.test(part) ? Number(part) : part.replaceAll("~1", "/").replaceAll("~0", "~"),
    );
  }
  if (!path.startsWith("$")) return [path];
  const steps: Step[] = [];
  let at = 1;
  while (at < path.length) {
    STEP.lastIndex = at;
    const found = STEP.exec(path);
    if (!found) throw new Error(`the JSON path ${path} cannot be read at its character ${at + 1}`);
    const [all, quoted, name, fromEnd, index] = found;
    if (quoted !== undefined) steps.push(quoted);
    else if (name !== undefined) steps.push(name);
    else steps.push(fromEnd === undefined ? Number(index) : -Number(fromEnd));
    at += all.length;
  }
  return steps;
}

const STEP = /\.(?:"([^"]*)"|([^.[\]"*]+))|\[(?:#-(\d{1,9})|(-?\d{1,9}))\]/y;

/** @returns the value's text without white space, or null where there is none. */
export function jsonAt(text: string, steps: readonly Step[]): string | null {
  if (!isJson(text)) return null;
  let at = skipSpace(text, 0);
  for (const step of steps) {
    const next = typeof step === "string" ? memberAt(text, at, step) : itemAt(text, at, step);
    if (next === null) return null;
    at = next;
  }
  return compact(text.slice(at, valueEnd(text, at)));
}

/** What `->>` gives of a value: a text without its quotes, nothing for null, anything else as it is. */
export function asText(json: string | null): string | null {
  if (json === null || json === "null") return null;
  return json.startsWith('"') ? (JSON.parse(json) as string) : json;
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The places of an array's items, or of an object's members' names. None for any other value. */
export function* places(text: string, from: number): Generator<number> {
  const open = text[from];
  if (open !== "[" && open !== "{") return;
  let at = skipSpace(text, from + 1);
  while (text[at] !== "]" && text[at] !== "}") {
    yield at;
    if (open === "{") at = skipSpace(text, skipSpace(text, stringEnd(text, at)) + 1);
    at = skipSpace(text, valueEnd(text, at));
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
}

export const nameAt = (text: string, at: number): string => JSON.parse(text.slice(at, stringEnd(text, at))) as string;

function memberAt(text: string, from: number, name: string): number | null {
  if (text[from] !== "{") return null;
  for (const at of places(text, from)) {
    if (nameAt(text, at) === name) return skipSpace(text, skipSpace(text, stringEnd(text, at)) + 1);
  }
  return null;
}

function itemAt(text: string, from: number, index: number): number | null {
  if (text[from] !== "[") return null;
  return [...places(text, from)].at(index) ?? null;
}

const SPACE = " \t\n\r";

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && SPACE.includes(text[at]!)) at++;
  return at;
}

function stringEnd(text: string, from: number): number {
  let at = from + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

/** @returns the index after the value that begins at `from`, in text that is JSON. */
function valueEnd(text: string, from: number): number {
  let depth = 0;
  let at = from;
  do {
    const char = text[at]!;
    if (char === '"') at = stringEnd(text, at);
    else {
      if (char === "{" || char === "[") depth++;
      else if (char === "}" || char === "]") depth--;
      else if (depth === 0) return scalarEnd(text, at);
      at++;
    }
  } while (depth > 0);
  return at;
}

function scalarEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && !`${SPACE},]}`.includes(text[at]!)) at++;
  return at;
}

/** Without white space outside texts; escapes that are not needed are written out. */
function compact(json: string): string {
  return json.replaceAll(/"(?:[^"\\]|\\.)*"|\s+/gs, (part) => {
    if (!part.startsWith('"')) return "";
    return part.includes("\\") ? JSON.stringify(JSON.parse(part)) : part;
  });
}
