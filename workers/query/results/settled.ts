/** What became of the last statements, for who wants to know the end of an answer that is sent while it is made. */
import type { StatementStats } from "../engine/statement.ts";

const KEPT = 64;

export class Settled {
  readonly #over = new Map<string, Promise<StatementStats | null>>();

  add(id: string, over: Promise<StatementStats | null>): void {
    this.#over.set(id, over);
    if (this.#over.size > KEPT) this.#over.delete(this.#over.keys().next().value!);
  }

  async get(id: string): Promise<StatementStats | null> {
    return (await this.#over.get(id)) ?? null;
  }
}
