/** Reading a syntax tree without leaving anything unread: what is not known to be empty is not understood. */
import { isNode, type Node } from "../plan/syntax-tree.ts";

/** The statement is none that rollups answer. Thrown inside the reader, which is a deep walk; it leaves it as null. */
export class NotAsked extends Error {}

export function notAsked(): never {
  throw new NotAsked();
}

/** The node, where all its other parts are empty. */
export function only(value: unknown, ...parts: readonly string[]): Node {
  if (!isNode(value)) return notAsked();
  for (const [name, part] of Object.entries(value)) {
    if (!parts.includes(name) && !SILENT.has(name) && !isEmpty(part)) notAsked();
  }
  return value;
}

/** The content of a node of this kind, and of no other. */
export function strictKind(value: unknown, name: string, ...parts: readonly string[]): Node | null {
  if (!isNode(value) || !isNode(value[name])) return null;
  return only(only(value, name)[name], ...parts);
}

/** They say where something stands, not what it is. */
const SILENT: ReadonlySet<string> = new Set(["span", "select_token", "closing_token"]);

const isEmpty = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === false ||
  value === "None" ||
  (Array.isArray(value) && value.length === 0);
