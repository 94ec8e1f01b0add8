/**
 * A WHERE read to its last word: a range of event_time and values of dimensions, joined by AND. Where the planner may pass
 * over what it does not understand, because it only leaves out files, this may not: then the statement is the engine's.
 */
import { NO_VALUE } from "../../../durable-objects/minute-rollup/api.ts";
import { EVENT_COLUMNS } from "../../../r2-layout/event-columns.ts";
import { MINUTE_MS } from "../../../r2-layout/limits.ts";
import { DAY_US, MICROS_PER_MS } from "../../../r2-layout/time.ts";
import { constantTime } from "../plan/constant-time.ts";
import { stringLiteral, unwrapped } from "../plan/syntax-tree.ts";
import type { KeyFilter, KeyValue } from "./question.ts";
import { isDimension, ownColumn, type TableNames } from "./read-item.ts";
import { notAsked, strictKind } from "./strict-node.ts";

export interface Where {
  /** Milliseconds, half open; null: without end. */
  readonly from: number | null;
  readonly to: number | null;
  readonly filters: readonly KeyFilter[];
}

/** @throws NotAsked */
export function readWhere(expression: unknown, names: TableNames): Where {
  const found: Found = { from: [], to: [], filters: [] };
  if (expression !== null && expression !== undefined) readAll(expression, names, found);
  return {
    from: found.from.length > 0 ? wholeMinute(Math.max(...found.from)) : null,
    to: found.to.length > 0 ? wholeMinute(Math.min(...found.to)) : null,
    filters: found.filters,
  };
}

/** The same of a FILTER, which may say nothing of time. @throws NotAsked */
export function readFilters(expression: unknown, names: TableNames): readonly KeyFilter[] {
  const { from, to, filters } = readWhere(expression, names);
  return from === null && to === null ? filters : notAsked();
}

/** Microseconds: at or after, before. */
interface Found {
  readonly from: number[];
  readonly to: number[];
  readonly filters: KeyFilter[];
}

function readAll(given: unknown, names: TableNames, found: Found): void {
  const expression = unwrapped(given);
  const operation = strictKind(expression, "BinaryOp", "left", "op", "right");
  if (operation?.op === "And") {
    readAll(operation.left, names, found);
    readAll(operation.right, names, found);
    return;
  }
  if (operation) {
    const { left, op, right } = operation;
    const mirrored = MIRRORED[String(op)] ?? notAsked();
    if (!compared(left, String(op), right, names, found) && !compared(right, mirrored, left, names, found)) notAsked();
    return;
  }
  const between = strictKind(expression, "Between", "expr", "low", "high");
  if (between) {
    const { expr, low, high } = between;
    if (!timeCompared(expr, "GtEq", low, names, found) || !timeCompared(expr, "LtEq", high, names, found)) notAsked();
    return;
  }
  const list = strictKind(expression, "InList", "expr", "list", "negated");
  if (list) {
    const values = (Array.isArray(list.list) ? list.list : []).map((item) => stringLiteral(unwrapped(item)));
    addFilter(
      list.expr,
      values.map((value) => value ?? notAsked()),
      list.negated === true,
      names,
      found,
    );
    return;
  }
  for (const [name, negated] of [
    ["IsNull", false],
    ["IsNotNull", true],
  ] as const) {
    const node = isOnly(expression, name);
    if (node !== undefined) {
      addFilter(node, [null], negated, names, found);
      return;
    }
  }
  notAsked();
}

/** `IsNull` and the like hold their operand itself. */
function isOnly(expression: unknown, name: string): unknown {
  const known = expression as { readonly [kind: string]: unknown } | null;
  return typeof known === "object" && known !== null && name in known && Object.keys(known).length === 1
    ? known[name]
    : undefined;
}

const MIRRORED: Readonly<Record<string, string>> = {
  __proto__: null as never,
  Eq: "Eq",
  NotEq: "NotEq",
  Lt: "Gt",
  LtEq: "GtEq",
  Gt: "Lt",
  GtEq: "LtEq",
};

function compared(side: unknown, operator: string, other: unknown, names: TableNames, found: Found): boolean {
  if (timeCompared(side, operator, other, names, found)) return true;
  if (!isDimension(ownColumn(side, names)) || (operator !== "Eq" && operator !== "NotEq")) return false;
  const value = stringLiteral(unwrapped(other)) ?? notAsked();
  addFilter(side, [value], operator === "NotEq", names, found);
  return true;
}

/** `event_time >= …`, or the same of its date, of which only whole days can be told. */
function timeCompared(side: unknown, operator: string, other: unknown, names: TableNames, found: Found): boolean {
  const isDay = isDate(side, names);
  if (!isDay && ownColumn(side, names) !== "event_time") return false;
  const value = constantTime(other) ?? notAsked();
  if (isDay && value % DAY_US !== 0) notAsked();
  // The first moment that is no longer equal.
  const after = value + (isDay ? DAY_US : 1);
  if (operator === "GtEq" || operator === "Eq") found.from.push(value);
  if (operator === "Gt") found.from.push(after);
  if (operator === "Lt") found.to.push(value);
  if (operator === "LtEq" || operator === "Eq") found.to.push(after);
  return operator !== "NotEq" || notAsked();
}

function isDate(expression: unknown, names: TableNames): boolean {
  const cast = strictKind(unwrapped(expression), "Cast", "kind", "expr", "data_type");
  const plain = cast?.kind === "Cast" || cast?.kind === "DoubleColon";
  return plain && cast.data_type === "Date" && ownColumn(cast.expr, names) === "event_time";
}

function addFilter(
  side: unknown,
  values: readonly KeyValue[],
  negated: boolean,
  names: TableNames,
  found: Found,
): void {
  const dimension = ownColumn(side, names);
  if (!isDimension(dimension)) notAsked();
  const mayBeNull = !EVENT_COLUMNS[dimension].required;
  // A text that is written as no value is: rows with such a one are in doubt.
  if (mayBeNull && values.includes(NO_VALUE)) notAsked();
  // What is compared with no value is unknown, and does not pass.
  const unknown = mayBeNull && negated && !values.includes(null);
  found.filters.push({ dimension, values: unknown ? [...values, null] : values, negated });
}

/** @throws NotAsked where a minute would be cut. */
function wholeMinute(us: number): number {
  const ms = us / MICROS_PER_MS;
  return ms % MINUTE_MS === 0 ? ms : notAsked();
}
