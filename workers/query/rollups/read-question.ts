/**
 * The question of a statement that rollups may answer, or null: one SELECT over `events` that counts, grouped by nothing, a
 * length of time, one dimension, or both, in a range of event_time on whole minutes. Every part of the tree is read; one that
 * is not understood makes it the engine's, so nothing here needs to know what else SQL can say.
 */
import type { Dimension } from "../../../durable-objects/minute-rollup/api.ts";
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import {
  columnPath,
  identText,
  isNode,
  kind,
  type Node,
  nodes,
  numberLiteral,
  objectName,
  unwrapped,
} from "../plan/syntax-tree.ts";
import { type CountBound, type Item, type Order, type ResultItem, type RollupQuestion, sameItem } from "./question.ts";
import { aliasText, isDimension, ownName, readItem, type TableNames } from "./read-item.ts";
import { readWhere } from "./read-where.ts";
import { NotAsked, notAsked, only, strictKind } from "./strict-node.ts";

/** @param tree of a statement that the planner has allowed. */
export function readQuestion(tree: unknown): RollupQuestion | null {
  try {
    const [statement, ...more] = Array.isArray(tree) ? tree : [];
    return more.length === 0 ? question(statement) : null;
  } catch (error) {
    if (error instanceof NotAsked) return null;
    throw error;
  }
}

function question(statement: unknown): RollupQuestion {
  const query = strictKind(statement, "Query", "body", "order_by", "limit_clause") ?? notAsked();
  const parts = ["projection", "from", "selection", "group_by", "having", "distinct", "flavor"];
  const select = strictKind(query.body, "Select", ...parts) ?? notAsked();
  if (select.flavor !== "Standard") notAsked();
  const names = tableNames(select.from);
  const { from, to, filters } = readWhere(select.selection, names);
  const columns = nodes(select.projection).map((item) => resultItem(item, names));
  const resolve = (expression: unknown) => resolved(expression, columns, names);
  // DuckDB takes a name in GROUP BY for a column of the table first, in ORDER BY for a column of the result.
  const inGroup = (expression: unknown) => (isOtherColumn(expression) ? notAsked() : resolve(expression));
  const grouped = readGroups(select.group_by, columns, inGroup);
  const groups = isDistinct(select.distinct) ? distinctGroups(grouped, columns) : grouped;
  const having = readHaving(select.having, inGroup);
  const order = readOrder(query.order_by, columns, resolve);
  const shown = [...columns, ...order, ...having].map(({ item }) => item);
  if (!shown.every((item) => item.kind === "count" || groups?.some((group) => sameItem(group, item)))) notAsked();
  const dimension = oneOf([
    ...filters.map((filter) => filter.dimension),
    ...[...shown, ...(groups ?? [])].flatMap(dimensionsOf),
  ]);
  oneOf((groups ?? []).flatMap((item) => (item.kind === "time" ? [JSON.stringify(item.bucket)] : [])));
  const aliases = nodes(select.projection).flatMap((item) => aliasesOf(item));
  return { from, to, dimension, filters, columns, groups, having, order, aliases, ...readLimit(query.limit_clause) };
}

function tableNames(from: unknown): TableNames {
  const [item, ...more] = nodes(from);
  if (more.length > 0) notAsked();
  const table = strictKind(only(item, "relation").relation, "Table", "name", "alias") ?? notAsked();
  const name = objectName(table.name);
  if (name?.parts.length !== 1 || name.parts[0] !== "events" || name.quotes[0] === "'") notAsked();
  if (!isNode(table.alias)) return { table: "events" };
  return { table: identText(only(table.alias, "name", "explicit").name) ?? notAsked() };
}

function resultItem(given: Node, names: TableNames): ResultItem {
  const aliased = strictKind(given, "ExprWithAlias", "expr", "alias");
  if (aliased) return { name: aliasText(aliased.alias), item: readItem(aliased.expr, names) };
  const { UnnamedExpr: expression } = only(given, "UnnamedExpr");
  return { name: ownName(expression) ?? notAsked(), item: readItem(expression, names) };
}

/** Names that are no more than the column's own are left out. @throws NotAsked for one that hides a dimension. */
function aliasesOf(given: Node): string[] {
  const aliased = kind(given, "ExprWithAlias");
  if (!aliased) return [];
  const alias = identText(aliased.alias) ?? notAsked();
  if (columnPath(aliased.expr)?.at(-1) === alias) return [];
  return isDimension(alias) ? notAsked() : [alias];
}

/** By its number, by the name that it was given, or said once more. */
function resolved(expression: unknown, columns: readonly ResultItem[], names: TableNames): Item {
  const place = numberLiteral(expression);
  if (place !== null) return /^\d{1,3}$/.test(place) ? (columns[Number(place) - 1]?.item ?? notAsked()) : notAsked();
  const path = columnPath(expression);
  if (path?.length !== 1 || isDimension(path[0]!)) return readItem(expression, names);
  const named = columns.filter(({ name }) => name.toLowerCase() === path[0]);
  return named.length === 1 ? named[0]!.item : notAsked();
}

function readGroups(
  clause: unknown,
  columns: readonly ResultItem[],
  resolve: (expression: unknown) => Item,
): readonly Item[] | null {
  if (!isNode(clause)) return notAsked();
  if ("All" in clause) {
    if (!Array.isArray(only(clause, "All").All) || (clause.All as unknown[]).length > 0) notAsked();
    const groups = columns.map(({ item }) => item).filter(({ kind }) => kind !== "count");
    return groups.length > 0 ? groups : null;
  }
  const [expressions, modifiers] = Array.isArray(clause.Expressions) ? clause.Expressions : notAsked();
  if (!Array.isArray(expressions) || (Array.isArray(modifiers) && modifiers.length > 0)) return notAsked();
  const groups = expressions.map(resolve);
  if (groups.some(({ kind }) => kind === "count")) notAsked();
  return groups.length > 0 ? groups : null;
}

/** Every row once: groups of all that is shown. */
function distinctGroups(grouped: readonly Item[] | null, columns: readonly ResultItem[]): readonly Item[] {
  const items = columns.map(({ item }) => item);
  return grouped || items.some(({ kind }) => kind === "count") ? notAsked() : items;
}

const isDistinct = (distinct: unknown): boolean => {
  if (distinct === null || distinct === undefined) return false;
  return distinct === "Distinct" || notAsked();
};

function isOtherColumn(expression: unknown): boolean {
  const path = columnPath(expression);
  return path?.length === 1 && !isDimension(path[0]!) && Object.hasOwn(EVENT_COLUMNS, path[0]!);
}

/** Counts compared with whole numbers, joined by AND. */
function readHaving(given: unknown, resolve: (expression: unknown) => Item): readonly CountBound[] {
  if (given === null || given === undefined) return [];
  const operation = strictKind(unwrapped(given), "BinaryOp", "left", "op", "right") ?? notAsked();
  const { left, op, right } = operation;
  if (op === "And") return [...readHaving(left, resolve), ...readHaving(right, resolve)];
  const operator = COMPARISONS.find((one) => one === op) ?? notAsked();
  const item = resolve(unwrapped(left));
  return item.kind === "count" ? [{ item, operator, value: wholeNumber(right) }] : notAsked();
}

const COMPARISONS = ["Eq", "NotEq", "Lt", "LtEq", "Gt", "GtEq"] as const;

function readOrder(
  clause: unknown,
  columns: readonly ResultItem[],
  resolve: (expression: unknown) => Item,
): readonly Order[] {
  if (!isNode(clause)) return [];
  const { kind: order } = only(clause, "kind");
  if (isNode(order) && isNode(order.All)) return columns.map(({ item }) => ({ item, ...directionOf(order.All) }));
  const expressions = isNode(order) && Array.isArray(order.Expressions) ? order.Expressions : notAsked();
  return expressions.map((one) => {
    const { expr, options } = only(one, "expr", "options");
    return { item: resolve(expr), ...directionOf(options) };
  });
}

/** Where nothing is said: ascending, and no value last, also where it is descending. */
function directionOf(given: unknown): Omit<Order, "item"> {
  const { asc, nulls_first: nullsFirst } = only(given, "asc", "nulls_first");
  return { descending: asc === false, nullsFirst: nullsFirst === true };
}

function readLimit(clause: unknown): Pick<RollupQuestion, "limit" | "offset"> {
  if (!isNode(clause)) return { limit: null, offset: 0 };
  const { limit, offset } = strictKind(clause, "LimitOffset", "limit", "offset") ?? notAsked();
  return {
    limit: isNode(limit) ? wholeNumber(limit) : null,
    offset: isNode(offset) ? wholeNumber(only(offset, "value", "rows").value) : 0,
  };
}

function wholeNumber(expression: unknown): number {
  const digits = numberLiteral(expression);
  return digits !== null && /^\d{1,15}$/.test(digits) ? Number(digits) : notAsked();
}

function dimensionsOf(item: Item): Dimension[] {
  if (item.kind === "key") return [item.dimension];
  return item.kind === "count" ? item.filters.map(({ dimension }) => dimension) : [];
}

/** The one value that all of them are, or null where there is none. */
function oneOf<T extends string>(values: readonly T[]): T | null {
  const different = new Set(values);
  return different.size > 1 ? notAsked() : (values[0] ?? null);
}
