/** Each kind of expression as text, where no dialect says it otherwise. */

import { stringText } from "../plan/string-text.ts";
import { isNode, kind, type Node, nodes } from "../plan/syntax-tree.ts";
import { BINARY_OPERATORS, UNARY_OPERATORS } from "./operators.ts";
import type { SqlPrinter } from "./sql-printer.ts";
import { kindOf, unsupported } from "./sql-text.ts";

type Print = (node: Node, printer: SqlPrinter) => string;

const not = (node: Node): string => (node.negated === true ? "NOT " : "");
const is =
  (words: string): Print =>
  (node, p) =>
    `${p.expression(node)} IS ${words}`;

/** LIKE and its kin. */
const like =
  (word: string): Print =>
  (node, p) => {
    if (node.any === true) throw unsupported(`${word} ANY`);
    const sign = isNode(node.escape_char) ? node.escape_char.value : null;
    const text = isNode(sign) && typeof sign.SingleQuotedString === "string" ? sign.SingleQuotedString : null;
    const after = text === null ? "" : ` ESCAPE ${stringText(text)}`;
    return `${p.expression(node.expr)} ${not(node)}${word} ${p.expression(node.pattern)}${after}`;
  };

export const EXPRESSIONS: Readonly<Record<string, Print>> = {
  Identifier: (node, p) => p.identifier(node),
  CompoundIdentifier: (node, p) => (node as unknown as unknown[]).map((part) => p.identifier(part)).join("."),
  Value: (node) => literal(node.value),
  TypedString: (node, p) => {
    const [type, text] = [p.rules.type(node.data_type), literal((node.value as Node).value)];
    return /^(timestamp|date|time)\b/i.test(type) ? `${type} ${text}` : `CAST(${text} AS ${type})`;
  },
  Nested: (node, p) => `(${p.expression(node)})`,
  Tuple: (node, p) => `(${p.list(node)})`,
  UnaryOp: (node, p) => {
    const operator = UNARY_OPERATORS[String(node.op)];
    if (operator === undefined) throw unsupported(`the operator ${String(node.op)}`);
    const inner = p.expression(node.expr);
    // Two of them would begin a comment.
    return `${operator}${inner.startsWith("-") ? " " : ""}${inner}`;
  },
  BinaryOp: (node, p) => {
    const operator = BINARY_OPERATORS[String(node.op)];
    if (operator === undefined) throw unsupported(`the operator ${String(node.op)}`);
    return `${p.expression(node.left)} ${operator} ${p.expression(node.right)}`;
  },
  IsNull: is("NULL"),
  IsNotNull: is("NOT NULL"),
  IsTrue: is("TRUE"),
  IsNotTrue: is("NOT TRUE"),
  IsFalse: is("FALSE"),
  IsNotFalse: is("NOT FALSE"),
  IsUnknown: is("NULL"),
  IsNotUnknown: is("NOT NULL"),
  IsDistinctFrom: (node, p) => pair(node, p, "IS DISTINCT FROM"),
  IsNotDistinctFrom: (node, p) => pair(node, p, "IS NOT DISTINCT FROM"),
  InList: (node, p) => `${p.expression(node.expr)} ${not(node)}IN (${p.list(node.list)})`,
  InSubquery: (node, p) => `${p.expression(node.expr)} ${not(node)}IN (${p.query(node.subquery as Node)})`,
  Between: (node, p) =>
    `${p.expression(node.expr)} ${not(node)}BETWEEN ${p.expression(node.low)} AND ${p.expression(node.high)}`,
  Like: like("LIKE"),
  ILike: like("ILIKE"),
  SimilarTo: like("SIMILAR TO"),
  Exists: (node, p) => `${not(node)}EXISTS (${p.query(node.subquery as Node)})`,
  Subquery: (node, p) => `(${p.query(node)})`,
  AnyOp: (node, p) => quantified(node, p, "ANY"),
  AllOp: (node, p) => quantified(node, p, "ALL"),
  Cast: (node, p) => {
    const word = { Cast: "CAST", DoubleColon: "CAST", TryCast: "TRY_CAST" }[String(node.kind)];
    if (!word || node.format) throw unsupported("this cast");
    return `${word}(${p.expression(node.expr)} AS ${p.rules.type(node.data_type)})`;
  },
  Case: (node, p) => {
    const operand = isNode(node.operand) ? ` ${p.expression(node.operand)}` : "";
    const whens = nodes(node.conditions).map(
      ({ condition, result }) => ` WHEN ${p.expression(condition)} THEN ${p.expression(result)}`,
    );
    const other = isNode(node.else_result) ? ` ELSE ${p.expression(node.else_result)}` : "";
    return `CASE${operand}${whens.join("")}${other} END`;
  },
  Extract: (node, p) => `EXTRACT(${unitName(node.field)} FROM ${p.expression(node.expr)})`,
  Position: (node, p) => `POSITION(${p.expression(node.expr)} IN ${p.expression(node.in)})`,
  Substring: (node, p) => {
    const rest = [node.substring_from, node.substring_for].filter(isNode).map((part) => p.expression(part));
    return `substring(${[p.expression(node.expr), ...rest].join(", ")})`;
  },
  Trim: (node, p) => {
    if (nodes(node.trim_characters).length > 0) throw unsupported("trim of a list");
    const where = typeof node.trim_where === "string" ? `${node.trim_where.toUpperCase()} ` : "";
    const what = isNode(node.trim_what) ? `${p.expression(node.trim_what)} ` : "";
    const inner = where || what ? `${where}${what}FROM ` : "";
    return `TRIM(${inner}${p.expression(node.expr)})`;
  },
  Ceil: (node, p) => rounding("ceil", node, p),
  Floor: (node, p) => rounding("floor", node, p),
  AtTimeZone: (node, p) => `${p.expression(node.timestamp)} AT TIME ZONE ${p.expression(node.time_zone)}`,
  Interval: (node, p) => {
    if (node.last_field !== null || node.leading_precision !== null) throw unsupported("an interval of two units");
    const unit = node.leading_field === null ? "" : ` ${unitName(node.leading_field)}`;
    return `INTERVAL ${p.expression(node.value)}${unit}`;
  },
  Function: (node, p) => p.call(node),
  Lambda: (node, p) => {
    const many = isNode(node.params) && Array.isArray(node.params.Many);
    const names = (many ? nodes((node.params as Node).Many) : [kind(node.params, "One")!]).map((each) =>
      p.identifier(each.name),
    );
    return `${many ? `(${names.join(", ")})` : names[0]} -> ${p.expression(node.body)}`;
  },
  Array: (node, p) => `ARRAY[${p.list(node.elem)}]`,
  Dictionary: (node, p) => {
    const entries = nodes(node).map(({ key, value }) => {
      const name = isNode(key) ? String(key.value) : "";
      return `${stringText(name)}: ${p.expression(value)}`;
    });
    return `{${entries.join(", ")}}`;
  },
  CompoundFieldAccess: (node, p) => {
    const chain = nodes(node.access_chain).map((access) => {
      if ("Dot" in access) return `.${p.expression(access.Dot)}`;
      const index = kind(kind(access, "Subscript"), "Index");
      if (index) return `[${p.expression(index.index)}]`;
      const slice = kind(kind(access, "Subscript"), "Slice");
      if (!slice || slice.stride !== null) throw unsupported("this subscript");
      const bounds = [slice.lower_bound, slice.upper_bound].map((bound) => (isNode(bound) ? p.expression(bound) : ""));
      return `[${bounds.join(":")}]`;
    });
    return `${p.expression(node.root)}${chain.join("")}`;
  },
  GroupingSets: (node, p) => `GROUPING SETS (${groups(node, p)})`,
  Rollup: (node, p) => `ROLLUP (${groups(node, p)})`,
  Cube: (node, p) => `CUBE (${groups(node, p)})`,
};

const groups = (sets: unknown, p: SqlPrinter): string =>
  (Array.isArray(sets) ? sets : []).map((set) => `(${p.list(set)})`).join(", ");

function pair(node: Node, p: SqlPrinter, words: string): string {
  const [left, right] = node as unknown as [Node, Node];
  return `${p.expression(left)} ${words} ${p.expression(right)}`;
}

function quantified(node: Node, p: SqlPrinter, word: string): string {
  const right = kind(node.right, "Subquery");
  if (!right) throw unsupported(`${word} of anything but a subquery`);
  return `${p.expression(node.left)} ${BINARY_OPERATORS[String(node.compare_op)]} ${word} (${p.query(right)})`;
}

function rounding(name: string, node: Node, p: SqlPrinter): string {
  if (kind(node, "field")?.DateTimeField !== "NoDateTime") throw unsupported(`${name} to a unit`);
  return `${name}(${p.expression(node.expr)})`;
}

/** `Day`, or an unknown unit by its own name. */
function unitName(field: unknown): string {
  if (typeof field === "string") return field.toUpperCase();
  const custom = kind(field, "Custom");
  if (custom && typeof custom.value === "string") return custom.value.toUpperCase();
  throw unsupported("this unit of time");
}

function literal(value: unknown): string {
  if (value === "Null") return "NULL";
  if (isNode(value)) {
    if (typeof value.SingleQuotedString === "string") return stringText(value.SingleQuotedString);
    if (Array.isArray(value.Number)) return String(value.Number[0]);
    if (typeof value.Boolean === "boolean") return value.Boolean ? "TRUE" : "FALSE";
  }
  throw unsupported(kindOf(value) === "Placeholder" ? "a parameter without a value" : `the literal ${kindOf(value)}`);
}
