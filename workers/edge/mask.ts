/** What support is told where columns are masked for who asks (sight.ts): the same pseudonyms as in SQL. */
import { createHash } from "node:crypto";
import { isIdentifier, isMasked, PSEUDONYM, type Sight } from "../sight.ts";

/** Members that hold figures under names of events, which may be called as a column is. */
const BY_EVENT: ReadonlySet<string> = new Set(["counts", "by_event"]);

/** Of a session: the path of a page, or a screen's name. */
const OF_PLACES: ReadonlySet<string> = new Set(["entry", "exit"]);
const PLACE_COLUMNS = ["page_path", "properties"] as const;

type Json = Readonly<Record<string, unknown>>;

/** Members that hold properties and traits under names of the sender's. */
const OF_PROPERTIES: ReadonlySet<string> = new Set(["last_values", "email"]);

/**
 * @param sight null: all is seen. @returns the value with what is masked replaced, however deep: an event's columns, those of
 * a session, a profile, or a match.
 */
export function masked<T>(value: T, sight: Sight | null): T {
  return sight === null || sight.masked.length === 0 ? value : (maskedValue(value, sight) as T);
}

function maskedValue(value: unknown, sight: Sight): unknown {
  if (Array.isArray(value)) return value.map((member) => maskedValue(member, sight));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value as Json).map(([name, member]) => [name, maskedMember(name, member, value as Json, sight)]),
  );
}

function maskedMember(name: string, member: unknown, of: Json, sight: Sight): unknown {
  if (OF_PLACES.has(name) && "pages" in of) return PLACE_COLUMNS.some((one) => isListed(one, sight)) ? null : member;
  const column = columnOf(name, of);
  if (column !== null && isListed(column, sight)) {
    return isIdentifier(column) && typeof member === "string" ? pseudonym(member, sight) : null;
  }
  return column === "properties" || BY_EVENT.has(name) ? member : maskedValue(member, sight);
}

/** Which column's value a member of an answer is; null: none of one. */
function columnOf(name: string, of: Json): string | null {
  if (OF_PROPERTIES.has(name)) return "properties";
  if (name === "id") {
    // Of a match of a lookup, or of a session.
    if (of.kind !== undefined) return of.kind === "user" ? "user_id" : of.kind === "device" ? "anonymous_id" : null;
    return "entry" in of ? "session_id" : null;
  }
  return name;
}

const isListed = (column: string, sight: Sight): boolean =>
  sight.masked.includes(column) && isMasked(sight, "events", column);

export function pseudonym(value: string, { pseudonymKey }: Sight): string {
  const hash = createHash("sha256")
    .update(pseudonymKey + value)
    .digest("hex");
  return PSEUDONYM.prefix + hash.slice(0, PSEUDONYM.digits);
}
