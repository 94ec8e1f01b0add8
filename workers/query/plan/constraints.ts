/**
 * What a WHERE clause says for certain about the rows of one table: a range of its time column, and the values that a
 * column of texts or numbers may have. Only what must hold for every row that passes counts, so leaving out files by it never
 * changes an answer; whatever is not understood says nothing.
 */
import { DAY_US } from "../../../r2-layout/time.ts";
import { constantTime, floorTo, TRUNC_UNITS, truncCall } from "./constant-time.ts";
import { columnPath, isNode, kind, type Node, numberLiteral, stringLiteral, unwrapped } from "./syntax-tree.ts";

export interface Constraint {
  /** Half-open, microseconds. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** For a column, the only values that pass. */
  readonly values: ReadonlyMap<string, readonly Literal[]>;
}

export type Literal = string | number;

export interface TableColumns {
  readonly time: string;
  /** Whether a column equals such a literal only where it has this very value: a text and a number are compared as either. */
  takes(column: string, literal: Literal): boolean;
  /** Whether a path, `["event_time"]` or `["e", "event_time"]`, means a column of this table reference. */
  owns(path: readonly string[]): string | null;
}

export const NOTHING: Constraint = { values: new Map() };

export function constraintOf(where: unknown, columns: TableColumns): Constraint {
  if (!isPlain(where)) return NOTHING;
  return read(where, columns);
}

/**
 * Operators whose rank two parsers could see differently stand unbracketed in here: say nothing at all, because what
 * looks like `a AND b` may be something else to DuckDB.
 */
function isPlain(expression: unknown): boolean {
  if (!isNode(expression)) return true;
  const operation = kind(expression, "BinaryOp");
  if (operation) {
    return PLAIN_OPERATORS.has(String(operation.op)) && isPlain(operation.left) && isPlain(operation.right);
  }
  const unary = kind(expression, "UnaryOp");
  if (unary) return (unary.op === "Not" || unary.op === "Minus") && isPlain(unary.expr);
  // `not a = b` and the like take operands of their own rank.
  for (const name of ["Between", "InList", "InSubquery", "Like", "ILike", "IsNull", "IsNotNull", "IsTrue", "IsFalse"]) {
    const node = kind(expression, name);
    if (node) return isPlain(node.expr) && isPlain(node.low) && isPlain(node.high) && isPlain(node.pattern);
  }
  const [only = ""] = Object.keys(expression);
  return ATOMS.has(only);
}

const PLAIN_OPERATORS = new Set(
  "And Or Eq NotEq Lt LtEq Gt GtEq Plus Minus Multiply Divide Modulo StringConcat".split(" "),
);
/** Bracketed, or a single thing to every parser. */
const ATOMS = new Set(
  "Identifier CompoundIdentifier CompoundFieldAccess Value TypedString Nested Function Cast Case Interval Subquery Exists Extract Substring Trim Position Ceil Floor Array Tuple".split(
    " ",
  ),
);

function read(given: unknown, columns: TableColumns): Constraint {
  const expression = unwrapped(given);
  const operation = kind(expression, "BinaryOp");
  if (operation) {
    // Inside brackets anything may stand; it was not looked at before.
    if (!isPlain(expression)) return NOTHING;
    if (operation.op === "And") return both(read(operation.left, columns), read(operation.right, columns));
    if (operation.op === "Or") return either(read(operation.left, columns), read(operation.right, columns));
    return comparison(operation, columns);
  }
  const between = kind(expression, "Between");
  if (between && between.negated === false) {
    return both(
      timeBound(between.expr, "GtEq", between.low, columns),
      timeBound(between.expr, "LtEq", between.high, columns),
    );
  }
  const list = kind(expression, "InList");
  if (list && list.negated === false && Array.isArray(list.list)) {
    const column = ownColumn(list.expr, columns);
    const literals = list.list.map((item) => literalOf(unwrapped(item)));
    if (column && literals.every((literal) => literal !== null && columns.takes(column, literal))) {
      return { values: new Map([[column, literals as Literal[]]]) };
    }
  }
  return NOTHING;
}

function comparison({ op, left, right }: Node, columns: TableColumns): Constraint {
  const operator = String(op);
  if (operator === "Eq") {
    for (const [side, other] of [
      [left, right],
      [right, left],
    ]) {
      const column = ownColumn(side, columns);
      const literal = literalOf(unwrapped(other));
      if (column && literal !== null && columns.takes(column, literal)) {
        return { values: new Map([[column, [literal]]]) };
      }
    }
  }
  const mirrored = MIRRORED[operator];
  if (!mirrored) return NOTHING;
  const direct = timeBound(left, operator, right, columns);
  return direct === NOTHING ? timeBound(right, mirrored, left, columns) : direct;
}

const MIRRORED: Readonly<Record<string, string>> = { Eq: "Eq", Lt: "Gt", LtEq: "GtEq", Gt: "Lt", GtEq: "LtEq" };

/** `event_time >= …`, or the same of its date or of date_trunc: those lie behind the time itself, by a unit at most. */
function timeBound(side: unknown, operator: string, other: unknown, columns: TableColumns): Constraint {
  const slack = timeColumnSlack(unwrapped(side), columns);
  if (slack === null) return NOTHING;
  const value = constantTime(other);
  if (value === null) return NOTHING;
  // Compared with a date, a text loses its time of day.
  const at = slack >= DAY_US ? floorTo(value, DAY_US) : value;
  const from = operator === "Gt" || operator === "GtEq" || operator === "Eq" ? at : undefined;
  const to =
    operator === "Lt" ? value + slack : operator === "LtEq" || operator === "Eq" ? value + slack + 1 : undefined;
  return { from, to, values: NOTHING.values };
}

/** How far the expression may lie behind the time column, or null where it is something else. */
function timeColumnSlack(expression: unknown, columns: TableColumns): number | null {
  const path = columnPath(expression);
  if (path) return columns.owns(path) === columns.time ? 0 : null;
  const cast = kind(expression, "Cast");
  if (cast && (cast.kind === "Cast" || cast.kind === "DoubleColon") && cast.data_type === "Date") {
    return timeColumnSlack(unwrapped(cast.expr), columns) === 0 ? DAY_US : null;
  }
  // A TIMESTAMP cast to one is what it was.
  if (cast && (cast.kind === "Cast" || cast.kind === "DoubleColon") && isTimestamp(cast.data_type)) {
    return timeColumnSlack(unwrapped(cast.expr), columns) === 0 ? 0 : null;
  }
  const trunc = truncCall(expression);
  if (!trunc) return null;
  return timeColumnSlack(unwrapped(trunc.argument), columns) === 0 ? TRUNC_UNITS[trunc.unit] : null;
}

function isTimestamp(type: unknown): boolean {
  const timestamp = isNode(type) ? type.Timestamp : null;
  return Array.isArray(timestamp) && timestamp[0] === null && timestamp[1] === "None";
}

function ownColumn(expression: unknown, columns: TableColumns): string | null {
  const path = columnPath(unwrapped(expression));
  const column = path && columns.owns(path);
  return column && column !== columns.time ? column : null;
}

/** A text, or a number that is the same to us and to DuckDB, whichever type it compares in. */
function literalOf(expression: unknown): Literal | null {
  const text = stringLiteral(expression);
  if (text !== null) return text;
  const minus = kind(expression, "UnaryOp");
  const digits = numberLiteral(minus?.op === "Minus" ? unwrapped(minus.expr) : expression);
  if (digits === null || digits.length > EXACT_CHARS || !/^\d+(\.\d+)?$/.test(digits)) return null;
  return minus ? -Number(digits) : Number(digits);
}

/** As many digits as a double always keeps. */
const EXACT_CHARS = 15;

/** Rows that pass both. */
export function both(a: Constraint, b: Constraint): Constraint {
  const values = new Map(a.values);
  for (const [column, texts] of b.values) {
    const before = values.get(column);
    values.set(column, before ? before.filter((text) => texts.includes(text)) : texts);
  }
  return { from: bound(Math.max, a.from, b.from), to: bound(Math.min, a.to, b.to), values };
}

/** Rows that pass either: only what both agree to restrict stays restricted. */
export function either(a: Constraint, b: Constraint): Constraint {
  const values = new Map<string, readonly Literal[]>();
  for (const [column, texts] of a.values) {
    const other = b.values.get(column);
    if (other) values.set(column, [...new Set([...texts, ...other])]);
  }
  return {
    from: a.from === undefined || b.from === undefined ? undefined : Math.min(a.from, b.from),
    to: a.to === undefined || b.to === undefined ? undefined : Math.max(a.to, b.to),
    values,
  };
}

function bound(pick: (a: number, b: number) => number, a?: number, b?: number): number | undefined {
  return a === undefined ? b : b === undefined ? a : pick(a, b);
}
