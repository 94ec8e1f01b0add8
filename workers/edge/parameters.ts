/** Query parameters, each read into a type or refused by its name. */
import type { Rejection } from "../problem.ts";

/** Thrown on the way to an answer, and answered with its problem document. */
export class Refused extends Error {
  readonly rejection: Rejection;

  constructor(rejection: Rejection) {
    super(rejection.reason);
    this.rejection = rejection;
  }
}

export const badParameter = (parameter: string, detail: string) =>
  new Refused({ reason: "bad_parameter", parameter, detail });

/** @throws Refused unless it is absent or a whole number from 1 to `max`. */
export function countParameter(query: URLSearchParams, name: string, range: { fallback: number; max: number }): number {
  const text = query.get(name);
  if (text === null) return range.fallback;
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text) || value < 1 || value > range.max) {
    throw badParameter(name, `a whole number from 1 to ${range.max}`);
  }
  return value;
}
