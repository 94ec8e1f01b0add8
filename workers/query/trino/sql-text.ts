/** Names and texts of a statement, and what is said of those that cannot be printed. */
import { Refused } from "../plan/refusal.ts";
import { isNode } from "../plan/syntax-tree.ts";

const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A name for text: as it is where every reader takes it so. */
export const quoted = (name: string): string => (PLAIN_NAME.test(name) ? name : inQuotes(name));

export const inQuotes = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const unsupported = (what: string): Refused =>
  new Refused("unsupported_syntax", `${what} is not supported here`);

/** Parts of a dotted name as they were written. */
export function objectParts(name: unknown): string[] {
  if (!Array.isArray(name)) throw unsupported("this name");
  return name.map((part) => {
    const ident = isNode(part) ? (part.Identifier ?? part) : part;
    if (!isNode(ident) || typeof ident.value !== "string") throw unsupported("this name");
    return ident.value;
  });
}

export const kindOf = (node: unknown): string => (isNode(node) ? (Object.keys(node)[0] ?? "nothing") : String(node));
