/**
 * Where in the editor's text the server's words point. The server writes a statement on one line, without comments and
 * with the moment in the place of now(), so its columns are not the editor's: the words around the place are sought. Pure.
 */
import { type Token, tokensOf } from "./tokens.ts";

/** Characters of the statement. */
export interface Place {
  readonly from: number;
  readonly to: number;
}

/** Words before the place that are compared, at most: two `id`s of a statement rarely have the same six before them. */
const WORDS_BEFORE = 6;

export function errorPlace(sql: string, detail: string): Place | null {
  return underCaret(sql, detail) ?? atColumn(sql, detail);
}

/** DuckDB: `LINE 1: ...words around the place...` and a line with a caret under it. */
function underCaret(sql: string, detail: string): Place | null {
  const match = /(?:^|\n)(LINE \d+: )(.*)\n( *)\^/.exec(detail);
  if (!match) return null;
  const [, label = "", excerpt = "", indent = ""] = match;
  return find(sql, excerpt, indent.length - label.length);
}

/** The server's own parser: `found: events at Line: 1, Column: 25`, of the statement on one line. */
function atColumn(sql: string, detail: string): Place | null {
  const match = /found: ([\s\S]+?)(?: at Line: \d+, Column: (\d+))?$/.exec(detail);
  if (!match) return null;
  const [, found = "", column] = match;
  const words = wordsOf(sql);
  if (found === "EOF") return words.length > 0 ? place(words.at(-1)!) : null;
  const wanted = column === undefined ? 0 : Number(column) - 1;
  let best: Token | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const { word, at } of columnsOf(sql)) {
    if (!same(sql.slice(word.from, word.to), found)) continue;
    const distance = Math.abs(at - wanted);
    if (distance < bestDistance) [best, bestDistance] = [word, distance];
  }
  return best && place(best);
}

/** The word of `sql` that has the same words before it as the one at `caret` in `excerpt`. */
function find(sql: string, excerpt: string, caret: number): Place | null {
  // Cut words at its ends have three points in the place of their rest.
  const cut = excerpt.startsWith("...") ? 3 : 0;
  const around = wordsOf(excerpt.slice(cut).replace(/\.\.\.$/, ""));
  const pointed = around.findIndex(({ to }) => to > caret - cut);
  if (pointed < 0) return null;
  const text = (of: string, { from, to }: Token) => of.slice(from, to);
  const shown = excerpt.slice(cut);
  const words = wordsOf(sql);
  const last = pointed === around.length - 1;
  for (let before = Math.min(pointed, WORDS_BEFORE); before >= 0; before--) {
    const at = words.findIndex((_, index) => {
      if (index < before) return false;
      for (let back = 0; back <= before; back++) {
        const theirs = text(shown, around[pointed - back]!);
        const ours = text(sql, words[index - back]!);
        const cutShort = (back === 0 && last) || (pointed - back === 0 && cut > 0);
        if (!same(ours, theirs) && !(cutShort && (ours.startsWith(theirs) || ours.endsWith(theirs)))) return false;
      }
      return true;
    });
    if (at >= 0) return place(words[at]!);
  }
  return null;
}

const place = ({ from, to }: Token): Place => ({ from, to });

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

const wordsOf = (sql: string): Token[] =>
  tokensOf(sql).filter(({ kind }) => kind !== "blank" && kind !== "comment" && kind !== "semicolon");

/** Each word with its column once blanks and comments are one blank. */
function columnsOf(sql: string): { word: Token; at: number }[] {
  const found: { word: Token; at: number }[] = [];
  let at = 0;
  let inBlank = true;
  for (const word of tokensOf(sql)) {
    if (word.kind === "blank" || word.kind === "comment") {
      if (!inBlank) at++;
      inBlank = true;
      continue;
    }
    found.push({ word, at });
    at += word.to - word.from;
    inBlank = false;
  }
  return found;
}
