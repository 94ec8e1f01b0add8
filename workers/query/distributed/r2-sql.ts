/**
 * Cloudflare's SQL over the mirrored catalog: one request, one answer with all its rows as objects. Its dialect is
 * DataFusion's, whose parser is ours, so a statement is printed as it is with its tables named; functions are those that
 * it documents.
 */
import { err, type Result } from "../../../r2-layout/result.ts";
import type { ParseSql } from "../plan/plan-statement.ts";
import { isNode, kind } from "../plan/syntax-tree.ts";
import { unsupported } from "../trino/sql-text.ts";
import type { EngineColumn, Json } from "./arrow-rows.ts";
import { EngineRefused, type RowSink } from "./engine-rows.ts";
import { exactJson } from "./exact-json.ts";
import { lakeTable, translated } from "./for-trino.ts";
import type { DistributedSettings } from "./settings.ts";
import { trinoTypeOf } from "./trino-type-names.ts";

/** The functions that are the same there. */
const SAME = new Set(
  `count sum avg min max median approx_distinct abs ceil floor round coalesce nullif lower upper length substr trim ltrim
  rtrim concat replace split_part starts_with strpos date_trunc date_part row_number rank dense_rank lag lead first_value
  last_value stddev stddev_pop var_pop now sqrt ln log10 power`.split(/\s+/),
);
const RENAMED: Readonly<Record<string, string>> = {
  approx_count_distinct: "approx_distinct",
  arg_max: "max_by",
  arg_min: "min_by",
};
const WITHOUT = new Set(["DISTINCT ON", "EXCLUDE", "GROUP BY ALL", "ORDER BY ALL"]);

export function forR2Sql(parse: ParseSql, sql: string, namespace: string): Result<string, string> {
  const unread = /\bproperties\b|\bflags\b/i.exec(sql);
  // Lists and maps are not read there.
  if (unread) return err(`${unread[0]} is not supported here`);
  return translated(parse, sql, {
    table: lakeTable(namespace),
    without: WITHOUT,
    type: (type) => trinoTypeOf(type).replace(/^timestamp\(6\)$/, "timestamp"),
    relation(factor) {
      const table = kind(factor, "Table");
      if ((table && isNode(table.args)) || "UNNEST" in factor) throw unsupported("a function in FROM");
      return undefined;
    },
    call(name, call, printer) {
      const other = RENAMED[name] ?? (SAME.has(name) ? name : undefined);
      if (other === undefined) throw unsupported(`${name}()`);
      return printer.plainCall(other, call);
    },
  });
}

interface Answer {
  readonly success?: boolean;
  readonly errors?: readonly { readonly message?: string }[];
  readonly result?: {
    readonly schema?: readonly {
      readonly name?: string;
      readonly type?: string;
      readonly descriptor?: { readonly type?: { readonly name?: string } };
    }[];
    readonly rows?: readonly Readonly<Record<string, Json>>[];
  } | null;
}

/** @throws EngineRefused with its message. */
export async function askR2Sql(
  { url, token }: Extract<DistributedSettings, { kind: "r2-sql" }>,
  sql: string,
  sink: RowSink,
  signal: AbortSignal,
  send: (url: string, init: RequestInit) => Promise<Response> = fetch,
): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await send(url, { method: "POST", headers, body: JSON.stringify({ query: sql }), signal });
  const text = await response.text();
  let answer: Answer;
  try {
    answer = exactJson(text) as Answer;
  } catch {
    throw new EngineRefused(`status ${response.status}: ${text.slice(0, 300)}`);
  }
  const { success, errors = [], result } = answer;
  if (!response.ok || success === false || !result) {
    const messages = errors.map(({ message }) => message).filter(Boolean);
    throw new EngineRefused(messages.join("; ") || `status ${response.status}`);
  }
  const { rows = [] } = result;
  const columns = columnsOf(result.schema ?? [], rows);
  sink.columns(columns);
  if (rows.length > 0) sink.rows(rows.map((row) => columns.map(({ name }) => row[name] ?? null)));
}

/** By what it says of them; and where that is no type of ours, by the values. */
function columnsOf(
  schema: NonNullable<NonNullable<Answer["result"]>["schema"]>,
  rows: readonly Readonly<Record<string, Json>>[],
): EngineColumn[] {
  const names = schema.length > 0 ? schema.map(({ name = "" }) => name) : Object.keys(rows[0] ?? {});
  return names.map((name, at) => {
    const of = schema[at];
    const said = TYPES[(of?.type ?? of?.descriptor?.type?.name ?? "").toLowerCase().replace(/\(.*/, "")];
    return { name, type: said ?? typeOf(rows.map((row) => row[name] ?? null)) };
  });
}

const TYPES: Readonly<Record<string, string>> = {
  boolean: "boolean",
  int32: "integer",
  int64: "bigint",
  uint64: "bigint",
  long: "bigint",
  int: "integer",
  bigint: "bigint",
  integer: "integer",
  float32: "double",
  float64: "double",
  double: "double",
  utf8: "varchar",
  string: "varchar",
  varchar: "varchar",
  timestamp: "timestamp(6)",
  date32: "date",
  date: "date",
};

function typeOf(values: readonly Json[]): string {
  const there = values.filter((value) => value !== null);
  if (there.length === 0) return "varchar";
  if (there.every((value) => typeof value === "bigint" || Number.isInteger(value))) return "bigint";
  if (there.every((value) => typeof value === "number")) return "double";
  if (there.every((value) => typeof value === "boolean")) return "boolean";
  return "varchar";
}
