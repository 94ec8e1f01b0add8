/**
 * Parameters of a statement: `?` or `$1` with a list of values, `$name` with an object of them. They are put in as
 * literals before anything is planned, so that a bound `event_time >= $from` leaves out the same files as a written one;
 * and no text of a caller becomes anything but one literal, whatever is in it.
 *
 *     text    -> 'it''s'            a time is a text in ISO 8601, which DuckDB compares with timestamps
 *     number  -> 42, (-42), 0.5e0   BIGINT where it is whole, else DOUBLE
 *     boolean, null                 true, false, NULL
 *     list    -> x IN $1, x IN (?)  the values of the IN; anywhere else a list: ['a', 'b']
 *
 * This pass finds quotes and comments as the one after it does (plan/plain-text.ts), which accepts neither a `?` nor a `$`
 * outside them: what is missed here is refused there.
 */
import { err, ok, type Result } from "../../../r2-layout/result.ts";
import { blankEnd, quoteEnd } from "../plan/plain-text.ts";
import { type Refusal, Refused } from "../plan/refusal.ts";
import { listLiteral, literal, type ParamProblem, WrongParam } from "./literals.ts";

export type Params = readonly unknown[] | Readonly<Record<string, unknown>>;

const WORD = /[A-Za-z0-9_]/;
const NAME = /[A-Za-z_][A-Za-z0-9_]*|[0-9]+/y;

/** @returns the statement with its values in their places. */
export function bindParams(sql: string, params: Params | undefined): Result<string, ParamProblem | Refusal> {
  try {
    const values = new Values(params);
    const bound = new Binding(sql, values).text();
    values.refuseUnused();
    return ok(bound);
  } catch (error) {
    if (error instanceof WrongParam) return err(error.problem);
    if (error instanceof Refused) return err(error.refusal);
    throw error;
  }
}

class Binding {
  readonly #sql: string;
  readonly #values: Values;
  readonly #out: string[] = [];
  /** The last three tokens that were written, words in lower case: what stands before a place. */
  #before: string[] = [];

  constructor(sql: string, values: Values) {
    this.#sql = sql;
    this.#values = values;
  }

  text(): string {
    const sql = this.#sql;
    for (let at = 0; at < sql.length; ) {
      const char = sql[at]!;
      const blank = blankEnd(sql, at);
      if (blank > at) {
        this.#out.push(sql.slice(at, blank));
        at = blank;
      } else if (char === "'" || char === '"') {
        at = this.#token(at, quoteEnd(sql, at));
      } else if (WORD.test(char)) {
        let end = at + 1;
        while (end < sql.length && WORD.test(sql[end]!)) end++;
        at = this.#token(at, end);
      } else if (char === "?") {
        at = this.#place(at + 1, this.#values.next());
      } else if (char === "$") {
        at = this.#named(at);
      } else {
        at = this.#token(at, at + 1);
      }
    }
    return this.#out.join("");
  }

  #token(at: number, end: number): number {
    const token = this.#sql.slice(at, end);
    this.#out.push(token);
    this.#before = [...this.#before.slice(-2), token.toLowerCase()];
    return end;
  }

  #named(at: number): number {
    NAME.lastIndex = at + 1;
    const name = NAME.exec(this.#sql)?.[0];
    const end = at + 1 + (name?.length ?? 0);
    // `a$1` is a name to some, `$$` and `$a$` begin a quote.
    if (name === undefined || WORD.test(this.#sql[at - 1] ?? " ") || /[$\w]/.test(this.#sql[end] ?? " ")) {
      throw new Refused("unsupported_syntax", "the character $ other than in $1 or $name is not supported here");
    }
    return this.#place(end, this.#values.named(name));
  }

  /** Blanks on both sides: a literal joins with nothing. Alone between brackets and commas it needs no brackets itself. */
  #place(end: number, value: unknown): number {
    const [before2, before1] = [this.#before.at(-2), this.#before.at(-1)];
    const next = this.#nextChar(end);
    const isAlone = (before1 === "(" || before1 === ",") && (next === ")" || next === ",");
    let text: string;
    if (Array.isArray(value)) {
      const items = listLiteral(value);
      if (before1 === "in") text = `(${items})`;
      else if (before1 === "(" && before2 === "in" && next === ")") text = items;
      else text = `[${items}]`;
    } else {
      text = literal(value);
      // `DATE $1` and its like take a bare text.
      const isTyped = typeof value === "string" && !text.startsWith("(") && TYPE_WORDS.has(before1 ?? "");
      if (!isAlone && !isTyped && !text.startsWith("(")) text = `(${text})`;
    }
    this.#out.push(` ${text} `);
    this.#before = [...this.#before.slice(-2), "literal"];
    return end;
  }

  #nextChar(at: number): string | undefined {
    let end = at;
    while (end < this.#sql.length) {
      const after = blankEnd(this.#sql, end);
      if (after === end) break;
      end = after;
    }
    return this.#sql[end];
  }
}

const TYPE_WORDS = new Set(["date", "time", "timestamp", "interval"]);

/** What was given, and which of it the statement has asked for. */
class Values {
  readonly #given: Params | undefined;
  readonly #used = new Set<string>();
  /** How the statement names its places, `?` or `$`: both at once would be ambiguous. */
  #style: "?" | "$" | null = null;
  #next = 0;

  constructor(given: Params | undefined) {
    this.#given = given;
  }

  next(): unknown {
    this.#only("?");
    const given = this.#given;
    if (!isList(given)) throw new WrongParam("the statement has `?`: params is a list of their values");
    if (this.#next >= given.length) {
      throw new WrongParam(`there are more \`?\` in the statement than values in params, ${given.length}`);
    }
    this.#used.add(String(this.#next));
    return given[this.#next++];
  }

  named(name: string): unknown {
    this.#only("$");
    const given = this.#given;
    if (/^[0-9]/.test(name)) {
      if (!isList(given)) throw new WrongParam(`the statement has $${name}: params is a list, $1 its first value`);
      const index = Number(name) - 1;
      if (name.startsWith("0") || index >= given.length) {
        throw new WrongParam(`there is no value for $${name}: params has ${given.length}`);
      }
      this.#used.add(String(index));
      return given[index];
    }
    if (given === undefined || isList(given)) {
      throw new WrongParam(`the statement has $${name}: params is an object of values by name`);
    }
    if (!Object.hasOwn(given, name)) throw new WrongParam(`there is no value for $${name}`);
    this.#used.add(name);
    return given[name];
  }

  refuseUnused(): void {
    for (const name of Object.keys(this.#given ?? {})) {
      if (this.#used.has(name)) continue;
      const shown = isList(this.#given) ? `the value number ${Number(name) + 1}` : `the value ${JSON.stringify(name)}`;
      throw new WrongParam(`the statement does not use ${shown}`);
    }
  }

  #only(style: "?" | "$"): void {
    this.#style ??= style;
    if (this.#style !== style) throw new WrongParam("the statement has both `?` and `$`; use one of them");
  }
}

const isList = (params: Params | undefined): params is readonly unknown[] => Array.isArray(params);
