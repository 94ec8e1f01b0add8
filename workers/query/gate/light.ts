/** Whether a statement may run in a pause of another: by what it would read at most, and by what makes rows of nothing. */
import { SQL } from "../../../r2-layout/limits.ts";
import type { EngineStatement } from "../engine/statement.ts";

/** Rows come from somewhere other than tables. In a text or a name these words do no harm: it then takes its turn. */
const MAKES_ROWS = /\b(range|generate_series|recursive|repeat|cross)\b/i;

export function isLight({ sql, tables }: Pick<EngineStatement, "sql" | "tables">): boolean {
  if (MAKES_ROWS.test(sql)) return false;
  let [bytes, rows] = [0, 0];
  for (const { files } of tables) {
    for (const file of files) {
      bytes += file.bytes;
      rows += file.rows;
    }
  }
  return bytes <= SQL.lightBytes && rows <= SQL.lightRows;
}
