/** Looking into JSON of unknown shape. */

export type JsonObject = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const EMPTY: JsonObject = Object.freeze(Object.create(null));

/** The object itself, or an empty one for anything else: its members then read as undefined. */
export const objectOf = (value: unknown): JsonObject => (isObject(value) ? value : EMPTY);

/** A text that says something; a number as its text. Anything else, and the empty text, is undefined. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value === "" ? undefined : value;
  return typeof value === "number" && Number.isFinite(value) ? String(value) : undefined;
}

/** A finite number, also as text. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === "string" && /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?\s*$/i.test(value)) {
    const number = Number(value);
    return Number.isFinite(number) ? number : undefined;
  }
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** Whether objects and arrays nest deeper than `limit`; it never goes deeper itself. A flat object has depth 1. */
export function isDeeperThan(value: unknown, limit: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (limit === 0) return true;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const item = value[i];
      if (typeof item === "object" && item !== null && isDeeperThan(item, limit - 1)) return true;
    }
    return false;
  }
  for (const key in value) {
    const item = (value as JsonObject)[key];
    if (typeof item === "object" && item !== null && isDeeperThan(item, limit - 1)) return true;
  }
  return false;
}

/** What a value is, for people: `text`, `number`, `list`, … */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "list";
  return typeof value === "string" ? "text" : typeof value;
}
