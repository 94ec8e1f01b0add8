/** Query parameters, each read into a type or refused by its name. */
import { parseTime } from "../../r2-layout/time.ts";
import type { Rejection } from "../problem.ts";

/** Thrown on the way to an answer, and answered with its problem document. */
export class Refused extends Error {
  readonly rejection: Rejection;

  constructor(rejection: Rejection) {
    super(rejection.reason);
    this.rejection = rejection;
  }
}

const wrong = (parameter: string, detail: string) => new Refused({ reason: "bad_parameter", parameter, detail });

export class Parameters {
  readonly query: URLSearchParams;

  constructor(query: URLSearchParams) {
    this.query = query;
  }

  /** @throws Refused unless it is absent or a whole number in the range. */
  count(name: string, range: { fallback: number; max: number }): number {
    const text = this.query.get(name);
    if (text === null) return range.fallback;
    const value = Number(text);
    if (!/^\d{1,15}$/.test(text) || value < 1 || value > range.max) {
      throw wrong(name, `a whole number from 1 to ${range.max}`);
    }
    return value;
  }

  /** @returns microseconds. @throws Refused where it is no time. */
  time(name: string): number | undefined {
    const text = this.query.get(name);
    if (text === null) return undefined;
    const time = parseTime(text);
    if (time === null) throw wrong(name, "an ISO 8601 time or an epoch number");
    return time;
  }

  /** @throws Refused where it is none of the choices. */
  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const text = this.query.get(name);
    if (text === null) return undefined;
    const choice = choices.find((value) => value === text);
    if (choice === undefined) throw wrong(name, `one of ${choices.join(", ")}`);
    return choice;
  }

  text(name: string, maxChars: number): string | undefined {
    const text = this.query.get(name);
    if (text === null || text === "") return undefined;
    if (text.length > maxChars) throw wrong(name, `at most ${maxChars} characters`);
    return text;
  }
}
