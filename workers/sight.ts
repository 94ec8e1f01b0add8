/**
 * What a reader sees of the rows: all of them, or those of some sources, and each column as it is, or masked. The edge knows
 * the token and says so in a header of its own; a view within the engine (query/engine/views.ts) and the support answers
 * (edge/mask.ts) keep to it.
 *
 * A masked identifier becomes a pseudonym, so that it can still be counted, grouped and joined; any other value becomes null.
 * The same value is the same pseudonym for everybody and for good, so who may send events can find out the pseudonym of a
 * value by sending it: it keeps people from reading, it does not make anonymous.
 */
import { EVENT_COLUMNS, type TableName } from "../r2-layout/event-columns.ts";

export interface Sight {
  /** Rows of these sources only; null: of all. */
  readonly sources: readonly string[] | null;
  /** Columns whose values are not told. */
  readonly masked: readonly string[];
  /** With which pseudonyms are made. */
  readonly pseudonymKey: string;
}

/** From the edge to the query Worker; absent: all is seen. */
export const SIGHT_HEADER = "x-eventpile-sight";

const IDENTIFIERS: ReadonlySet<string> = new Set(["user_id", "anonymous_id", "session_id"]);

/** By which rows are found, ordered or counted; they say nothing of a person. */
const NEVER_MASKED: ReadonlySet<string> = new Set([
  "event_id",
  "event_name",
  "event_type",
  "event_time",
  "received_at",
  "source",
  "log_shard",
  "log_seq",
]);

/** What broke a contract, in the sender's own words: any value may be in it. */
const VERBATIM: ReadonlySet<string> = new Set(["raw", "actual", "expected"]);

/** @param names of the columns of `events` that are masked, as configured. @throws TypeError where one cannot be. */
export function parseMaskedColumns(config: string | undefined): readonly string[] {
  if (!config) return [];
  const names: unknown = JSON.parse(config);
  if (!Array.isArray(names)) throw new TypeError("MASKED_COLUMNS is no list");
  for (const name of names) {
    if (typeof name !== "string" || !/^[a-z][a-z0-9_]{0,99}$/.test(name)) {
      throw new TypeError(`MASKED_COLUMNS: ${JSON.stringify(name)} is no name of a column`);
    }
    if (NEVER_MASKED.has(name)) throw new TypeError(`MASKED_COLUMNS: ${name} cannot be masked`);
  }
  return names as readonly string[];
}

/**
 * Columns that were promoted out of the properties are masked with them, and so is all that a broken event has verbatim, where
 * anything is masked at all.
 */
export function isMasked({ masked }: Pick<Sight, "masked">, table: TableName, column: string): boolean {
  if (masked.length === 0 || NEVER_MASKED.has(column)) return false;
  if (masked.includes(column)) return true;
  if (table === "quarantine") return VERBATIM.has(column);
  return masked.includes("properties") && !Object.hasOwn(EVENT_COLUMNS, column);
}

export const isIdentifier = (column: string): boolean => IDENTIFIERS.has(column);

/** Of a pseudonym, before the hash. */
export const PSEUDONYM = { prefix: "masked:", digits: 32 } as const;

/** @returns null where all is seen. @throws SyntaxError where the header is not one of ours: then nothing is to be shown. */
export function sightOf(headers: Headers): Sight | null {
  const text = headers.get(SIGHT_HEADER);
  return text === null ? null : (JSON.parse(decodeURIComponent(text)) as Sight);
}

/** Headers carry no characters beyond Latin-1, and the name of a source may. */
export function withSight(headers: Headers, sight: Sight | null): Headers {
  if (sight) headers.set(SIGHT_HEADER, encodeURIComponent(JSON.stringify(sight)));
  return headers;
}
