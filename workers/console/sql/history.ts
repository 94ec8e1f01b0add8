/** Statements that were run in this browser, and those that were saved in it. Neither leaves it. */
import { StoredList } from "./stored-list.ts";

export interface PastRun {
  readonly sql: string;
  /** When it was started last, milliseconds since 1970. */
  readonly at: number;
  readonly outcome: "done" | "failed" | "cancelled";
  readonly tookMs: number;
  /** Of a statement that was answered. */
  readonly rows?: number;
  readonly bytesRead?: number;
}

export interface SavedStatement {
  readonly name: string;
  readonly sql: string;
  readonly savedAt: number;
}

/** A statement may have 64 KiB: some of that length take the place of many short ones. */
const CHARS_MAX = 1_000_000;
export const HISTORY_MAX = 300;
export const SAVED_MAX = 300;

export const history = new StoredList<PastRun>({
  key: "eventpile.console.sql.history",
  parse: parsePastRun,
  identity: ({ sql }) => sql,
  itemsMax: HISTORY_MAX,
  charsMax: CHARS_MAX,
});

export const saved = new StoredList<SavedStatement>({
  key: "eventpile.console.sql.saved",
  parse: parseSaved,
  identity: ({ name }) => name,
  itemsMax: SAVED_MAX,
  charsMax: CHARS_MAX,
});

/** Every word of what is sought stands somewhere in the statement or its name. */
export function matching<Item extends { readonly sql: string; readonly name?: string }>(
  items: readonly Item[],
  sought: string,
): readonly Item[] {
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return items;
  return items.filter((item) => {
    const text = `${item.name ?? ""} ${item.sql}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

function parsePastRun(value: unknown): PastRun | null {
  const { sql, at, outcome, tookMs, rows, bytesRead } = (value ?? {}) as Record<string, unknown>;
  if (typeof sql !== "string" || typeof at !== "number" || typeof tookMs !== "number") return null;
  if (outcome !== "done" && outcome !== "failed" && outcome !== "cancelled") return null;
  return {
    sql,
    at,
    outcome,
    tookMs,
    ...(typeof rows === "number" && { rows }),
    ...(typeof bytesRead === "number" && { bytesRead }),
  };
}

function parseSaved(value: unknown): SavedStatement | null {
  const { name, sql, savedAt } = (value ?? {}) as Record<string, unknown>;
  if (typeof name !== "string" || name === "" || typeof sql !== "string" || typeof savedAt !== "number") return null;
  return { name, sql, savedAt };
}
