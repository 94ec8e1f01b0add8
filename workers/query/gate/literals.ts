/** A value of JSON as one SQL literal, which means the value and nothing else. */
import { stringText } from "../plan/string-text.ts";

export interface ParamProblem {
  readonly reason: "bad_parameter";
  readonly parameter: "params";
  readonly detail: string;
}

export class WrongParam extends Error {
  readonly problem: ParamProblem;

  constructor(detail: string) {
    super(detail);
    this.problem = { reason: "bad_parameter", parameter: "params", detail };
  }
}

/** Written with an exponent by JavaScript, so nobody meant a whole number's digits. */
const EXPONENT_FROM = 1e21;

/** @throws WrongParam */
export function literal(value: unknown): string {
  switch (typeof value) {
    case "string":
      return text(value);
    case "number":
      return number(value);
    case "boolean":
      return String(value);
    default:
      if (value === null) return "NULL";
      throw new WrongParam("a value is a string, a number, true, false, null, or a list of those");
  }
}

/** The values of a list, between commas. @throws WrongParam */
export function listLiteral(values: readonly unknown[]): string {
  // `IN ()` is no syntax, and what an empty list's type would be nobody knows.
  if (values.length === 0) throw new WrongParam("a list has at least one value");
  return values.map(literal).join(", ");
}

function text(value: string): string {
  if (!value.isWellFormed()) throw new WrongParam("a text holds half of a surrogate pair, which no UTF-8 has");
  if (!value.includes("\0")) return stringText(value);
  // A statement is a C string to DuckDB: it would end there.
  return `(${value.split("\0").map(stringText).join(" || chr(0) || ")})`;
}

function number(value: number): string {
  if (!Number.isFinite(value)) throw new WrongParam("a number is finite");
  if (Number.isInteger(value) && Math.abs(value) < EXPONENT_FROM) {
    if (!Number.isSafeInteger(value)) {
      throw new WrongParam("a whole number beyond 2^53 has lost digits on its way: send it as a string and cast it");
    }
    return value < 0 ? `(${value})` : String(Math.abs(value));
  }
  const shown = String(value);
  const double = shown.includes("e") ? shown : `${shown}e0`;
  return value < 0 ? `(${double})` : double;
}
