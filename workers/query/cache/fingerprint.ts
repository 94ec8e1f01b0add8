/**
 * What an answer depends on, as a hash: the statement as it is run, its format, and of each table the files that are read,
 * the columns that there are and where its rows end. Files never change, so the same fingerprint is the same answer,
 * however many commits lie between; a commit of other days changes nothing. Whoever asks is no part of it, but what they see
 * of the rows is.
 */
import type { Sight } from "../../sight.ts";
import type { EngineStatement } from "../engine/statement.ts";
import { plainText } from "../plan/plain-text.ts";

/** Functions and words whose value is another one each time. What means "now" is a literal by the time it gets here. */
const VOLATILE =
  /\b(random|uuid|gen_random_uuid|get_current_time|current_time|current_localtime|current_localtimestamp|localtime|localtimestamp|age|reservoir_quantile|sample|tablesample)\b/i;

const QUOTED = /'(?:[^']|'')*'|"(?:[^"]|"")*"/g;

/** @param sql written plainly. A name that only looks like one of them costs a run, never a wrong answer. */
export const isVolatile = (sql: string): boolean => VOLATILE.test(sql.replaceAll(QUOTED, "''"));

export function resultKey({
  sql,
  format,
  limit,
  tables,
}: Pick<EngineStatement, "sql" | "format" | "limit" | "tables">): Promise<string> {
  const read = tables.map(({ table, files, promoted, before, sight }) => [
    table,
    files.map(({ key }) => key),
    promoted ?? [],
    before ?? null,
    sight ?? null,
  ]);
  return sha256(["result", sql, format, limit ?? null, read]);
}

/**
 * What a question says, whenever it is asked: `now()` in it is left open. For who accepts the answer of a moment ago.
 * @param sql with its parameters bound. @throws Refused as the planner does
 */
export function questionKey(
  sql: string,
  { format, limit, as_of, sight }: { format: string; limit?: number | undefined; as_of?: unknown; sight: Sight | null },
): Promise<string> {
  return sha256(["question", plainText(sql, 0), format, limit ?? null, as_of ?? null, sight]);
}

async function sha256(parts: unknown): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(parts)));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
