/**
 * The rules that the lake has to know of: the newest version, which every commit must have read, and each one's filter,
 * which tells the files that it cannot concern. A filter is kept for as long as a file is older than its rule.
 */
import type { RuleFilter } from "../../r2-layout/rule.ts";
import type { DataFile } from "./api.ts";
import { mayMatch } from "./prune.ts";

export class RuleVersions {
  readonly #sql: SqlStorage;
  #newest: number | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec("CREATE TABLE IF NOT EXISTS rule (version INTEGER PRIMARY KEY, filter TEXT)");
  }

  /** The newest version, 0 before the first. */
  get newest(): number {
    this.#newest ??= this.#sql
      .exec<{ newest: number }>("SELECT coalesce(max(version), 0) AS newest FROM rule")
      .one().newest;
    return this.#newest;
  }

  /** Takes a version in; one that is known keeps its filter. */
  raise(version: number, filter: RuleFilter | undefined): void {
    this.#sql.exec(
      "INSERT OR IGNORE INTO rule VALUES (?, ?)",
      version,
      filter === undefined ? null : JSON.stringify(filter),
    );
    // Read again when asked: the transaction around us may yet be rolled back.
    this.#newest = null;
  }

  /**
   * Whether a rule that the file has not passed may change a row of it. A file that no earlier rule can change holds what
   * its statistics say, so each rule is asked by itself.
   * @param upTo rules above this version are somebody else's.
   */
  mayTouch(upTo: number): (file: DataFile) => boolean {
    const filters = new Map<number, RuleFilter | null>();
    for (const { version, filter } of this.#sql.exec<{ version: number; filter: string | null }>(
      "SELECT version, filter FROM rule WHERE version <= ?",
      upTo,
    )) {
      filters.set(version, filter === null ? null : (JSON.parse(filter) as RuleFilter));
    }
    return (file) => {
      for (let version = file.rules + 1; version <= upTo; version++) {
        const filter = filters.get(version);
        // Of a rule that nobody told us about, nothing is known.
        if (!filter || mayMatch(filter, file)) return true;
      }
      return false;
    };
  }

  /** Lets filters of rules below a version go that hold one of these texts: of such a rule nothing is known then. @returns how many. */
  forgetFilters(below: number, texts: readonly string[]): number {
    const sought = texts.map((text) => JSON.stringify(text));
    let forgotten = 0;
    for (const { version, filter } of this.#sql
      .exec<{ version: number; filter: string }>(
        "SELECT version, filter FROM rule WHERE version < ? AND filter IS NOT NULL",
        below,
      )
      .toArray()) {
      if (!sought.some((text) => filter.includes(text))) continue;
      this.#sql.exec("UPDATE rule SET filter = NULL WHERE version = ?", version);
      forgotten++;
    }
    return forgotten;
  }

  /** Lets filters go that no file is older than. The newest version stays, as the version that it is. */
  forget(oldestFile: number): void {
    this.#sql.exec("DELETE FROM rule WHERE version <= ? AND version < (SELECT max(version) FROM rule)", oldestFile);
  }
}
