/**
 * The rules of one shard, by version, each with its place in the log. Kept for good: the lake's rows are older than the
 * log's, and pass through them when they are read. A shard that a split has made begins with its parent's rules, at place
 * 0, where they hold for none of its rows.
 */
import { LOG } from "../../r2-layout/limits.ts";
import type { Rule, RuleAt } from "../../r2-layout/rule.ts";

export class RuleTable {
  readonly #sql: SqlStorage;
  /** A cache; null until it is read. */
  #version: number | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS rules (version INTEGER PRIMARY KEY, id TEXT NOT NULL, seq INTEGER NOT NULL, rule TEXT NOT NULL)",
    );
  }

  /** The newest, 0 without any. */
  get version(): number {
    this.#version ??= this.#sql
      .exec<{ version: number | null }>("SELECT max(version) AS version FROM rules")
      .one().version;
    return this.#version ?? 0;
  }

  forget(): void {
    this.#version = null;
  }

  /** Null where the version comes next. @throws RangeError where it is another rule's, or versions are left out. */
  seqOf(rule: Rule): number | null {
    const known = this.#sql
      .exec<{ id: string; seq: number }>("SELECT id, seq FROM rules WHERE version = ?", rule.version)
      .toArray()[0];
    if (known && known.id !== rule.id) throw new RangeError(`rule ${rule.version} is ${known.id}, not ${rule.id}`);
    if (known) return known.seq;
    if (rule.version !== this.version + 1) throw new RangeError(`rule ${rule.version} follows ${this.version}`);
    return null;
  }

  /** @throws RangeError where it takes more than `LOG.ruleBytes`. */
  insert(rule: Rule, shard: number, seq: number): void {
    const { places } = rule.filter;
    const own = places ? { ...rule.filter, places: places.filter((place) => place.shard === shard) } : rule.filter;
    const text = JSON.stringify({ ...rule, filter: own });
    if (Buffer.byteLength(text) > LOG.ruleBytes)
      throw new RangeError(`rule ${rule.version} takes ${text.length} bytes`);
    this.#sql.exec("INSERT INTO rules VALUES (?, ?, ?, ?)", rule.version, rule.id, seq, text);
    this.#version = rule.version;
  }

  /** By version. */
  all(): RuleAt[] {
    const rows = this.#sql.exec<{ seq: number; rule: string }>("SELECT seq, rule FROM rules ORDER BY version");
    return Array.from(rows, ({ seq, rule }) => ({ ...(JSON.parse(rule) as Rule), seq }));
  }
}
