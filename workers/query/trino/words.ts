/** A command's tokens, read one after the other. */
import { TrinoFailed } from "./errors.ts";
import { type Token, tokensOf, unquoted } from "./tokens.ts";

const NAME = /^([A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")*")$/;

export class Words {
  readonly #sql: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(sql: string) {
    // A client may send the sign that ends a statement along.
    this.#sql = sql.trim().replace(/;+$/, "").trimEnd();
    this.#tokens = tokensOf(this.#sql).filter(({ isBlank }) => !isBlank);
  }

  get isEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** Takes these words where they come next, in any case. */
  takes(...words: readonly string[]): boolean {
    if (!words.every((word, i) => this.#tokens[this.#at + i]?.text.toUpperCase() === word)) return false;
    this.#at += words.length;
    return true;
  }

  /** A dotted name. @throws TrinoFailed where none comes next. */
  name(): string[] {
    const parts: string[] = [];
    do {
      const text = this.#tokens[this.#at]?.text ?? "";
      if (!NAME.test(text)) throw this.wrong();
      parts.push(unquoted(text));
      this.#at++;
    } while (this.takes("."));
    return parts;
  }

  /** A text in quotes. @throws TrinoFailed */
  text(): string {
    const text = this.#tokens[this.#at]?.text ?? "";
    if (!text.startsWith("'")) throw this.wrong();
    this.#at++;
    return unquoted(text);
  }

  /** All that is left, as it was written. */
  rest(): string {
    const from = this.#tokens[this.#at]?.at ?? this.#sql.length;
    this.#at = this.#tokens.length;
    return this.#sql.slice(from);
  }

  /** @throws TrinoFailed where something is left. */
  end(): void {
    if (!this.isEnd) throw this.wrong();
  }

  wrong(): TrinoFailed {
    const token = this.#tokens[this.#at];
    return new TrinoFailed("SYNTAX_ERROR", token ? `mismatched input '${token.text}'` : "mismatched input '<EOF>'");
  }
}
