/** Expressions that rollups know: counts of events, a dimension, a length of time that holds event_time. */
import { DIMENSIONS, type Dimension } from "../../../durable-objects/minute-rollup/api.ts";
import type { Bucket } from "../../../durable-objects/minute-rollup/bucket.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../../r2-layout/limits.ts";
import {
  columnPath,
  identText,
  isNode,
  nodes,
  numberLiteral,
  objectName,
  stringLiteral,
  unwrapped,
} from "../plan/syntax-tree.ts";
import type { Item } from "./question.ts";
import { readFilters } from "./read-where.ts";
import { notAsked, only, strictKind } from "./strict-node.ts";

/** The names by which the statement may speak of a column: its own, or behind the table's. */
export interface TableNames {
  readonly table: string;
}

/** A column of the table, or null. */
export function ownColumn(expression: unknown, { table }: TableNames): string | null {
  const path = columnPath(unwrapped(expression));
  if (!path) return null;
  const [first, second, ...more] = path;
  if (more.length > 0) return null;
  return second === undefined ? first! : first === table ? second : null;
}

export const isDimension = (column: string | null): column is Dimension =>
  DIMENSIONS.some((dimension) => dimension === column);

/** @throws NotAsked */
export function readItem(given: unknown, names: TableNames): Item {
  const expression = unwrapped(given);
  const column = ownColumn(expression, names);
  if (isDimension(column)) return { kind: "key", dimension: column };
  const cast = strictKind(expression, "Cast", "kind", "expr", "data_type");
  if (cast) {
    const plain = cast.kind === "Cast" || cast.kind === "DoubleColon";
    if (plain && cast.data_type === "Date" && isTime(cast.expr, names)) return DAY_AS_DATE;
    return notAsked();
  }
  const call = strictKind(expression, "Function", "name", "args", "parameters", "filter");
  const name = call && objectName(call.name)?.parts;
  if (!call || name?.length !== 1) return notAsked();
  const args = argumentsOf(call.args);
  const time = args.length === 2 && isTime(args[1], names);
  switch (name[0]) {
    case "count":
      if (!isCountOfRows(args)) return notAsked();
      return { kind: "count", filters: isNode(call.filter) ? readFilters(call.filter, names) : [] };
    case "date_trunc":
    case "datetrunc":
      return time && !isNode(call.filter) ? truncated(stringLiteral(unwrapped(args[0]))) : notAsked();
    case "time_bucket":
      return time && !isNode(call.filter) ? bucketed(unwrapped(args[0])) : notAsked();
    default:
      return notAsked();
  }
}

/** What DuckDB calls a column that was given no name; null where that is not certain. */
export function ownName(expression: unknown): string | null {
  const path = columnPath(expression);
  if (path?.length === 1 && isDimension(path[0]!)) return rawText(expression) === path[0] ? path[0]! : null;
  const cast = strictKind(expression, "Cast", "kind", "expr", "data_type");
  if (cast) return rawText(cast.expr) === "event_time" ? "CAST(event_time AS DATE)" : null;
  const call = strictKind(expression, "Function", "name", "args", "parameters");
  const [name] = (call && objectName(call.name)?.parts) ?? [];
  const [first, second] = call ? argumentsOf(call.args) : [];
  if (name === "count") return first === undefined || first === WILDCARD ? "count_star()" : null;
  const unit = stringLiteral(first);
  return name === "date_trunc" && unit !== null && rawText(second) === "event_time"
    ? `date_trunc('${unit}', event_time)`
    : null;
}

const rawText = (expression: unknown): unknown =>
  isNode(expression) && isNode(expression.Identifier) ? expression.Identifier.value : null;

const isTime = (expression: unknown, names: TableNames): boolean => ownColumn(expression, names) === "event_time";

const WILDCARD = Symbol("*");

/** @throws NotAsked */
function argumentsOf(given: unknown): unknown[] {
  if (given === "None") return notAsked();
  const list = strictKind(given, "List", "args") ?? notAsked();
  return nodes(list.args).map((argument) => {
    const { Unnamed: value } = only(argument, "Unnamed");
    return value === "Wildcard" ? WILDCARD : only(value, "Expr").Expr;
  });
}

/** `count()`, `count(*)`, `count(1)`. */
function isCountOfRows([first, ...more]: readonly unknown[]): boolean {
  if (first === undefined) return true;
  return more.length === 0 && (first === WILDCARD || numberLiteral(first) !== null);
}

const DAY_AS_DATE = { kind: "time", bucket: { width: DAY_MS }, isDate: true } as const satisfies Item;

const UNITS: Readonly<Record<string, Bucket>> = {
  __proto__: null as never,
  minute: { width: MINUTE_MS },
  hour: { width: HOUR_MS },
  day: { width: DAY_MS },
  week: { unit: "week" },
  month: { unit: "month" },
  quarter: { unit: "quarter" },
  year: { unit: "year" },
};

/** DuckDB truncates to a DATE what is a day or longer. */
function truncated(unit: string | null): Item {
  const bucket = UNITS[unit?.toLowerCase() ?? ""] ?? notAsked();
  return { kind: "time", bucket, isDate: !("width" in bucket) || bucket.width === DAY_MS };
}

const WIDTHS: Readonly<Record<string, number>> = {
  __proto__: null as never,
  minute: MINUTE_MS,
  hour: HOUR_MS,
  day: DAY_MS,
};

/** Only widths that a day is a multiple of: those begin at midnight. */
function bucketed(expression: unknown): Item {
  const interval = strictKind(expression, "Interval", "value", "leading_field") ?? notAsked();
  const given = stringLiteral(unwrapped(interval.value)) ?? numberLiteral(unwrapped(interval.value)) ?? notAsked();
  const field = interval.leading_field;
  const match = /^(\d{1,4}) +([a-z]+?)s?$/i.exec(typeof field === "string" ? `${given} ${field}` : given) ?? notAsked();
  const width = Number(match[1]) * (WIDTHS[match[2]!.toLowerCase()] ?? notAsked());
  return width > 0 && DAY_MS % width === 0 ? { kind: "time", bucket: { width }, isDate: false } : notAsked();
}

/** The name behind AS, as written. */
export const aliasText = (alias: unknown): string =>
  isNode(alias) && typeof alias.value === "string" && identText(alias) !== null ? alias.value : notAsked();
