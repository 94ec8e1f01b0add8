/**
 * A statement of ours for a Trino server over the lake's Iceberg tables: DuckDB's dialect as Trino's, on the syntax tree.
 * What has no like there, or might mean something else, is refused by name: an answer that is nearly right is wrong.
 */
import { type Columns, TABLES } from "../../../r2-layout/event-columns.ts";
import { err, ok, type Result } from "../../../r2-layout/result.ts";
import type { ParseSql } from "../plan/plan-statement.ts";
import { Refused } from "../plan/refusal.ts";
import { stringText } from "../plan/string-text.ts";
import { identText, isNode, kind, type Node, nodes, stringLiteral } from "../plan/syntax-tree.ts";
import { duckTypeOf } from "../trino/duck-types.ts";
import { type DialectRules, SqlPrinter } from "../trino/sql-printer.ts";
import { objectParts, unsupported } from "../trino/sql-text.ts";
import { isMap } from "../trino/trino-functions.ts";
import { callForTrino } from "./duck-functions.ts";
import { trinoTypeOf } from "./trino-type-names.ts";

/** Where the tables are there: `lake.eventpile`, as docs/engines.md sets it up. */
export const ICEBERG_NAMESPACE = "lake.eventpile";

/**
 * @param sql as the planner has checked it: with literals for its parameters and for `now()`.
 * @returns the statement, or why there is none.
 */
export function forTrino(parse: ParseSql, sql: string, namespace = ICEBERG_NAMESPACE): Result<string, string> {
  return translated(parse, sql, trinoRules(namespace));
}

export function translated(parse: ParseSql, sql: string, rules: DialectRules): Result<string, string> {
  try {
    const tree = parse(sql);
    nameAsDuck(tree);
    groupByPlace(tree);
    return ok(new SqlPrinter(rules).statement(tree));
  } catch (error) {
    if (error instanceof Refused) return err(error.refusal.detail);
    return err(error instanceof Error ? error.message : String(error));
  }
}

export const lakeTable =
  (namespace: string): DialectRules["table"] =>
  ([only = "", ...more]) => {
    const name = only.toLowerCase();
    if (more.length > 0 || !Object.hasOwn(TABLES, name)) throw unsupported(`the table ${only}`);
    return { text: `${namespace}.${name}`, name };
  };

function trinoRules(namespace: string): DialectRules {
  return {
    table: lakeTable(namespace),
    call: callForTrino,
    type: trinoTypeOf,
    without: ONLY_DUCK,
    relation(factor) {
      const table = kind(factor, "Table");
      if (table && isNode(table.args)) throw unsupported(`${objectParts(table.name).join(".")}() in FROM`);
      if ("UNNEST" in factor) throw unsupported("UNNEST");
      return undefined;
    },
    expression(node, printer) {
      const [name = ""] = Object.keys(node);
      const of = node[name] as Node;
      switch (name) {
        case "BinaryOp":
          return binary(of, printer);
        case "CompoundFieldAccess":
          return access(of, printer);
        case "ILike":
          return `lower(${printer.expression(of.expr)}) ${of.negated === true ? "NOT " : ""}LIKE lower(${printer.expression(of.pattern)})`;
        case "TypedString": {
          // As precise as it is written.
          const text = isNode(of.value) && isNode(of.value.value) ? of.value.value.SingleQuotedString : null;
          const isTime = isNode(of.data_type) && "Timestamp" in of.data_type;
          return isTime && typeof text === "string" ? `TIMESTAMP ${stringText(text)}` : undefined;
        }
        case "Interval": {
          const unit = stringLiteral(of.value);
          const both = of.leading_field === null && unit !== null ? /^(-?\d+) (\w+?)s?$/.exec(unit) : null;
          if (both) return `INTERVAL '${both[1]}' ${both[2]!.toUpperCase()}`;
          return of.leading_field === null || stringLiteral(of.value) === null ? refuse("this interval") : undefined;
        }
        case "Dictionary":
        case "SimilarTo":
        case "AtTimeZone":
        case "Overlay":
          return refuse(name);
        default:
          return undefined;
      }
    },
  };
}

const ONLY_DUCK = new Set(["QUALIFY", "DISTINCT ON", "EXCLUDE", "GROUP BY ALL", "ORDER BY ALL"]);

function refuse(what: string): never {
  throw unsupported(what);
}

function binary(of: Node, printer: SqlPrinter): string | undefined {
  const [left, right] = [printer.expression(of.left), printer.expression(of.right)];
  // A fraction here, a whole number there.
  if (of.op === "Divide") return `CAST(${left} AS double) / ${right}`;
  if (of.op === "DuckIntegerDivide") return `${left} / ${right}`;
  if (/^(Bitwise|PG)/.test(String(of.op))) throw unsupported(`the operator ${String(of.op)}`);
  return undefined;
}

/** `properties['a'][1]` is a map's value here, `element_at(properties, 'a')` there; null where it is missing in both. */
function access(of: Node, printer: SqlPrinter): string {
  const steps = nodes(of.access_chain);
  let text = printer.expression(of.root);
  let ofMap = isMap(of.root);
  for (let at = 0; at < steps.length; at++) {
    const step = steps[at]!;
    if (isNode(step.Dot)) {
      text += `.${printer.expression(step.Dot)}`;
      ofMap = isMap(step.Dot);
      continue;
    }
    const index = kind(kind(step, "Subscript"), "Index")?.index;
    if (!isNode(index)) throw unsupported("a slice");
    const byKey = ofMap || stringLiteral(index) !== null;
    text = `element_at(${text}, ${printer.expression(index)})`;
    if (byKey) {
      const next = kind(kind(steps[++at], "Subscript"), "Index")?.index;
      if (!isNode(next) || printer.expression(next) !== "1") throw unsupported("a map's value without its [1]");
    }
    ofMap = false;
  }
  return text;
}

/** Columns without a name are called as DuckDB calls them. */
function nameAsDuck(tree: unknown): void {
  const select = firstSelect(tree);
  const items = select?.projection;
  if (!Array.isArray(items)) return;
  const plain = new SqlPrinter({ table: () => undefined, call: () => undefined, type: duckTypeOf });
  for (const [at, item] of items.entries()) {
    const expression = isNode(item) ? item.UnnamedExpr : undefined;
    if (!isNode(expression) || "Identifier" in expression || "CompoundIdentifier" in expression) continue;
    let name: string;
    try {
      name = plain.expression(expression).replace(/^count\(\*\)$/i, "count_star()");
    } catch {
      name = `col${at}`;
    }
    items[at] = { ExprWithAlias: { expr: expression, alias: { value: name, quote_style: '"' } } };
  }
}

function firstSelect(tree: unknown): Node | null {
  let body = Array.isArray(tree) ? kind(kind(tree[0], "Query"), "body") : null;
  while (body && !("Select" in body)) {
    body = kind(kind(body, "SetOperation"), "left") ?? kind(kind(body, "Query"), "body");
  }
  return kind(body, "Select");
}

/** `GROUP BY day`, where that is a column of the result and not of the table, is by its place there. */
function groupByPlace(value: unknown): void {
  if (Array.isArray(value)) {
    for (const item of value) groupByPlace(item);
    return;
  }
  if (!isNode(value)) return;
  const select = kind(value, "Select");
  const by = kind(select, "group_by")?.Expressions;
  const [expressions] = Array.isArray(by) ? by : [];
  if (Array.isArray(expressions)) {
    const names = nodes(select?.projection).map((item) => identText(kind(item, "ExprWithAlias")?.alias));
    for (const [at, expression] of expressions.entries()) {
      const name = isNode(expression) ? identText(expression.Identifier) : null;
      const place = name === null || isColumn(name) ? -1 : names.indexOf(name);
      if (place >= 0) expressions[at] = { Value: { value: { Number: [String(place + 1), false] } } };
    }
  }
  for (const inner of Object.values(value)) groupByPlace(inner);
}

const isColumn = (name: string): boolean =>
  Object.values(TABLES).some((columns: Columns) => Object.hasOwn(columns, name));
