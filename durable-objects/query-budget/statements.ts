/**
 * One token's statements that are under way, and those that ended a short while ago, for whoever asks after them. A place
 * is held at most as long as an answer may take: an invocation that was cut off gives nothing back. Pure.
 */
import { SQL } from "../../r2-layout/limits.ts";
import type { StatementEnd, StatementRecord } from "./api.ts";

/** Oldest first. */
export type Statements = readonly StatementRecord[];

/** What is forgotten by now is gone, and what never ended has failed. */
export function current(statements: Statements, nowMs: number): Statements {
  return statements
    .map((one) =>
      one.state === "running" && nowMs - one.started_ms > SQL.placeMs
        ? { ...one, state: "failed" as const, ended_ms: one.started_ms + SQL.placeMs }
        : one,
    )
    .filter(({ ended_ms }) => ended_ms === undefined || nowMs - ended_ms <= SQL.endedKeptMs);
}

const isUnderWay = ({ state }: StatementRecord): boolean => state === "running";

export const underWay = (statements: Statements): number => statements.filter(isUnderWay).length;

export const find = (statements: Statements, id: string): StatementRecord | null =>
  statements.find((one) => one.id === id) ?? null;

/** The same name may be used again once its statement has ended. */
export const isInUse = (statements: Statements, id: string): boolean => find(statements, id)?.state === "running";

export function started(statements: Statements, id: string, nowMs: number): Statements {
  const others = statements.filter((one) => one.id !== id);
  return [...others, { id, state: "running", started_ms: nowMs, bytes_read: 0, bytes_planned: 0 }];
}

/** One that is not known any more changes nothing. */
export function ended(statements: Statements, id: string, end: StatementEnd, nowMs: number): Statements {
  const one = find(statements, id);
  if (!one || !isUnderWay(one)) return statements;
  const others = statements.filter((other) => other !== one);
  const past = others.filter((other) => !isUnderWay(other));
  const kept = new Set(past.slice(Math.max(0, past.length + 1 - SQL.endedKept)));
  return [...others.filter((other) => isUnderWay(other) || kept.has(other)), { ...one, ...end, ended_ms: nowMs }];
}
