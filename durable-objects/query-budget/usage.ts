/** The rule of the budget, apart from where it is kept: statements in a sliding minute, bytes in a day (UTC). Pure. */
import { DAY_MS, MINUTE_MS, SECOND_MS, SQL } from "../../r2-layout/limits.ts";
import type { BudgetAnswer } from "./api.ts";

export interface Usage {
  /** Statements counted in `minute`, a whole minute since the epoch, and in the one before it. */
  readonly minute: number;
  readonly statements: number;
  readonly before: number;
  /** Bytes read in `day`, a whole day since the epoch. */
  readonly day: number;
  readonly bytes: number;
}

export const NO_USAGE: Usage = { minute: 0, statements: 0, before: 0, day: 0, bytes: 0 };

/** The same usage, with what has become old forgotten. A clock that goes back keeps what it has. */
export function aged(usage: Usage, nowMs: number): Usage {
  const minute = Math.max(usage.minute, Math.floor(nowMs / MINUTE_MS));
  const day = Math.max(usage.day, Math.floor(nowMs / DAY_MS));
  const [statements, before] =
    minute === usage.minute
      ? [usage.statements, usage.before]
      : [0, minute === usage.minute + 1 ? usage.statements : 0];
  return { minute, statements, before, day, bytes: day === usage.day ? usage.bytes : 0 };
}

/** About the statements of the last sixty seconds: the minute before counts by the part of it still inside. */
function recentStatements({ minute, statements, before }: Usage, nowMs: number): number {
  const into = Math.min(1, Math.max(0, nowMs / MINUTE_MS - minute));
  return statements + before * (1 - into);
}

/** Counts one statement, unless a bound is met. @param underWay the token's statements that have not ended. */
export function admit(given: Usage, underWay: number, nowMs: number): { usage: Usage; answer: BudgetAnswer } {
  const usage = aged(given, nowMs);
  const secondsTo = (ms: number) => Math.max(1, Math.ceil((ms - nowMs) / SECOND_MS));
  if (usage.bytes >= SQL.bytesPerDay) return { usage, answer: refuse("bytes", secondsTo((usage.day + 1) * DAY_MS)) };
  if (recentStatements(usage, nowMs) >= SQL.statementsPerMinute) {
    return { usage, answer: refuse("statements", secondsTo((usage.minute + 1) * MINUTE_MS)) };
  }
  if (underWay >= SQL.statementsAtOnce) return { usage, answer: refuse("at_once", 1) };
  return { usage: { ...usage, statements: usage.statements + 1 }, answer: ALLOWED };
}

export function spend(given: Usage, nowMs: number, bytes: number): Usage {
  const usage = aged(given, nowMs);
  return { ...usage, bytes: usage.bytes + Math.max(0, bytes) };
}

export const ALLOWED: BudgetAnswer = { allowed: true, bound: null, retry_after_s: 0 };

export const refuse = (bound: NonNullable<BudgetAnswer["bound"]>, retry_after_s: number): BudgetAnswer => ({
  allowed: false,
  bound,
  retry_after_s,
});
