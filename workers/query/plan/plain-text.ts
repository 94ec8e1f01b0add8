/**
 * The statement, written plainly: comments and odd white space gone, no construct left that two parsers could cut up
 * differently (dollar quotes, escape strings, nested comments, parameters). Our parser and DuckDB's then see the same
 * tokens, so what was checked is what runs.
 *
 * `now()`, `current_timestamp`, `current_date` and `today()` become literals: planner and engine agree on the moment,
 * files can be pruned by it, and the answer is a TIMESTAMP in UTC like every time column (DuckDB 0.9.1 without its ICU
 * extension cannot even subtract an interval from its own `now()`).
 */
import { SQL } from "../../../r2-layout/limits.ts";
import { isoMicros } from "../../../r2-layout/time.ts";
import { Refused } from "./refusal.ts";

const SPACE = /[ \t\n\r]/;
const WORD = /[A-Za-z0-9_]/;
const OPERATOR = /[-+*/%<>=!~&|^.,()[\]{}:]/;
/** Words that make one expression a part of the next, as operators do. */
const CHAIN_WORD = /^(and|or|not|is|in|like|ilike|between|similar|collate|at|case|interval|struct)$/i;
const SET_WORD = /^(union|except|intersect)$/i;
const CASE_WORD = /^(case|end)$/i;
/** Words after which a new expression begins, at the same depth. */
const CLAUSE_WORD = /^(select|from|where|having|qualify|on|limit)$/i;
/**
 * Words that our parser reads in two ways, one after the other where the first fails; as a power of two, by what follows
 * them. So a mistake within n of them costs 2^n readings of what they hold.
 */
const RETRIED: ReadonlyMap<string, number> = new Map([
  ...["cast", "try_cast", "safe_cast", "convert", "try_convert", "substring", "substr", "overlay", "ceil", "floor"].map(
    (word) => [word, 1] as const,
  ),
  ["array", 1],
  ["position", 2],
]);
/** Words that, set before a quote, make it another kind of string. */
const STRING_PREFIX = /^(e|b|x|n|u&?)$/i;

/** @throws Refused */
export function plainText(sql: string, nowUs: number): string {
  if (new TextEncoder().encode(sql).length > SQL.statementBytes) {
    throw new Refused("statement_too_large", `a statement may have ${SQL.statementBytes} bytes`);
  }
  const out: string[] = [];
  const shape = new Shape();
  let ended = false;
  for (let at = 0; at < sql.length; ) {
    const char = sql[at]!;
    const after = blankEnd(sql, at);
    if (after > at) {
      if (out.length > 0 && out.at(-1) !== " ") out.push(" ");
      at = after;
      continue;
    }
    if (ended) throw new Refused("several_statements", "one statement at a time");
    if (char === ";") {
      ended = true;
      at++;
    } else if (char === "'" || char === '"') {
      if (char === "'") refusePrefix(out);
      const end = quoteEnd(sql, at);
      out.push(sql.slice(at, end));
      shape.operand();
      at = end;
    } else if (WORD.test(char)) {
      let end = at + 1;
      while (end < sql.length && WORD.test(sql[end]!)) end++;
      out.push(sql.slice(at, end));
      shape.word(sql.slice(at, end));
      at = end;
    } else if (OPERATOR.test(char)) {
      out.push(char);
      shape.operator(char);
      at++;
    } else {
      unsupported(`the character ${JSON.stringify(char)} outside quotes`);
    }
  }
  shape.end();
  if (out.at(-1) === " ") out.pop();
  if (out.length === 0) throw new Refused("empty_statement", "there is no statement");
  return withLiteralNow(out, nowUs).join("");
}

/**
 * Counts what makes a tree deep, before any parser builds it: brackets, and operators in a row. A chain of a few
 * thousand is a few kilobytes of text and half a gigabyte of tree.
 */
class Shape {
  #tokens = 0;
  /** Operators so far in each open bracket's current expression. */
  readonly #chains: number[] = [0];
  #sum = 0;
  #inOperator = false;
  #setOperations = 0;
  /** CASEs that wait for their END, in each open bracket. */
  readonly #cases: number[] = [0];
  #word = "";
  /** What each open bracket adds to the power of two, by the word before it; the sum with the open CASEs, and its most. */
  readonly #retries: number[] = [0];
  #retried = 0;
  #retriedMost = 0;

  operand(): void {
    this.#inOperator = false;
    this.#word = "";
    if (++this.#tokens > SQL.statementTokens) tooComplex(`a statement has at most ${SQL.statementTokens} words`);
  }

  word(word: string): void {
    this.operand();
    if (SET_WORD.test(word) && ++this.#setOperations > SQL.statementChain) {
      tooComplex(`at most ${SQL.statementChain} set operations`);
    }
    if (CASE_WORD.test(word)) this.#case(word);
    this.#word = word.toLowerCase();
    if (CHAIN_WORD.test(word)) this.#link();
    else if (CLAUSE_WORD.test(word)) this.#cut();
  }

  /** Our parser takes a bare END for the end of the statement and reads no further, whatever follows. */
  #case(word: string): void {
    const open = this.#cases.length - 1;
    this.#cases[open]! += /case/i.test(word) ? 1 : -1;
    if (this.#cases[open]! < 0) unsupported("END without CASE");
    this.#retry(/case/i.test(word) ? 1 : -1);
  }

  #retry(power: number): void {
    this.#retried += power;
    this.#retriedMost = Math.max(this.#retriedMost, this.#retried);
  }

  /** What reading the whole may take, at most. */
  end(): void {
    if (2 ** this.#retriedMost * this.#tokens > SQL.statementWork) {
      tooComplex("CASE, CAST and the like nest too deep for a statement of this length");
    }
  }

  operator(char: string): void {
    const continues = this.#inOperator;
    const retries = RETRIED.get(this.#word) ?? 0;
    this.operand();
    if ("([{".includes(char)) {
      if (char !== "(") this.#link();
      this.#chains.push(0);
      this.#cases.push(0);
      this.#retries.push(retries);
      this.#retry(retries);
      if (this.#chains.length > SQL.statementDepth) tooComplex(`brackets nest at most ${SQL.statementDepth} deep`);
    } else if (")]}".includes(char)) {
      this.#cut();
      if (this.#chains.length > 1) {
        this.#chains.pop();
        this.#retry(-(this.#cases.pop() ?? 0) - (this.#retries.pop() ?? 0));
      }
    } else if (char === ",") {
      this.#cut();
    } else {
      // `::` and `>=` are one.
      if (!continues) this.#link();
      this.#inOperator = true;
    }
  }

  #link(): void {
    this.#chains[this.#chains.length - 1]!++;
    if (++this.#sum > SQL.statementChain) tooComplex(`at most ${SQL.statementChain} operators in a row`);
  }

  #cut(): void {
    this.#sum -= this.#chains.at(-1) ?? 0;
    this.#chains[this.#chains.length - 1] = 0;
  }
}

function tooComplex(detail: string): never {
  throw new Refused("statement_too_complex", detail);
}

function unsupported(what: string): never {
  throw new Refused("unsupported_syntax", `${what} is not supported here`);
}

/** E'...', X'...', U&'...': text to one parser is escapes to another. */
function refusePrefix(before: readonly string[]): void {
  const prefix = before.at(-1) === "&" ? `${before.at(-2)}&` : (before.at(-1) ?? "");
  if (STRING_PREFIX.test(prefix)) unsupported(`${prefix}'...'`);
}

/** Where white space or a comment that starts at `at` ends; `at` itself where there is none. @throws Refused */
export function blankEnd(sql: string, at: number): number {
  if (SPACE.test(sql[at]!)) return at + 1;
  if (sql.startsWith("--", at)) {
    const end = /[\n\r]/.exec(sql.slice(at));
    return end ? at + end.index : sql.length;
  }
  if (!sql.startsWith("/*", at)) return at;
  const end = sql.indexOf("*/", at + 2);
  if (end < 0) unsupported("a comment without an end");
  if (sql.slice(at + 2, end).includes("/*")) unsupported("a comment inside a comment");
  return end + 2;
}

/** Where the quote that starts at `at` ends. @throws Refused */
export function quoteEnd(sql: string, at: number): number {
  const quote = sql[at]!;
  for (let i = at + 1; i < sql.length; i++) {
    if (sql[i] === "\0") unsupported("a zero character");
    if (sql[i] !== quote) continue;
    if (sql[i + 1] !== quote) return i + 1;
    i++;
  }
  return unsupported("a quote without an end");
}

/** Tokens, with the moment put in for the words that ask for it. */
function withLiteralNow(tokens: readonly string[], nowUs: number): string[] {
  const text = isoMicros(nowUs).replace("T", " ").replace("Z", "");
  const timestamp = `(TIMESTAMP '${text}')`;
  const date = `(DATE '${text.slice(0, 10)}')`;
  const out: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const word = tokens[i]!.toLowerCase();
    const literal = NOW_WORDS[word];
    const before = lastWord(out);
    if (!literal || before === "." || before === "as") {
      out.push(tokens[i]!);
      continue;
    }
    let end = i + 1;
    if (literal.call) {
      const call = callEnd(tokens, i + 1);
      if (call === null) {
        out.push(tokens[i]!);
        continue;
      }
      end = call;
    }
    out.push(literal.kind === "timestamp" ? timestamp : date);
    i = end - 1;
  }
  return out;
}

const NOW_WORDS: Readonly<Record<string, { kind: "timestamp" | "date"; call: boolean }>> = {
  __proto__: null as never,
  now: { kind: "timestamp", call: true },
  get_current_timestamp: { kind: "timestamp", call: true },
  transaction_timestamp: { kind: "timestamp", call: true },
  today: { kind: "date", call: true },
  current_timestamp: { kind: "timestamp", call: false },
  current_date: { kind: "date", call: false },
};

function lastWord(tokens: readonly string[]): string | undefined {
  const last = tokens.at(-1) === " " ? tokens.at(-2) : tokens.at(-1);
  return last?.toLowerCase();
}

/** The index after `()` from `at` on, blanks allowed, or null where there is no empty call. */
function callEnd(tokens: readonly string[], at: number): number | null {
  let i = at;
  for (const bracket of ["(", ")"]) {
    if (tokens[i] === " ") i++;
    if (tokens[i] !== bracket) return null;
    i++;
  }
  return i;
}
