/** Cuts a statement into tokens: enough to tell text, names, comments and parameters apart. Pure; takes any text. */

export type TokenKind = "blank" | "comment" | "text" | "name" | "parameter" | "word" | "number" | "semicolon" | "other";

export interface Token {
  readonly kind: TokenKind;
  readonly from: number;
  readonly to: number;
}

/** What is open at the end of the text (a quote, a comment) reaches to it. */
const TOKEN =
  /(?<blank>\s+)|(?<comment>--[^\n\r]*|\/\*[\s\S]*?(?:\*\/|$))|(?<text>'[^']*(?:''[^']*)*(?:'|$))|(?<name>"[^"]*(?:""[^"]*)*(?:"|$))|(?<parameter>\$\w+)|(?<number>\d+(?:\.\d+)?)|(?<word>[\p{L}_][\p{L}\p{N}_]*)|(?<semicolon>;)|(?<other>[\s\S])/uy;

/** Every character is in one token, blanks and comments too. */
export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  for (let from = 0; from < sql.length; ) {
    TOKEN.lastIndex = from;
    const match = TOKEN.exec(sql)!;
    const to = TOKEN.lastIndex;
    const kind = Object.entries(match.groups!).find(([, text]) => text !== undefined)![0] as TokenKind;
    tokens.push({ kind, from, to });
    from = to;
  }
  return tokens;
}
