/**
 * The value of a constant time expression in microseconds, as DuckDB would compute it: literals, casts, intervals added
 * or taken off, date_trunc. Null for whatever is not certain; a null only means that no file is left out.
 */
import { DAY_US } from "../../../r2-layout/time.ts";
import { isNode, kind, type Node, nodes, numberLiteral, objectName, stringLiteral, unwrapped } from "./syntax-tree.ts";

export function constantTime(expression: unknown): number | null {
  const inner = unwrapped(expression);
  const text = stringLiteral(inner);
  if (text !== null) return parseTimestamp(text);
  const typed = kind(inner, "TypedString");
  if (typed) return cast(stringLiteral({ Value: typed.value }) ?? "", typed.data_type);
  const casted = kind(inner, "Cast");
  if (casted && (casted.kind === "Cast" || casted.kind === "DoubleColon")) {
    const value = constantTime(casted.expr);
    return value === null ? null : toType(value, casted.data_type);
  }
  const operation = kind(inner, "BinaryOp");
  if (operation && (operation.op === "Plus" || operation.op === "Minus")) {
    const start = constantTime(operation.left);
    const step = interval(operation.right) ?? (isDate(operation.left) ? days(operation.right) : null);
    return start === null || step === null ? null : shifted(start, step, operation.op === "Plus" ? 1 : -1);
  }
  const trunc = truncCall(inner);
  if (!trunc) return null;
  const value = constantTime(trunc.argument);
  return value === null ? null : truncated(trunc.unit, value);
}

/** Whether DuckDB sees a DATE: to that a number adds days. */
function isDate(expression: unknown): boolean {
  const inner = unwrapped(expression);
  const operation = kind(inner, "BinaryOp");
  if (operation) return isDate(operation.left) && days(operation.right) !== null;
  return (kind(inner, "TypedString") ?? kind(inner, "Cast"))?.data_type === "Date";
}

function days(expression: unknown): Interval | null {
  const digits = numberLiteral(unwrapped(expression));
  return digits !== null && /^\d{1,6}$/.test(digits) ? { months: 0, us: Number(digits) * DAY_US } : null;
}

/** `date_trunc('day', x)`. */
export function truncCall(expression: unknown): { unit: TruncUnit; argument: unknown } | null {
  const call = kind(expression, "Function");
  const name = call && objectName(call.name)?.parts;
  if (!call || name?.length !== 1 || (name[0] !== "date_trunc" && name[0] !== "datetrunc")) return null;
  const list = kind(call.args, "List");
  const [first, second, ...more] = nodes(list?.args).map((argument) => kind(argument.Unnamed, "Expr") ?? null);
  const unit = stringLiteral(first)?.toLowerCase();
  if (!second || more.length > 0 || !unit || !(unit in TRUNC_UNITS)) return null;
  return { unit: unit as TruncUnit, argument: second };
}

/** Longest length of a unit, microseconds: a truncated time is at most this far behind the time itself. */
export const TRUNC_UNITS = {
  second: 1e6,
  minute: 60e6,
  hour: 3_600e6,
  day: DAY_US,
  week: 7 * DAY_US,
  month: 31 * DAY_US,
  quarter: 92 * DAY_US,
  year: 366 * DAY_US,
} as const;
export type TruncUnit = keyof typeof TRUNC_UNITS;

export const floorTo = (us: number, unitUs: number): number => Math.floor(us / unitUs) * unitUs;

function truncated(unit: TruncUnit, us: number): number {
  if (unit === "second" || unit === "minute" || unit === "hour" || unit === "day")
    return floorTo(us, TRUNC_UNITS[unit]);
  // 1970-01-05 was a Monday, where DuckDB's weeks begin.
  if (unit === "week") return floorTo(us - 4 * DAY_US, 7 * DAY_US) + 4 * DAY_US;
  const date = new Date(Math.floor(us / 1_000));
  const month =
    unit === "year" ? 0 : unit === "quarter" ? date.getUTCMonth() - (date.getUTCMonth() % 3) : date.getUTCMonth();
  return Date.UTC(date.getUTCFullYear(), month, 1) * 1_000;
}

/** A time as DuckDB reads it from text: a date, and a time of day if there is one; a zone only where it is UTC. */
export function parseTimestamp(text: string): number | null {
  const match = TIMESTAMP.exec(text.trim());
  if (!match) return null;
  const [year, month, day, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const ms = Date.UTC(year!, month! - 1, day!, hour, minute, second);
  const date = new Date(ms);
  // 30 February is an error to DuckDB, not 2 March.
  if (date.getUTCMonth() !== month! - 1 || date.getUTCDate() !== day) return null;
  if (hour > 23 || minute > 59 || second > 59) return null;
  return ms * 1_000 + Number((match[7] ?? "").padEnd(6, "0"));
}

const TIMESTAMP =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?(?:Z|\+00(?::?00)?)?)?$/;

function cast(text: string, type: unknown): number | null {
  const us = parseTimestamp(text);
  return us === null ? null : toType(us, type);
}

function toType(us: number, type: unknown): number | null {
  if (type === "Date") return floorTo(us, DAY_US);
  const timestamp = isNode(type) ? type.Timestamp : null;
  const [precision, zone] = Array.isArray(timestamp) ? timestamp : [undefined, undefined];
  if (precision === null && zone === "None") return us;
  return isNode(type) && type.Datetime === null ? us : null;
}

interface Interval {
  readonly months: number;
  readonly us: number;
}

/** `INTERVAL 1 DAY`, `INTERVAL '1' DAY`, `INTERVAL '90 minutes'`; whole numbers only. */
function interval(expression: unknown): Interval | null {
  const node = kind(unwrapped(expression), "Interval");
  if (!node) return null;
  const extras: (keyof Node)[] = ["leading_precision", "last_field", "fractional_seconds_precision"];
  if (extras.some((key) => node[key] !== undefined && node[key] !== null)) return null;
  const given = stringLiteral(unwrapped(node.value)) ?? numberLiteral(unwrapped(node.value));
  if (given === null) return null;
  const field = node.leading_field;
  const text = typeof field === "string" ? `${given} ${field}` : given;
  const match = /^\s*(-?\d{1,9})\s+([a-z]+?)s?\s*$/i.exec(text);
  const unit = match && INTERVAL_UNITS[match[2]!.toLowerCase()];
  if (!unit) return null;
  return { months: Number(match[1]) * unit.months, us: Number(match[1]) * unit.us };
}

const INTERVAL_UNITS: Readonly<Record<string, Interval>> = {
  __proto__: null as never,
  microsecond: { months: 0, us: 1 },
  millisecond: { months: 0, us: 1e3 },
  second: { months: 0, us: 1e6 },
  minute: { months: 0, us: 60e6 },
  hour: { months: 0, us: 3_600e6 },
  day: { months: 0, us: DAY_US },
  week: { months: 0, us: 7 * DAY_US },
  month: { months: 1, us: 0 },
  quarter: { months: 3, us: 0 },
  year: { months: 12, us: 0 },
};

/** Months first, on the calendar, the day cut to the month's last; then the rest. */
function shifted(us: number, step: Interval, sign: 1 | -1): number | null {
  let start = us;
  if (step.months !== 0) {
    const day = floorTo(us, DAY_US);
    const date = new Date(day / 1_000);
    const month = date.getUTCMonth() + sign * step.months;
    const last = new Date(Date.UTC(date.getUTCFullYear(), month + 1, 0)).getUTCDate();
    start = Date.UTC(date.getUTCFullYear(), month, Math.min(date.getUTCDate(), last)) * 1_000 + (us - day);
  }
  const sum = start + sign * step.us;
  return Number.isSafeInteger(sum) ? sum : null;
}
