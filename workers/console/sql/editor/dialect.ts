/** DuckDB's words on top of PostgreSQL's, for colours and completion. */
import { PostgreSQL, SQLDialect } from "@codemirror/lang-sql";

const { keywords = "", types = "", ...rest } = PostgreSQL.spec;

export const DuckDb = SQLDialect.define({
  ...rest,
  keywords: `${keywords} anti asof exclude glob ilike macro pivot positional qualify recursive sample semi summarize unpivot try_cast`,
  types: `${types} blob hugeint list map struct tinyint uhugeint ubigint uinteger union usmallint utinyint varchar timestamp_s timestamp_ms timestamp_ns`,
  // DuckDB has none of them, and `$name` is a parameter.
  doubleDollarQuotedStrings: false,
  specialVar: "$",
});
