/** What a client says of itself with each request, in headers: where names are looked up, properties, prepared statements. */
import { TrinoFailed } from "./errors.ts";

export interface TrinoSession {
  readonly user: string;
  readonly catalog: string;
  readonly schema: string;
  /** Properties by name. */
  readonly properties: Readonly<Record<string, string>>;
  /** Statements by the name that PREPARE gave them. */
  readonly prepared: Readonly<Record<string, string>>;
}

export const CATALOG = "eventpile";
export const SCHEMA_NAME = "default";

/** Clients that follow Trino's elder brother say Presto. */
const header = (headers: Headers, name: string): string | null =>
  headers.get(`x-trino-${name}`) ?? headers.get(`x-presto-${name}`);

/** @throws TrinoFailed for a header that cannot be read. */
export function sessionOf(headers: Headers): TrinoSession {
  return {
    user: header(headers, "user") ?? "eventpile",
    catalog: (header(headers, "catalog") || CATALOG).toLowerCase(),
    schema: (header(headers, "schema") || SCHEMA_NAME).toLowerCase(),
    properties: pairs(header(headers, "session")),
    prepared: pairs(header(headers, "prepared-statement")),
  };
}

/** `name=value,name=value`, the values as in a URL. */
function pairs(text: string | null): Record<string, string> {
  const found: Record<string, string> = Object.create(null);
  for (const pair of (text ?? "").split(",")) {
    const equals = pair.indexOf("=");
    if (equals < 0) continue;
    try {
      found[pair.slice(0, equals).trim()] = decodeURIComponent(
        pair
          .slice(equals + 1)
          .trim()
          .replaceAll("+", " "),
      );
    } catch {
      throw new TrinoFailed("GENERIC_USER_ERROR", `Invalid header: ${pair.slice(0, 100)}`);
    }
  }
  return found;
}

/** A property's answer in a question, or refused: a client that sets what is not there should know. */
export function questionOptions(properties: Readonly<Record<string, string>>): {
  as_of?: string;
  max_staleness_s?: number;
} {
  const { as_of, max_staleness_s } = properties;
  return {
    ...(as_of !== undefined && as_of !== "" && { as_of }),
    ...(max_staleness_s !== undefined && { max_staleness_s: Number(max_staleness_s) }),
  };
}

/** What SHOW SESSION lists: name, default, type, description. */
export const SESSION_PROPERTIES: readonly (readonly [string, string, string, string])[] = [
  ["as_of", "", "varchar", "The lake as it was: a snapshot's number, a time, or the name of a cut"],
  ["max_staleness_s", "0", "bigint", "Seconds by which an answer may be out of date, at most 60"],
];
