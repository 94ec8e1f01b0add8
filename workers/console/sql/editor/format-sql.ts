/** The statement with its clauses on lines of their own. The formatter is loaded when somebody asks for it. */
import { tokensOf } from "../tokens.ts";

/** @throws Error where the formatter cannot read the text, such as a quote without an end. */
export async function formatSql(sql: string): Promise<string> {
  const { duckdb, formatDialect } = await import("sql-formatter");
  const formatted = formatDialect(sql, {
    dialect: duckdb,
    keywordCase: "upper",
    dataTypeCase: "upper",
    paramTypes: { named: ["$"], numbered: ["$"], positional: true },
    expressionWidth: 70,
    linesBetweenQueries: 1,
  });
  return joinedBrackets(formatted);
}

/** The formatter parts `properties['a'][1]` before its second bracket. */
function joinedBrackets(sql: string): string {
  const tokens = tokensOf(sql);
  const text = (index: number) => (tokens[index] ? sql.slice(tokens[index].from, tokens[index].to) : "");
  return tokens
    .map((_, index) => (text(index) === " " && text(index - 1) === "]" && text(index + 1) === "[" ? "" : text(index)))
    .join("");
}
