/**
 * The rules of one shard, by version, each with its place in the log. Kept for good: the lake's rows are older than the
 * log's, and pass through them when they are read. A shard that a split has made begins with its parent's rules, at place
 * 0, where they hold for none of its rows.
 */
import { LOG } from "../../r2-layout/limits.ts";
import { redactedJson } from "../../r2-layout/redact.ts";
import { barsLines, type Rule, type RuleAt } from "../../r2-layout/rule.ts";
import type { PackedSubjects } from "../../r2-layout/subjects.ts";
import type { BarringRule } from "./api.ts";

/** As `barsLines`. */
const BARS = "json_extract(rule, '$.change.kind') IN ('erase', 'suppress')";

export class RuleTable {
  readonly #sql: SqlStorage;
  /** Caches; null until they are read. */
  #version: number | null = null;
  #barred: number | null = null;

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

  /** The newest that keeps somebody out of the log, 0 without any. */
  get barred(): number {
    this.#barred ??= this.#sql
      .exec<{ version: number }>(`SELECT ifnull(max(version), 0) AS version FROM rules WHERE ${BARS}`)
      .one().version;
    return this.#barred;
  }

  /** As `EventLogApi.barred`. */
  barredAfter(version: number): { until: number; rules: BarringRule[] } {
    const rows = this.#sql
      .exec<{ version: number; kind: BarringRule["kind"]; subjects: PackedSubjects | null }>(
        `SELECT version, json_extract(rule, '$.change.kind') AS kind, json_extract(rule, '$.filter.subjects') AS subjects
         FROM rules WHERE version > ? AND ${BARS} ORDER BY version LIMIT ?`,
        version,
        LOG.barredRules,
      )
      .toArray();
    const rules = rows.map(({ kind, subjects }) => ({ kind, subjects: subjects ?? "" }));
    return { until: rows.at(-1)?.version ?? version, rules };
  }

  forget(): void {
    this.#version = null;
    this.#barred = null;
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
    if (this.#barred !== null && barsLines(rule)) this.#barred = rule.version;
  }

  /** Placeholders for names of erased people, in filters and changes alike. @returns how many rules have any */
  redact(names: ReadonlyMap<string, string>, isTrial: boolean): number {
    const rows = this.#sql.exec<{ version: number; rule: string }>("SELECT version, rule FROM rules").toArray();
    const named = rows.flatMap(({ version, rule }) => {
      const text = redactedJson(rule, names);
      return text === null ? [] : [{ version, text }];
    });
    if (!isTrial) {
      for (const { version, text } of named)
        this.#sql.exec("UPDATE rules SET rule = ? WHERE version = ?", text, version);
    }
    return named.length;
  }

  /** By version. */
  all(): RuleAt[] {
    const rows = this.#sql.exec<{ seq: number; rule: string }>("SELECT seq, rule FROM rules ORDER BY version");
    return Array.from(rows, ({ seq, rule }) => ({ ...(JSON.parse(rule) as Rule), seq }));
  }
}
