/**
 * The parser's tree (datafusion-sqlparser's, as JSON) as far as the planner looks at it. A node is an object with one
 * key that names its kind; this file reads them without trusting their shape.
 */

export type Node = { readonly [key: string]: unknown };

export const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const nodes = (value: unknown): Node[] => (Array.isArray(value) ? value.filter(isNode) : []);

/** The content of a node of this kind. */
export function kind(value: unknown, name: string): Node | null {
  const inner = isNode(value) ? value[name] : undefined;
  return isNode(inner) ? inner : null;
}

/** The text of an Ident. Unquoted and quoted names alike are compared without case, as DuckDB does. */
export function identText(value: unknown): string | null {
  return isNode(value) && typeof value.value === "string" ? value.value.toLowerCase() : null;
}

/** `["events"]`, `["e", "event_time"]`: the parts of a column reference, or null for any other expression. */
export function columnPath(expression: unknown): string[] | null {
  if (!isNode(expression)) return null;
  const single = identText(expression.Identifier);
  if (single !== null) return [single];
  if (!Array.isArray(expression.CompoundIdentifier)) return null;
  const parts = expression.CompoundIdentifier.map(identText);
  return parts.every((part) => part !== null) ? parts : null;
}

/** The parts of an object's name, or null where a part is no plain identifier. */
export function objectName(value: unknown): { parts: string[]; quotes: (string | null)[] } | null {
  if (!Array.isArray(value)) return null;
  const parts: string[] = [];
  const quotes: (string | null)[] = [];
  for (const part of value) {
    const ident = isNode(part) ? part.Identifier : null;
    const text = identText(ident);
    if (text === null) return null;
    parts.push(text);
    quotes.push(isNode(ident) && typeof ident.quote_style === "string" ? ident.quote_style : null);
  }
  return { parts, quotes };
}

/** The text of a string literal, or null. */
export function stringLiteral(expression: unknown): string | null {
  const text = literalValue(expression)?.SingleQuotedString;
  return typeof text === "string" ? text : null;
}

/** The text of a number literal, or null. */
export function numberLiteral(expression: unknown): string | null {
  const number = literalValue(expression)?.Number;
  return Array.isArray(number) && typeof number[0] === "string" ? number[0] : null;
}

function literalValue(expression: unknown): Node | null {
  const outer = kind(expression, "Value");
  return outer && isNode(outer.value) ? outer.value : null;
}

/** An expression without the brackets around it. */
export function unwrapped(expression: unknown): unknown {
  let inner = expression;
  while (isNode(inner) && "Nested" in inner) inner = inner.Nested;
  return inner;
}
