/** A statement in Trino's dialect as one in DuckDB's, on the syntax tree; what the planner then reads is the result. */
import { plainText } from "../plan/plain-text.ts";
import type { ParseSql } from "../plan/plan-statement.ts";
import { Refused } from "../plan/refusal.ts";
import { stringText } from "../plan/string-text.ts";
import { isNode, kind, type Node, nodes, numberLiteral, stringLiteral, unwrapped } from "../plan/syntax-tree.ts";
import { duckTypeOf } from "./duck-types.ts";
import { type DialectRules, SqlPrinter } from "./sql-printer.ts";
import { objectParts, quoted, unsupported } from "./sql-text.ts";
import { atZone, withoutZone } from "./time-zones.ts";
import { type Token, tokensOf } from "./tokens.ts";
import { isMap, translatedCall } from "./trino-functions.ts";

export interface Translation {
  /** What stands for a table's dotted name. @throws TrinoFailed for one that is not there. */
  readonly table: (parts: readonly string[]) => { text: string; name: string };
  /** Expressions for `?`, in order. */
  readonly parameters: readonly Node[];
}

/** @throws Refused for what DuckDB's dialect cannot say, or is no query. */
export function fromTrino(parse: ParseSql, sql: string, translation: Translation): string {
  const tree = parsedTrino(parse, sql);
  nameColumns(tree);
  return new SqlPrinter(trinoRules(translation)).statement(tree);
}

/** @throws Refused with the parser's message, or for a text that would make too large a tree. */
export function parsedTrino(parse: ParseSql, sql: string): unknown {
  const tokens = tokensOf(sql).map((token) => (token.isBlank ? { ...token, text: " " } : token));
  // The planner's own bounds, before any parser sees it; a mark for a parameter counts as a word.
  plainText(tokens.map(({ text }) => (text === "?" ? "0" : text)).join(""), 0);
  try {
    return parse(angleArrays(tokens));
  } catch (error) {
    if (error instanceof Refused) throw error;
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof WebAssembly.RuntimeError || /recursion limit/i.test(message)) {
      throw new Refused("statement_too_complex", "the statement nests too deep");
    }
    throw new Refused("sql_error", message.replace(/^sql parser error: /, ""));
  }
}

/** @returns how many `?` there are in it. */
export function placeholders(tree: unknown): number {
  if (Array.isArray(tree)) return tree.reduce<number>((sum, item) => sum + placeholders(item), 0);
  if (!isNode(tree)) return 0;
  if (typeof tree.Placeholder === "string") return 1;
  return Object.values(tree).reduce<number>((sum, item) => sum + placeholders(item), 0);
}

/** The expressions of a USING list. @throws Refused */
export function parameterNodes(parse: ParseSql, list: string): Node[] {
  if (list.trim() === "") return [];
  const tree = parsedTrino(parse, `SELECT ${list}`);
  const select = Array.isArray(tree) ? kind(kind(kind(tree[0], "Query"), "body"), "Select") : null;
  if (!select || nodes(select.from).length > 0 || isNode(select.selection))
    throw unsupported("this list of parameters");
  return nodes(select.projection).map((item) => {
    if (!isNode(item.UnnamedExpr)) throw unsupported("this parameter");
    return item.UnnamedExpr;
  });
}

/** The parser knows `array<varchar>` only: in Trino a call named `array` is always a type. */
function angleArrays(tokens: readonly Token[]): string {
  const closing: boolean[] = [];
  let text = "";
  let before = "";
  for (const token of tokens) {
    let written = token.text;
    if (written === "(") {
      closing.push(before.toLowerCase() === "array");
      if (closing.at(-1)) written = "<";
    } else if (written === ")" && closing.pop()) {
      written = ">";
    }
    text += written;
    if (!token.isBlank) before = token.text;
  }
  return text;
}

/** Columns without a name are `_col0`, `_col1`, … by their place. */
function nameColumns(tree: unknown): void {
  let body = Array.isArray(tree) ? kind(kind(tree[0], "Query"), "body") : null;
  while (body && !("Select" in body)) {
    body = kind(kind(body, "SetOperation"), "left") ?? kind(kind(body, "Query"), "body");
  }
  const items = kind(body, "Select")?.projection;
  if (!Array.isArray(items)) return;
  for (const [at, item] of items.entries()) {
    if (!isNode(item) || !isNode(item.UnnamedExpr)) continue;
    if ("Identifier" in item.UnnamedExpr || "CompoundIdentifier" in item.UnnamedExpr) continue;
    items[at] = { ExprWithAlias: { expr: item.UnnamedExpr, alias: { value: `_col${at}`, quote_style: null } } };
  }
}

function trinoRules({ table, parameters }: Translation): DialectRules {
  let parameter = 0;
  return {
    table: (parts) => table(parts),
    relation: unnested,
    call: translatedCall,
    type: duckTypeOf,
    expression(node, printer) {
      const [name = ""] = Object.keys(node);
      const of = node[name];
      switch (name) {
        case "Value": {
          const value = isNode(of) ? of.value : null;
          if (!isNode(value) || !("Placeholder" in value)) return undefined;
          const given = parameters[parameter++];
          if (!given) throw new Refused("sql_error", "Incorrect number of parameters: there are too few");
          return printer.expression(given);
        }
        case "CompoundIdentifier":
          return columnName(of, table);
        case "CompoundFieldAccess":
          return subscripted(of as Node, printer);
        case "AtTimeZone":
          return atZone(printer.expression((of as Node).timestamp), (of as Node).time_zone);
        case "TypedString":
          return typedText(of as Node);
        case "Interval":
          return interval(of as Node);
        case "BinaryOp":
          return (of as Node).op === "Divide" && isWhole((of as Node).left) && isWhole((of as Node).right)
            ? `${printer.expression((of as Node).left)} // ${printer.expression((of as Node).right)}`
            : undefined;
        default:
          return undefined;
      }
    },
  };
}

/** `eventpile.default.events.user_id` is `events.user_id` there. */
function columnName(path: unknown, table: Translation["table"]): string | undefined {
  const parts = objectParts(path);
  for (const length of [3, 2]) {
    if (parts.length <= length) continue;
    try {
      const { name } = table(parts.slice(0, length));
      return [name, ...parts.slice(length)].map((part) => quoted(part)).join(".");
    } catch {
      // The name of something else, a column with fields perhaps.
    }
  }
  return undefined;
}

/** A map's value by its key: in DuckDB a list of one. `undefined` where nothing in it is a map's. */
function subscripted(access: Node, printer: SqlPrinter): string | undefined {
  let text = printer.expression(access.root);
  let isOfMap = isMap(access.root);
  let wasOfMap = false;
  for (const step of nodes(access.access_chain)) {
    const index = kind(kind(step, "Subscript"), "Index")?.index;
    if (isNode(step.Dot)) {
      text += `.${printer.expression(step.Dot)}`;
      isOfMap = isMap(step.Dot);
    } else if (isNode(index)) {
      const byKey = isOfMap || stringLiteral(index) !== null;
      text += `[${printer.expression(index)}]${byKey ? "[1]" : ""}`;
      wasOfMap ||= byKey;
      isOfMap = false;
    } else {
      return undefined;
    }
  }
  return wasOfMap ? text : undefined;
}

function typedText({ data_type, value }: Node): string | undefined {
  const text = isNode(value) && isNode(value.value) ? value.value.SingleQuotedString : null;
  if (typeof text !== "string" || !isNode(data_type)) return undefined;
  if ("Timestamp" in data_type) return `TIMESTAMP ${stringText(withoutZone(text))}`;
  // As wide as it is written.
  return "Decimal" in data_type && data_type.Decimal === "None" && /^[+-]?\d*\.?\d+$/.test(text) ? text : undefined;
}

/** `INTERVAL '1-2' YEAR TO MONTH`, `INTERVAL '1 02:03:04' DAY TO SECOND`, `INTERVAL -'3' HOUR`. */
function interval(node: Node): string | undefined {
  if (node.last_field === null) return undefined;
  const text = stringLiteral(node.value) ?? "";
  const years = /^(-?)(\d+)-(\d+)$/.exec(text);
  if (years) return `INTERVAL '${years[1]}${Number(years[2]) * 12 + Number(years[3])}' MONTH`;
  const days = /^(-?)(\d+) (\d+):(\d+)(?::(\d+)(?:\.(\d{1,3}))?)?$/.exec(text);
  if (!days) throw unsupported(`the interval ${text}`);
  const [, sign, day, hour, minute, second = "0", fraction = "0"] = days;
  const seconds = ((Number(day) * 24 + Number(hour)) * 60 + Number(minute)) * 60 + Number(second);
  return `INTERVAL '${sign}${seconds * 1_000 + Number(fraction.padEnd(3, "0"))}' MILLISECOND`;
}

/** Whether it is plainly of whole numbers: those are divided without a remainder. */
function isWhole(expression: unknown): boolean {
  const inner = unwrapped(expression);
  const number = numberLiteral(inner);
  if (number !== null) return /^\d+$/.test(number);
  const call = kind(inner, "Function");
  if (call) return WHOLE_CALLS.has(objectParts(call.name).at(-1)?.toLowerCase() ?? "");
  const cast = kind(inner, "Cast");
  if (cast) return /^(TINYINT|SMALLINT|INTEGER|BIGINT)$/.test(duckTypeOf(cast.data_type));
  const operation = kind(inner, "BinaryOp");
  if (!operation) return false;
  return (
    /^(Plus|Minus|Multiply|Divide|Modulo)$/.test(String(operation.op)) &&
    isWhole(operation.left) &&
    isWhole(operation.right)
  );
}

const WHOLE_CALLS = new Set(
  "count count_if approx_distinct length cardinality date_diff year month day hour minute second row_number rank dense_rank".split(
    " ",
  ),
);

/** UNNEST of one list or several side by side, of a map, and WITH ORDINALITY: a SELECT whose lists are unnested together. */
function unnested(factor: Node, printer: SqlPrinter): string | undefined {
  const table = kind(factor, "Table");
  const own = kind(factor, "UNNEST");
  const isCall = table && isNode(table.args) && objectParts(table.name).join(".").toLowerCase() === "unnest";
  if (!isCall && !own) return undefined;
  const lists = own
    ? nodes(own.array_exprs)
    : nodes(kind(table, "args")?.args).map((argument) => kind(argument, "Unnamed")?.Expr as Node);
  const withOrdinality = (table ?? own)!.with_ordinality === true;
  const alias = kind(table ?? own, "alias");
  const texts = lists.flatMap((list) => {
    const text = printer.expression(list);
    return isMap(list) ? [`map_keys(${text})`, `map_values(${text})`] : [text];
  });
  if (withOrdinality) texts.push(`range(1, len(${texts[0]}) + 1)`);
  const names = nodes(alias?.columns).map((column) => printer.identifier(column.name));
  const columns = texts.map((text, at) => `unnest(${text}) AS ${names[at] ?? `_col${at}`}`);
  return `(SELECT ${columns.join(", ")}) AS ${alias ? printer.identifier(alias.name) : "_unnest"}`;
}
