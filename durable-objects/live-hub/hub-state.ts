/** Which hub of the tree this object is, and up to where a leaf's sockets were told: one row, kept through evictions. */
import { ROOT_HUB } from "./api.ts";

type HubRow = { name: string; told: number };

export class HubState {
  readonly #sql: SqlStorage;
  #name: string;
  #told: number;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec("CREATE TABLE IF NOT EXISTS hub (id INTEGER PRIMARY KEY, name TEXT NOT NULL, told INTEGER NOT NULL)");
    const [row] = sql.exec<HubRow>("SELECT name, told FROM hub").toArray();
    this.#name = row?.name ?? ROOT_HUB;
    this.#told = row?.told ?? 0;
  }

  /** The root's, where nobody has said anything else: it is asked before it has a row. */
  get name(): string {
    return this.#name;
  }

  set name(name: string) {
    this.#name = name;
    this.#save();
  }

  get seq(): number {
    return this.#told;
  }

  set seq(seq: number) {
    this.#told = seq;
    this.#save();
  }

  #save(): void {
    this.#sql.exec("INSERT OR REPLACE INTO hub (id, name, told) VALUES (1, ?, ?)", this.#name, this.#told);
  }
}
