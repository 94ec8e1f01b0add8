/** Which of several statements in the editor is meant, and the parameters that it has. Pure. */
import { type Token, tokensOf } from "./tokens.ts";

/** A part of the editor's text. */
export interface Part {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** The statements of a text, without the semicolons between them and the blanks around them. */
export function statementsOf(sql: string): Part[] {
  const parts: Part[] = [];
  let own: Token[] = [];
  const close = () => {
    if (own.some(({ kind }) => kind !== "comment")) {
      const { from } = own[0]!;
      const { to } = own.at(-1)!;
      parts.push({ from, to, text: sql.slice(from, to) });
    }
    own = [];
  };
  for (const token of tokensOf(sql)) {
    if (token.kind === "semicolon") close();
    else if (token.kind !== "blank") own.push(token);
  }
  close();
  return parts;
}

/** The statement at `place`, else the one before it: right behind a semicolon the one that it ends is meant. */
export function statementAt(sql: string, place: number): Part | null {
  const parts = statementsOf(sql);
  const at = parts.find(({ from, to }) => from <= place && place <= to);
  if (at) return at;
  return parts.findLast(({ to }) => to < place) ?? parts[0] ?? null;
}

/** What is to run: the selection where there is one, else the statement under the cursor. */
export function chosenPart(sql: string, selection: { readonly from: number; readonly to: number }): Part | null {
  if (selection.from === selection.to) return statementAt(sql, selection.from);
  const chosen = sql.slice(selection.from, selection.to);
  const [only, ...more] = statementsOf(chosen);
  if (!only) return statementAt(sql, selection.from);
  // Several at once are the server's to refuse; their text is passed on whole.
  const to = more.at(-1)?.to ?? only.to;
  return { from: selection.from + only.from, to: selection.from + to, text: chosen.slice(only.from, to) };
}

/** The names behind `$`, in the order of their first use; `$1` has the name `1`. */
export function parametersOf(sql: string): string[] {
  const names = tokensOf(sql)
    .filter(({ kind }) => kind === "parameter")
    .map(({ from, to }) => sql.slice(from + 1, to));
  return [...new Set(names)];
}
