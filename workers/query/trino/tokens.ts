/** A statement's words, quotes, signs and blanks, enough to read what is around a query: commands and their names. */
import { Refused } from "../plan/refusal.ts";

export interface Token {
  readonly text: string;
  /** White space or a comment. */
  readonly isBlank: boolean;
  /** Where it stands in the text. */
  readonly at: number;
}

const BLANK = /\s+|--[^\n\r]*|\/\*[\s\S]*?\*\//y;
const WORD = /[A-Za-z_0-9$]+/y;

/** @throws Refused for a quote that does not end. */
export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < sql.length; ) {
    const text = tokenAt(sql, at);
    tokens.push({ text, isBlank: /^(\s|--|\/\*)/.test(text), at });
    at += text.length;
  }
  return tokens;
}

function tokenAt(sql: string, at: number): string {
  for (const pattern of [BLANK, WORD]) {
    pattern.lastIndex = at;
    const found = pattern.exec(sql);
    if (found) return found[0];
  }
  const quote = sql[at]!;
  if (quote !== "'" && quote !== '"') return quote;
  for (let i = at + 1; i < sql.length; i++) {
    if (sql[i] !== quote) continue;
    if (sql[i + 1] !== quote) return sql.slice(at, i + 1);
    i++;
  }
  throw new Refused("sql_error", "a quote has no end");
}

/** The text in quotes, or the word as it is. */
export function unquoted(token: string): string {
  const quote = token[0];
  return quote === "'" || quote === '"' ? token.slice(1, -1).replaceAll(quote + quote, quote) : token;
}
