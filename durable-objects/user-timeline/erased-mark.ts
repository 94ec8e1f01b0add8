/** What is left of a timeline that was erased whole: the version of the rule that erased it. Whose it was only its name tells, a keyed hash. */
import { hasTable } from "./chunk-store.ts";

/** 0 where it was never erased. */
export function readErasedMark(sql: SqlStorage): number {
  if (!hasTable(sql, "erased")) return 0;
  return sql.exec<{ rules: number }>("SELECT rules FROM erased").toArray()[0]?.rules ?? 0;
}

/** An older version changes nothing. */
export function writeErasedMark(sql: SqlStorage, rules: number): void {
  sql.exec("CREATE TABLE IF NOT EXISTS erased (id INTEGER PRIMARY KEY, rules INTEGER NOT NULL)");
  sql.exec("INSERT INTO erased VALUES (0, ?) ON CONFLICT (id) DO UPDATE SET rules = max(rules, excluded.rules)", rules);
}
