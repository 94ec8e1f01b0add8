/**
 * Why events broke their contract: the same event, field and expectation, from the same source and app version. The rows lie in the
 * table `quarantine`; a cause is a choice among them, of which any part may be left open.
 */
import { VIOLATED } from "../../../r2-layout/contracts/contract.ts";
import { MINUTE_MS, VIOLATIONS } from "../../../r2-layout/limits.ts";
import type { LogEntry } from "../../../r2-layout/log-line.ts";
import { sqlText, sqlTime } from "../../../r2-layout/sql-text.ts";
import { badParameter } from "../parameters.ts";

const TEXTS = ["field", "expected", "source", "app_version"] as const;

/** Null: whichever. */
export interface Cause {
  readonly event: string | null;
  readonly field: string | null;
  readonly expected: string | null;
  readonly source: string | null;
  readonly app_version: string | null;
  readonly contract_version: number | null;
  /** Milliseconds of `received_at`, half open. */
  readonly from: number;
  readonly to: number;
}

export const CAUSE_MEMBERS = ["event", ...TEXTS, "contract_version", "from", "to"] as const;

/** @param given texts of a query, or members of a body. @param now milliseconds. @throws Refused */
export function parseCause(given: Readonly<Record<string, unknown>>, now: number): Cause {
  const text = (name: string): string | null => {
    const value = given[name] ?? null;
    if (value === null) return null;
    if (typeof value !== "string" || value === "" || value.length > VIOLATIONS.textChars || value.includes("\0"))
      throw badParameter(name, `a text of at most ${VIOLATIONS.textChars} characters`);
    return value;
  };
  const [field, expected, source, app_version] = TEXTS.map(text) as [
    string | null,
    string | null,
    string | null,
    string | null,
  ];
  const version = given.contract_version ?? null;
  if (version !== null && !(Number.isSafeInteger(Number(version)) && Number(version) > 0))
    throw badParameter("contract_version", "a version of the contract");
  // To the minute: the same question of the same minute is the same statement, which is answered once.
  const end = (Math.floor(now / MINUTE_MS) + 1) * MINUTE_MS;
  const from = timeOf(given.from, "from") ?? end - VIOLATIONS.rangeMs;
  const to = timeOf(given.to, "to") ?? end;
  if (!(from < to)) throw badParameter("from", "a time before `to`");
  if (to - from > VIOLATIONS.rangeMaxMs)
    throw badParameter("from", `at most ${VIOLATIONS.rangeMaxMs / 86_400_000} days before \`to\``);
  const contract_version = version === null ? null : Number(version);
  return { event: text("event"), field, expected, source, app_version, contract_version, from, to };
}

/** What stands after WHERE, over `quarantine`. */
export function causeSql(cause: Cause): string {
  const parts = [
    `cause = ${sqlText(VIOLATED)}`,
    `received_at >= ${sqlTime(cause.from)}`,
    `received_at < ${sqlTime(cause.to)}`,
  ];
  if (cause.event !== null) parts.push(`event_name = ${sqlText(cause.event)}`);
  for (const name of TEXTS) if (cause[name] !== null) parts.push(`${name} = ${sqlText(cause[name])}`);
  if (cause.contract_version !== null) parts.push(`contract_version = ${cause.contract_version}`);
  return parts.join(" AND ");
}

/** Whether a line of the log is one of those rows. */
export function isOfCause({ row, q }: LogEntry, cause: Cause): boolean {
  if (q?.cause !== VIOLATED) return false;
  const receivedMs = row.received_at / 1_000;
  if (receivedMs < cause.from || receivedMs >= cause.to) return false;
  const is = (wanted: unknown, found: unknown) => wanted === null || wanted === (found ?? null);
  return (
    is(cause.event, row.event_name) &&
    is(cause.field, q.field) &&
    is(cause.expected, q.expected) &&
    is(cause.source, row.source) &&
    is(cause.app_version, row.app_version) &&
    is(cause.contract_version, row.contract_version)
  );
}

function timeOf(given: unknown, name: string): number | null {
  if (given === undefined || given === null) return null;
  const ms = typeof given === "string" ? Date.parse(given) : Number.NaN;
  if (Number.isNaN(ms)) throw badParameter(name, "an ISO 8601 time");
  return ms;
}
