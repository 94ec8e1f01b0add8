/** The statements that both engines must agree on: every `.sql` file beside this one. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Statement {
  /** The file it is in, without its ending. */
  readonly group: string;
  readonly name: string;
  readonly sql: string;
  /** The same question in native DuckDB's words, where ours are helpers that it does not have. */
  readonly native: string;
}

const FOLDER = import.meta.dirname;

export function statements(): Statement[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".sql"))
    .toSorted()
    .flatMap((file) => parsed(file.replace(".sql", ""), readFileSync(join(FOLDER, file), "utf8")));
}

/** A statement is a line `-- name: …`, then its text; `-- native:` on a line begins the other engine's. */
function parsed(group: string, text: string): Statement[] {
  return text
    .split(/^-- name: /m)
    .slice(1)
    .map((part) => {
      const [name = "", ...lines] = part.split("\n");
      const [sql = "", native = sql] = lines
        .join("\n")
        .split(/^-- native:\n/m)
        .map(withoutEnd);
      return { group, name: name.trim(), sql, native };
    });
}

const withoutEnd = (text: string): string => text.trim().replace(/;$/, "");
